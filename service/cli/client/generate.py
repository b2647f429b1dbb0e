"""``seedance-gateway generate``: its options, checked before anything is sent or spent."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

_URL_VARIABLE = "SEEDANCE_GATEWAY_URL"
_KEY_VARIABLE = "SEEDANCE_GATEWAY_KEY"


def generate(
    photo: Annotated[str, typer.Argument(help="The first frame: a JPEG, PNG or WebP file, or a URL.")],
    prompt: Annotated[str, typer.Argument(help="What should happen in the video.")],
    url: Annotated[str, typer.Option(envvar=_URL_VARIABLE, help="The gateway.")] = "http://127.0.0.1:8080",
    key: Annotated[
        str | None, typer.Option(envvar=_KEY_VARIABLE, show_default=False, help="Your key; better not as an option.")
    ] = None,
    end_image: Annotated[str | None, typer.Option(help="The last frame: a file or a URL.")] = None,
    duration: Annotated[str | None, typer.Option(help="Seconds, 4 to 15, or auto.")] = None,
    resolution: Annotated[str | None, typer.Option(help="480p, 720p, or what else the gateway takes.")] = None,
    aspect_ratio: Annotated[str | None, typer.Option(help="16:9 and the like, or auto.")] = None,
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="With sound.")] = True,  # noqa: FBT002
    end_user: Annotated[str | None, typer.Option(help="Your customer it is for.")] = None,
    max_cost: Annotated[str | None, typer.Option(help="US dollars; refuse if it may cost more.")] = None,
    output: Annotated[Path | None, typer.Option(help="File or folder; default: <id>.mp4 here.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Quote, and create nothing.")] = False,  # noqa: FBT002
    detach: Annotated[bool, typer.Option("--detach", help="Print the id and leave it to itself.")] = False,  # noqa: FBT002
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,  # noqa: FBT002
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the video.")] = 3600.0,
) -> None:
    """Make a video of a photo, through a gateway: upload, follow, download. Ctrl-C cancels.

    Exits with 0 when there is a video, 1 when there is none (stderr says why), 2 when it was called wrongly,
    130 when it was interrupted.
    """
    from service.cli.client import create_video  # noqa: PLC0415  (the other commands need no HTTP client)

    fields = {
        "prompt": prompt,
        "duration": int(duration) if duration is not None and duration.isdecimal() else duration,
        "resolution": resolution,
        "aspect_ratio": aspect_ratio,
        "generate_audio": None if audio else False,
        "end_user_id": end_user,
        "max_cost_usd": max_cost,
    }
    order = create_video.Order(
        url=_checked_url(url),
        key=_checked_key(key),
        fields={name: value for name, value in fields.items() if value is not None},
        pictures={} if estimate else _pictures(image_url=photo, end_image_url=end_image),
        output=_checked_output(output),
        timeout=timeout,
        detach=detach,
        as_json=as_json,
    )
    (create_video.estimate if estimate else create_video.make)(order)


def _pictures(**names: str | None) -> dict[str, Any]:
    from service.cli.client.photos import NoPhoto, picture  # noqa: PLC0415

    try:
        return {field: picture(name) for field, name in names.items() if name is not None}
    except NoPhoto as error:
        raise typer.BadParameter(str(error)) from None


def _checked_url(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise typer.BadParameter(f"--url or {_URL_VARIABLE} must be an http:// or https:// URL")
    return url.rstrip("/")


def _checked_key(key: str | None) -> str:
    if not (text := (key or "").strip()):
        raise typer.BadParameter(f"set {_KEY_VARIABLE}, or use --key")
    if not (text.isascii() and text.isprintable()):
        raise typer.BadParameter("the key has characters that no key has")
    return text


def _checked_output(output: Path | None) -> Path | None:
    """A video that was paid for must not fail for want of a place to put it."""
    target = Path() if output is None else output
    folder = target if target.is_dir() else target.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise typer.BadParameter(f"--output: {folder} is no folder that can be written to")
    return output
