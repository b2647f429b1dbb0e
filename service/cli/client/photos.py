"""Photos on this machine: size and type are checked before anything is sent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import ImageFormat
from service.media import formats

_MAX_BYTES: Final = 30_000_000
#: Bytes by which formats are distinguished.
_HEAD_BYTES: Final = 4096


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
    try:
        kind = formats.accepted_format(head)
    except ImageFormat as refused:
        raise PhotoRefused(f"{name}: {refused.reason}") from None
    return Photo(path, formats.content_type(kind))
