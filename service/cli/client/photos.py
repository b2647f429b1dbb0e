"""Files on this machine: size and type of photos are checked before anything is sent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import ImageFormat
from service.media import formats

_MAX_BYTES: Final = 30_000_000
#: Bytes by which formats are distinguished.
_HEAD_BYTES: Final = 4096
_SCHEMES: Final = ("http://", "https://")


class PhotoRefused(Exception):
    """The file cannot be uploaded; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Photo:
    path: Path
    content_type: str


def read_file(name: str) -> Photo | str:
    """Check that a video or sound can be read; return a URL unchanged. Raises PhotoRefused."""
    if name.lower().startswith(_SCHEMES):
        return name
    path = Path(name)
    try:
        path.open("rb").close()
    except OSError as error:
        raise PhotoRefused(f"{name}: {error.strerror}") from None
    return Photo(path, "application/octet-stream")  # the gateway decides by the bytes


def read_photo(name: str) -> Photo | str:
    """Check a photo's file; return a URL unchanged. Raises PhotoRefused."""
    if name.lower().startswith(_SCHEMES):
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
