"""``seedance-gateway generate``: a video from a photo and a prompt."""

from typing import Any

import typer

from service.cli.client import options
from service.cli.client.options import DEFAULT_URL, NO_PHOTO, checked_key, checked_output, checked_url


def generate(
    photo: options.FirstFrame,
    prompt: options.Prompt,
    url: options.Url = DEFAULT_URL,
    key: options.Key = None,
    model: options.Model = None,
    end_image: options.LastFrame = None,
    reference_image: options.ReferenceImages = None,
    reference_video: options.ReferenceVideos = None,
    reference_audio: options.ReferenceSounds = None,
    task: options.Task = None,
    duration: options.Duration = None,
    resolution: options.Resolution = None,
    aspect_ratio: options.AspectRatio = None,
    audio: options.Sound = True,  # noqa: FBT002
    draft: options.Draft = False,  # noqa: FBT002
    end_user: options.EndUser = None,
    max_cost: options.MaxCost = None,
    output: options.Output = None,
    estimate: options.Estimate = False,  # noqa: FBT002
    detach: options.Detach = False,  # noqa: FBT002
    as_json: options.AsJson = False,  # noqa: FBT002
    timeout: options.Timeout = 3600.0,
) -> None:
    """Generate a video from a photo: upload, create, wait, download. Ctrl-C cancels the generation.

    Exit codes: 0 with a video; 1 without one (stderr has the reason); 2 for a wrong option; 130 after an interrupt.
    """
    from service.cli.client import create_video  # noqa: PLC0415  (the other commands need no HTTP client)

    fields = {
        "model": model,
        "prompt": prompt,
        "task": task,
        "duration": int(duration) if duration is not None and duration.isdecimal() else duration,
        "resolution": resolution,
        "aspect_ratio": aspect_ratio,
        "generate_audio": None if audio else False,
        "draft": draft or None,
        "end_user_id": end_user,
        "max_cost_usd": max_cost,
    }
    request = create_video.VideoRequest(
        url=checked_url(url),
        key=checked_key(key),
        fields={name: value for name, value in fields.items() if value is not None},
        images=_placeholder(photo) if estimate else _images(image_url=_given(photo), end_image_url=end_image),
        references=_references(
            is_estimate=estimate, image_urls=reference_image, video_urls=reference_video, audio_urls=reference_audio
        ),
        output=checked_output(output),
        timeout=timeout,
        detach=detach,
        as_json=as_json,
    )
    (create_video.estimate if estimate else create_video.create)(request)


def _given(photo: str) -> str | None:
    return None if photo == NO_PHOTO else photo


def _placeholder(photo: str) -> dict[str, str]:
    """Return a URL for the photo: an estimate uses no image, but the API requires a complete request."""
    return {} if photo == NO_PHOTO else {"image_url": "https://example.com/photo.jpg"}


def _images(**names: str | None) -> dict[str, Any]:
    from service.cli.client.photos import PhotoRefused, read_photo  # noqa: PLC0415

    try:
        return {field: read_photo(name) for field, name in names.items() if name is not None}
    except PhotoRefused as error:
        raise typer.BadParameter(str(error)) from None


def _references(*, is_estimate: bool, **lists: list[str] | None) -> dict[str, list[Any]]:
    from service.cli.client.photos import PhotoRefused, read_file, read_photo  # noqa: PLC0415

    if is_estimate:
        return {field: ["https://example.com/file"] * len(names) for field, names in lists.items() if names}
    try:
        return {
            field: [read_photo(name) if field == "image_urls" else read_file(name) for name in names]
            for field, names in lists.items()
            if names
        }
    except PhotoRefused as error:
        raise typer.BadParameter(str(error)) from None
