"""Rules between the input fields of an endpoint."""

from sandbox.schema import Request, Rule


def at_most_files(most: int) -> Rule:
    def check(request: Request) -> str | None:
        lists = (request.image_urls, request.video_urls, request.audio_urls)
        given = sum(len(one or ()) for one in lists)
        return f"at most {most} files are allowed in all, {given} were given" if given > most else None

    return check


def audio_needs_image_or_video(request: Request) -> str | None:
    if request.audio_urls and not request.image_urls and not request.video_urls:
        return "audio_urls need at least one image or video"
    return None


def editing_forces_auto(request: Request) -> str | None:
    if request.task == "editing" and not request.duration == request.aspect_ratio == "auto":
        return "duration and aspect_ratio must be auto when task is editing"
    return None


def extension_forces_auto_aspect(request: Request) -> str | None:
    if request.task == "extension" and request.aspect_ratio != "auto":
        return "aspect_ratio must be auto when task is extension"
    return None
