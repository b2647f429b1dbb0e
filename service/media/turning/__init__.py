"""Turns images upright, as their EXIF orientation asks, with the least loss that each format allows.

Each format has a module. Its ``turned`` takes an image without metadata, and yields the turned image: first as close to
the source as possible, then smaller. The modules need no more CPU and memory than ``service.media.confinement`` allows.
"""

from collections.abc import Callable, Iterator
from typing import Final

from PIL import Image

from service.errors import ImageLimit
from service.media.formats import Format
from service.media.turning import jpeg, png, webp

_FORMATS: Final[dict[Format, Callable[[bytes, Image.Transpose], Iterator[bytes]]]] = {
    "jpeg": jpeg.turned,
    "png": png.turned,
    "webp": webp.turned,
}


def turned(kind: Format, clean: bytes, method: Image.Transpose, *, most_bytes: int) -> bytes:
    """Return the turned image without metadata. Raises ImageLimit if it has more than ``most_bytes``."""
    for content in _FORMATS[kind](clean, method):
        if len(content) <= most_bytes:
            return content
    raise ImageLimit(
        f"The image has more than {most_bytes} bytes after it is turned as its EXIF asks. Turn it before the upload."
    )
