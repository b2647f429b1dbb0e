"""Options of the commands that call a gateway, and their checks, which come before the first request."""

import os
from pathlib import Path
from typing import Annotated

import typer

_URL_VARIABLE = "SEEDANCE_GATEWAY_URL"
_KEY_VARIABLE = "SEEDANCE_GATEWAY_KEY"
DEFAULT_URL = "http://127.0.0.1:8080"
#: Names no photo.
NO_PHOTO = "-"

Url = Annotated[str, typer.Option(envvar=_URL_VARIABLE, help="URL of the gateway.")]
Key = Annotated[
    str | None,
    typer.Option(
        envvar=_KEY_VARIABLE,
        show_default=False,
        help="API key. Prefer the variable: other users of this machine can read options.",
    ),
]
Output = Annotated[Path | None, typer.Option(help="File or folder. Default: <id>.mp4 in the current folder.")]
Detach = Annotated[bool, typer.Option("--detach", help="Print the id and exit without waiting for the video.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a line.")]

# Of the video that `generate` requests.
FirstFrame = Annotated[
    str,
    typer.Argument(help='First frame: a JPEG, PNG or WebP file, or a URL. "-": none, for a model that takes no image.'),
]
Prompt = Annotated[str, typer.Argument(help="What happens in the video.")]
Model = Annotated[
    str | None, typer.Option(help="Id of the model. `seedance-gateway models` lists them, the default one first.")
]
LastFrame = Annotated[str | None, typer.Option(help="Last frame: a file or a URL.")]
ReferenceImages = Annotated[
    list[str] | None, typer.Option(help="Reference image: a file or a URL. The prompt names the first one @Image1.")
]
ReferenceVideos = Annotated[
    list[str] | None, typer.Option(help="Reference video: a file or a URL. The prompt names the first one @Video1.")
]
ReferenceSounds = Annotated[
    list[str] | None, typer.Option(help="Reference sound: a file or a URL. The prompt names the first one @Audio1.")
]
Task = Annotated[
    str | None, typer.Option(help="Of a model with references: reference (default), editing or extension.")
]
Duration = Annotated[str | None, typer.Option(help="Duration in seconds, or auto. Default: the model's.")]
Resolution = Annotated[str | None, typer.Option(help="480p, 720p, or another value that the gateway accepts.")]
AspectRatio = Annotated[str | None, typer.Option(help="Aspect ratio, like 16:9, or auto.")]
Sound = Annotated[bool, typer.Option("--audio/--no-audio", help="Generate sound.")]
Draft = Annotated[
    bool, typer.Option("--draft", help="Make a draft, which `seedance-gateway complete` renders again at 1080p.")
]
EndUser = Annotated[str | None, typer.Option(help="Your customer (end_user_id) that the video is for.")]
MaxCost = Annotated[str | None, typer.Option(help="US dollars; the gateway refuses a generation that may cost more.")]
Estimate = Annotated[bool, typer.Option("--estimate", help="Print the maximum cost, and create nothing.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds to wait for the video; then the generation is canceled.")]


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
