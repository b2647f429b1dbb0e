"""Detects image formats from magic bytes; file names and content types are ignored."""

import re
from typing import Final, Literal

Format = Literal["jpeg", "png", "webp"]

MAGIC_LENGTH: Final = 12
_MAGIC: Final[dict[Format, re.Pattern[bytes]]] = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),  # RIFF alone may be audio
}
SUFFIX: Final[dict[Format, str]] = {"jpeg": "jpg", "png": "png", "webp": "webp"}


def format_of(head: bytes) -> Format | None:
    """Return the format of a file that starts with ``head``; None if the model does not accept it."""
    return next((kind for kind, magic in _MAGIC.items() if magic.match(head)), None)


def content_type(kind: Format) -> str:
    return f"image/{kind}"
