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

from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from service.errors import BadImage, ImageTooManyPixels, ImageUnreadable, TooLarge
from service.media.confinement import confine
from service.media.formats import Format, accepted_format
from service.media.structure import cleaned

#: The gateway's event loop shares the CPUs, and goes first.
_NICE: Final = 10
_ORIENTATION: Final = 0x0112
_ROTATIONS: Final = range(2, 9)  # 1 is upright
#: Quality of an image that is encoded again after a rotation.
_QUALITY: Final = 95
_OPENERS: Final[dict[Format, Callable[[io.BytesIO], Image.Image]]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}
_UNREADABLE: Final = (OSError, SyntaxError, ValueError, EOFError, MemoryError, OverflowError)


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


def inspect(content: bytes, *, most_pixels: int) -> tuple[Inspected, bytes]:
    """Return the image's format and size, and the image upright, without metadata. Raises BadImage with the reason.

    If only metadata is removed, the encoded pixels are unchanged; an image that its EXIF rotates is decoded, rotated
    and encoded again.
    """
    seen = header(content)
    if seen is not None:
        check_pixels(seen, most_pixels)
    kind = accepted_format(content)
    clean = cleaned(kind, content)
    try:
        image = _opened(kind, clean)
        check_pixels(Inspected(kind, *image.size), most_pixels)
        if _is_rotated(kind, content):
            clean, image = _rotated(kind, content)
        else:
            image.load()
    except _UNREADABLE as error:
        raise ImageUnreadable("The image cannot be decoded.") from error
    return Inspected(kind, *image.size), clean


def check_pixels(seen: Inspected, most: int) -> None:
    """Raises ImageTooManyPixels."""
    if seen.width * seen.height > most:
        raise ImageTooManyPixels(f"The image has {seen.width} x {seen.height} pixels; at most {most} are allowed.")


def _opened(kind: Format, content: bytes) -> Image.Image:
    """Open with the plugin of this format only; reads headers, including EXIF, but no pixels."""
    with warnings.catch_warnings(action="ignore"):  # about damaged EXIF, which is removed anyway
        return _OPENERS[kind](io.BytesIO(content))


def _is_rotated(kind: Format, content: bytes) -> bool:
    """Return whether EXIF rotates the image; ignore unreadable EXIF."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return _opened(kind, content).getexif().get(_ORIENTATION) in _ROTATIONS
        except _UNREADABLE:
            return False


def _rotated(kind: Format, content: bytes) -> tuple[bytes, Image.Image]:
    """Rotate the image and encode it again; PNG and lossless WebP stay lossless."""
    image = ImageOps.exif_transpose(_opened(kind, content))
    lossless = kind == "webp" and b"VP8L" in content[:64]
    # method 0: the default takes three times the CPU for a tenth of the bytes
    options = {"lossless": True, "method": 0} if lossless else {} if kind == "png" else {"quality": _QUALITY}
    written = io.BytesIO()
    image.save(written, kind.upper(), icc_profile=image.info.get("icc_profile"), exif=b"", **options)
    return cleaned(kind, written.getvalue()), image


def main(most_pixels: int, most_bytes: int, cpu_seconds: int, memory: int) -> None:
    os.nice(_NICE)
    confine(cpu_seconds=cpu_seconds, memory=memory, largest_file=most_bytes)
    Image.MAX_IMAGE_PIXELS = None  # the gateway's own limit applies
    try:
        inspected, clean = inspect(sys.stdin.buffer.read(), most_pixels=most_pixels)
    except BadImage as bad:
        answer: dict[str, object] = {"code": bad.code, "reason": bad.reason}
    else:
        if len(clean) > most_bytes:  # a rotated image is encoded again
            answer = {"code": TooLarge.code, "reason": f"The rotated image is larger than {most_bytes} bytes."}
        else:
            sys.stdout.buffer.write(clean)
            sys.stdout.buffer.flush()
            answer = asdict(inspected)
    sys.stderr.write("\n" + json.dumps(answer))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
