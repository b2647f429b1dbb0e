"""Photos on this machine: size and type are checked before anything is sent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MAX_BYTES: Final = 30_000_000
_HEAD_BYTES: Final = 12


class PhotoRefused(Exception):
    """The photo cannot be uploaded; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Photo:
    path: Path
    content_type: str


def read_photo(name: str) -> Photo | str:
    """Check a photo's file; return a URL unchanged. Raises PhotoRefused."""
    if name.lower().startswith(("http://", "https://")):
        return name
    path = Path(name)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise PhotoRefused(f"{name}: {error.strerror}") from None
    if size > _MAX_BYTES:
        raise PhotoRefused(f"{name}: larger than {_MAX_BYTES // 1_000_000} MB")
    if (content_type := _content_type(head)) is None:
        raise PhotoRefused(f"{name}: neither JPEG nor PNG nor WebP")
    return Photo(path, content_type)


def _content_type(head: bytes) -> str | None:
    """Return the type by the first bytes; the name of the file does not matter."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:] == b"WEBP":
        return "image/webp"
    return None
