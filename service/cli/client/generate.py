"""``seedance-gateway generate``: the options, which are checked before the first request."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

_URL_VARIABLE = "SEEDANCE_GATEWAY_URL"
_KEY_VARIABLE = "SEEDANCE_GATEWAY_KEY"
Url = Annotated[str, typer.Option(envvar=_URL_VARIABLE, help="URL of the gateway.")]
DEFAULT_URL = "http://127.0.0.1:8080"
Key = Annotated[
    str | None,
    typer.Option(
        envvar=_KEY_VARIABLE,
        show_default=False,
        help="API key. Prefer the variable: other users of this machine can read options.",
    ),
]
#: Names no photo.
NO_PHOTO = "-"
Output = Annotated[Path | None, typer.Option(help="File or folder. Default: <id>.mp4 in the current folder.")]
Detach = Annotated[bool, typer.Option("--detach", help="Print the id and exit without waiting for the video.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a line.")]


def generate(
    photo: Annotated[
        str,
        typer.Argument(
            help='First frame: a JPEG, PNG or WebP file, or a URL. "-": none, for a model that takes no image.'
        ),
    ],
    prompt: Annotated[str, typer.Argument(help="What happens in the video.")],
    url: Url = DEFAULT_URL,
    key: Key = None,
    model: Annotated[
        str | None, typer.Option(help="Id of the model. `seedance-gateway models` lists them, the default one first.")
    ] = None,
    end_image: Annotated[str | None, typer.Option(help="Last frame: a file or a URL.")] = None,
    reference_image: Annotated[
        list[str] | None, typer.Option(help="Reference image: a file or a URL. The prompt names the first one @Image1.")
    ] = None,
    reference_video: Annotated[
        list[str] | None, typer.Option(help="Reference video: a file or a URL. The prompt names the first one @Video1.")
    ] = None,
    reference_audio: Annotated[
        list[str] | None, typer.Option(help="Reference sound: a file or a URL. The prompt names the first one @Audio1.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Of a model with references: reference (default), editing or extension.")
    ] = None,
    duration: Annotated[str | None, typer.Option(help="Duration in seconds, or auto. Default: the model's.")] = None,
    resolution: Annotated[
        str | None, typer.Option(help="480p, 720p, or another value that the gateway accepts.")
    ] = None,
    aspect_ratio: Annotated[str | None, typer.Option(help="Aspect ratio, like 16:9, or auto.")] = None,
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Generate sound.")] = True,  # noqa: FBT002
    draft: Annotated[  # noqa: FBT002
        bool, typer.Option("--draft", help="Make a draft, which `seedance-gateway complete` renders again at 1080p.")
    ] = False,
    end_user: Annotated[str | None, typer.Option(help="Your customer (end_user_id) that the video is for.")] = None,
    max_cost: Annotated[
        str | None, typer.Option(help="US dollars; the gateway refuses a generation that may cost more.")
    ] = None,
    output: Output = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Print the maximum cost, and create nothing.")] = False,  # noqa: FBT002
    detach: Detach = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for the video; then the generation is canceled.")
    ] = 3600.0,
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


def checked_url(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise typer.BadParameter(f"--url or {_URL_VARIABLE} must be an http:// or https:// URL")
    return url.rstrip("/")


def checked_key(key: str | None) -> str:
    if not (text := (key or "").strip()):
        raise typer.BadParameter(f"set {_KEY_VARIABLE} to an API key, or use --key")
    if not (text.isascii() and text.isprintable()):
        raise typer.BadParameter("the API key has a character that no API key has")
    return text


def checked_output(output: Path | None) -> Path | None:
    """Refuse an unusable output before the create: otherwise a paid video could not be saved."""
    target = Path() if output is None else output
    folder = target if target.is_dir() else target.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise typer.BadParameter(f"--output: {folder} is not a writable folder")
    return output
