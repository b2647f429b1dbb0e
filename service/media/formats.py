"""What an image is by its first bytes; its name and content type are somebody's opinion."""

import re
from typing import Final, Literal

Format = Literal["jpeg", "png", "webp"]

MAGIC_LENGTH: Final = 12
_MAGIC: Final[dict[Format, re.Pattern[bytes]]] = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),  # RIFF alone may be sound
}
SUFFIX: Final[dict[Format, str]] = {"jpeg": "jpg", "png": "png", "webp": "webp"}


def format_of(head: bytes) -> Format | None:
    """Of a file that begins so; None: none that the model takes."""
    return next((kind for kind, magic in _MAGIC.items() if magic.match(head)), None)


def content_type(kind: Format) -> str:
    return f"image/{kind}"
