"""One image, looked at: by its header before its pixels, by its pixels before it is believed.

Run as a program it reads stdin, writes the cleaned image to stdout and a JSON object to stderr. Decoders of
strangers' files belong in a process of their own: its memory is limited, and it can be ended in mid-decode.
"""

import io
import json
import resource
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from service.errors import BadImage, ImageFormat, ImageTooManyPixels, ImageUnreadable
from service.media.formats import Format, format_of
from service.media.structure import cleaned

#: Python, Pillow, three copies of an image of 40 million pixels, and room.
_MEMORY: Final = 1_200_000_000
_CPU_SECONDS: Final = 30

_ORIENTATION: Final = 0x0112
_TO_BE_TURNED: Final = range(2, 9)  # 1 is upright
#: Of what must be encoded again because it was turned.
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
    """Format and size, by the beginning of a file; None: it takes more of the file to say.

    Raises ImageFormat, and ImageTooManyPixels where not even Pillow would go on.
    """
    kind = format_of(head)
    if kind is None:
        raise ImageFormat("The bytes are no JPEG, PNG or WebP.")
    try:
        width, height = _opened(kind, head).size
    except Image.DecompressionBombError:
        raise ImageTooManyPixels("The image has too many pixels.") from None
    except _UNREADABLE:
        return None
    return Inspected(kind, width, height)


def inspect(content: bytes, *, most_pixels: int) -> tuple[Inspected, bytes]:
    """What it is, and the same picture upright with nothing beside it. Raises a BadImage that says why not.

    Where only data beside the picture had to go, its pixels are the very bytes that came; one that its EXIF says to
    turn is decoded, turned and encoded again.
    """
    seen = header(content)
    if seen is not None:
        check_pixels(seen, most_pixels)
    kind = _kind(content)
    clean = cleaned(kind, content)
    try:
        image = _opened(kind, clean)
        check_pixels(Inspected(kind, *image.size), most_pixels)
        if _lies(kind, content):
            clean, image = _turned(kind, content)
        else:
            image.load()
    except _UNREADABLE as error:
        raise ImageUnreadable("The image cannot be decoded.") from error
    return Inspected(kind, *image.size), clean


def check_pixels(seen: Inspected, most: int) -> None:
    """Raises ImageTooManyPixels."""
    if seen.width * seen.height > most:
        raise ImageTooManyPixels(f"The image has {seen.width} x {seen.height} pixels; at most {most} in all may be.")


def _kind(content: bytes) -> Format:
    kind = format_of(content)
    if kind is None:
        raise ImageFormat("The bytes are no JPEG, PNG or WebP.")
    return kind


def _opened(kind: Format, content: bytes) -> Image.Image:
    """By its own plugin and no other; reads headers alone, EXIF among them."""
    with warnings.catch_warnings(action="ignore"):  # of EXIF that is damaged: it goes anyway
        return _OPENERS[kind](io.BytesIO(content))


def _lies(kind: Format, content: bytes) -> bool:
    """Whether its EXIF says to turn it; EXIF that cannot be read says nothing."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return _opened(kind, content).getexif().get(_ORIENTATION) in _TO_BE_TURNED
        except _UNREADABLE:
            return False


def _turned(kind: Format, content: bytes) -> tuple[bytes, Image.Image]:
    """PNG and lossless WebP lose nothing by it."""
    image = ImageOps.exif_transpose(_opened(kind, content))
    lossless = kind == "webp" and b"VP8L" in content[:64]
    options = {"lossless": True} if lossless else {} if kind == "png" else {"quality": _QUALITY}
    written = io.BytesIO()
    image.save(written, kind.upper(), icc_profile=image.info.get("icc_profile"), exif=b"", **options)
    return cleaned(kind, written.getvalue()), image


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    Image.MAX_IMAGE_PIXELS = None  # ours is the limit
    try:
        inspected, clean = inspect(sys.stdin.buffer.read(), most_pixels=int(sys.argv[1]))
    except BadImage as bad:
        answer: dict[str, object] = {"code": bad.code, "reason": bad.reason}
    else:
        sys.stdout.buffer.write(clean)
        sys.stdout.buffer.flush()
        answer = asdict(inspected)
    sys.stderr.write("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
