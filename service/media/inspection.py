"""Inspects one image: first its header, then its pixels.

Run as a program it reads stdin, writes the cleaned image to stdout and a JSON object to stderr. Untrusted files are
decoded in a separate process: its memory is limited, and it can be killed during a decode.
"""

import io
import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from service.errors import BadImage, ImageLimit, ImageTooManyPixels, ImageUnreadable
from service.media.confinement import LARGEST_FILE, confine
from service.media.dimensions import pixels
from service.media.formats import Format, accepted_format
from service.media.structure import cleaned
from service.media.turning import turned
from service.media.turning.orientation import orientation

#: The gateway's event loop shares the CPUs, and goes first.
_NICE: Final = 10
_OPENERS: Final[dict[Format, Callable[[io.BytesIO], Image.Image]]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}
#: Bytes that decoding a pixel takes: two copies in the decoder of WebP, the image, and the turned image.
_MEMORY_OF_PIXEL: Final = 16
_UNREADABLE: Final = (OSError, SyntaxError, ValueError, EOFError, OverflowError)


@dataclass(frozen=True, slots=True)
class Inspected:
    format: Format
    width: int
    height: int


def header(head: bytes) -> Inspected | None:
    """Return format and size from the beginning of a file; None if more of the file is needed.

    Raises ImageFormat, and ImageTooManyPixels above Pillow's own limit.
    """
    kind = accepted_format(head)
    try:
        width, height = _opened(kind, head).size
    except Image.DecompressionBombError:
        raise ImageTooManyPixels("The image has too many pixels.") from None
    except _UNREADABLE:
        return None
    return Inspected(kind, width, height)


def inspect(content: bytes, *, most_pixels: int, most_bytes: int = LARGEST_FILE) -> tuple[Inspected, bytes]:
    """Return the image's format and size, and the image upright, without metadata.

    If only metadata is removed, the encoded pixels are unchanged. Else the image is turned, see ``turning``.

    Raises:
        BadImage: the image is invalid.
        ImageLimit: the image has more than ``most_bytes`` after it is turned.
        MemoryError: the limit of this process is reached.

    """
    seen = header(content)
    if seen is not None:
        check_pixels(seen, most_pixels)
    kind = accepted_format(content)
    clean = cleaned(kind, content)
    try:
        image = _opened(kind, clean)
        check_pixels(Inspected(kind, *image.size), most_pixels)
        method = orientation(kind, content)
        if method is not None:
            clean = turned(kind, clean, method, most_bytes=most_bytes)
            image = _opened(kind, clean)
        else:
            image.load()
    except _UNREADABLE as error:
        _require_memory(kind, clean, most_pixels)
        raise ImageUnreadable("The image cannot be decoded.") from error
    return Inspected(kind, *image.size), clean


def _require_memory(kind: Format, content: bytes, most_pixels: int) -> None:
    """Raises MemoryError if a decoder may have failed for lack of memory: libraries report that as a damaged image.

    A damaged header may declare billions of pixels. No decoder receives more than ``most_pixels``.
    """
    bytearray(min(pixels(kind, content) or 0, most_pixels) * _MEMORY_OF_PIXEL)


def check_pixels(seen: Inspected, most: int) -> None:
    """Raises ImageTooManyPixels."""
    if seen.width * seen.height > most:
        raise ImageTooManyPixels(f"The image has {seen.width} x {seen.height} pixels; at most {most} are allowed.")


def _opened(kind: Format, content: bytes) -> Image.Image:
    """Open with the plugin of this format only; reads headers, including EXIF, but no pixels."""
    with warnings.catch_warnings(action="ignore"):  # about damaged EXIF, which is removed anyway
        return _OPENERS[kind](io.BytesIO(content))


def main(most_pixels: int, most_bytes: int, cpu_seconds: int, memory: int) -> None:
    os.nice(_NICE)
    confine(cpu_seconds=cpu_seconds, memory=memory, largest_file=most_bytes)
    Image.MAX_IMAGE_PIXELS = None  # the gateway's own limit applies
    try:
        inspected, clean = inspect(sys.stdin.buffer.read(), most_pixels=most_pixels, most_bytes=most_bytes)
    except BadImage as bad:
        answer: dict[str, object] = {"code": bad.code, "reason": bad.reason}
    except ImageLimit as limit:
        answer = {"code": limit.code, "reason": limit.detail}
    except MemoryError:
        answer = {"code": ImageLimit.code, "reason": "The image takes more memory than an inspection may."}
    else:
        sys.stdout.buffer.write(clean)
        sys.stdout.buffer.flush()
        answer = asdict(inspected)
    sys.stderr.write("\n" + json.dumps(answer))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
