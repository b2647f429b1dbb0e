"""The EXIF orientation of an image, as the transposition that turns the image upright."""

import io
import warnings
from typing import Final

from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from service.media.formats import Format
from service.media.turning import png
from service.media.turning.methods import METHODS

_ORIENTATION: Final = 0x0112


def orientation(kind: Format, content: bytes) -> Image.Transpose | None:
    """Return how to turn an image with its metadata; None if it is upright or its EXIF is damaged."""
    with warnings.catch_warnings(action="ignore"):
        try:
            exif = Image.Image.getexif(_opened(kind, content))
            return METHODS.get(exif.get(_ORIENTATION, 1))
        except Exception:  # noqa: BLE001 - damaged EXIF raises anything, and refuses no image: EXIF is removed anyway
            return None


def _opened(kind: Format, content: bytes) -> Image.Image:
    match kind:
        case "jpeg":
            return JpegImagePlugin.JpegImageFile(io.BytesIO(content))
        case "png":  # its EXIF may follow the pixels, which are not decoded for that
            return PngImagePlugin.PngImageFile(io.BytesIO(png.without_pixels(content)))
        case "webp":
            return WebPImagePlugin.WebPImageFile(io.BytesIO(content))
