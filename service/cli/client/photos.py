"""Photos on this machine, looked at before anything is sent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LARGEST: Final = 30_000_000
_HEAD: Final = 12


class NoPhoto(Exception):
    """The message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Photo:
    path: Path
    content_type: str


def picture(name: str) -> Photo | str:
    """A photo's file, or a URL as it is; raises NoPhoto."""
    if name.lower().startswith(("http://", "https://")):
        return name
    path = Path(name)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        size = path.stat().st_size
    except OSError as error:
        raise NoPhoto(f"{name}: {error.strerror}") from None
    if size > _LARGEST:
        raise NoPhoto(f"{name}: larger than {_LARGEST // 1_000_000} MB")
    if (content_type := _content_type(head)) is None:
        raise NoPhoto(f"{name}: neither JPEG nor PNG nor WebP")
    return Photo(path, content_type)


def _content_type(head: bytes) -> str | None:
    """By what it is, not by how it is called."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:] == b"WEBP":
        return "image/webp"
    return None
