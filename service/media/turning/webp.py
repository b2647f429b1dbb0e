"""Turns a WebP: a lossless one without loss, a lossy one with the quantiser of the source."""

import io
import re
from collections.abc import Iterator
from typing import Any, Final

from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from service.media import structure
from service.media.turning.vp8 import quality_of

#: Pixels up to which the encoder's default effort takes less than a second of CPU.
_FEW: Final = 2_000_000
_DEFAULT: Final = 4
#: Effort for larger images: a seventh of the CPU of the default, for a fourteenth more bytes. Of noise it makes twice
#: the bytes; less effort does not.
_EFFORT, _LESS = 2, 1
_GROWTH: Final = 1.25
#: Pillow's text with the codes of libwebp.
_OUT_OF_MEMORY: Final = re.compile(r"encoding error [12]\b")
#: Steps of quality down to an image that is small enough.
_STEP: Final = 15


def turned(clean: bytes, method: Image.Transpose) -> Iterator[bytes]:
    image = WebPImageFile(io.BytesIO(clean))
    profile = image.info.get("icc_profile")
    upright = image.transpose(method)
    del image  # and its decoder, with two copies of the image
    frame = _frame(clean)
    if frame is None:
        found = _lossless(upright, profile)
    else:
        found = _lossy(upright, profile, quality_of(frame), int(_GROWTH * len(clean)))
    for encoded in found:
        if encoded:
            yield structure.cleaned("webp", encoded)


def _lossless(image: Image.Image, profile: bytes | None) -> Iterator[bytes]:
    for effort in (0, 1):  # more takes three times the CPU, and up to eight times, for a tenth of the bytes
        yield _encoded(image, icc_profile=profile, lossless=True, exact=True, method=effort, quality=0)


def _lossy(image: Image.Image, profile: bytes | None, quality: int, most: int) -> Iterator[bytes]:
    def encoded(effort: int, quality: int = quality) -> bytes:
        return _encoded(image, icc_profile=profile, exact=True, method=effort, quality=quality)

    first = encoded(_DEFAULT if image.width * image.height <= _FEW else _EFFORT)
    if not first or len(first) > most:
        first = min(filter(None, (first, encoded(_LESS))), key=len, default=b"")
    yield first
    yield encoded(_EFFORT, max(quality - _STEP, 0))


def _encoded(image: Image.Image, **options: Any) -> bytes:
    """Return nothing if the image needs more modes of prediction than the format stores: more than half a megabyte."""
    written = io.BytesIO()
    try:
        image.save(written, "WEBP", exif=b"", **options)
    except ValueError as error:
        if _OUT_OF_MEMORY.search(str(error)):
            raise MemoryError from error
        return b""
    return written.getvalue()


def _frame(clean: bytes) -> bytes | None:
    """Return the beginning of the lossy frame; None for a lossless image."""
    at = 12
    while at + 8 <= len(clean):
        name, length = clean[at : at + 4], int.from_bytes(clean[at + 4 : at + 8], "little")
        if name == b"VP8 ":
            return clean[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return None
