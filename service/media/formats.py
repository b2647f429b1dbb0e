"""Detects file formats from their first bytes; file names and content types are ignored."""

import re
from typing import Final, Literal, NamedTuple

from service.errors import ImageFormat

Format = Literal["jpeg", "png", "webp"]

_MAGIC: Final[dict[Format, re.Pattern[bytes]]] = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),  # RIFF alone may be audio
}
#: Subtypes of media types, and suffixes of file names.
_NAMES: Final[dict[str, Format]] = {
    "jpeg": "jpeg",
    "jpg": "jpeg",
    "jfif": "jpeg",
    "pjpeg": "jpeg",
    "png": "png",
    "x-png": "png",
    "webp": "webp",
}
SUFFIX: Final[dict[Format, str]] = {"jpeg": "jpg", "png": "png", "webp": "webp"}


def format_of(head: bytes) -> Format | None:
    """Return the format of a file that starts with ``head``; None if the model does not accept it."""
    return next((kind for kind, magic in _MAGIC.items() if magic.match(head)), None)


def accepted_format(head: bytes, *, pointer: str = "") -> Format:
    """Return the format of a file that starts with ``head``.

    Raises ImageFormat for ``pointer`` if the model does not accept it. The error names the format, and says what to do.
    """
    kind = format_of(head)
    if kind is None:
        raise ImageFormat(_refusal(head), pointer=pointer)
    return kind


def other_format(head: bytes) -> str | None:
    """Return ``gif``, ``bmp``, ``tiff`` or ``heic``: formats of reference images that some models accept."""
    if head[4:8] == b"ftyp":
        name, _ = _of_brands(head)
    else:
        name = next((other.name for other in _OTHERS if other.magic.match(head)), "")
    return _REFERENCE_FORMATS.get(name)


def content_type(kind: Format) -> str:
    return f"image/{kind}"


def expected(label: str, file_name: str) -> Format:
    """Return the format that a client declares, before its bytes are known; JPEG if it declares none of them."""
    of_label = label.partition(";")[0].strip().lower().removeprefix("image/")
    of_name = file_name.lower().rpartition(".")[2]
    return _NAMES.get(of_label) or _NAMES.get(of_name) or "jpeg"


# --- formats that are not accepted, for the error alone


class _Other(NamedTuple):
    magic: re.Pattern[bytes]
    name: str
    advice: str


_ONLY: Final = "Only JPEG, PNG and WebP images are accepted."
_CONVERT: Final = "Save it as JPEG, PNG or WebP."
_FRAME: Final = "Send one frame of it as JPEG, PNG or WebP."
_BYTES: Final = "Send the bytes of the image themselves."
_PHONE: Final = (
    "Export it as JPEG, or let the phone take JPEG photos. On an iPhone: Settings > Camera > Formats > Most "
    "Compatible. On Android: turn off high efficiency (HEIF) pictures in the settings of the camera."
)


def _other(magic: bytes, name: str, advice: str = _CONVERT) -> _Other:
    return _Other(re.compile(magic, re.DOTALL), name, advice)


_OTHERS: Final = (
    _other(rb"GIF8[79]a", "a GIF"),
    _other(rb"BM.{4}\0{4}", "a BMP image"),
    _other(rb"II[*+]\0|MM\0[*+]|IIR[OS]|MMOR|IIU\0|FUJIFILMCCD-RAW", "a TIFF image or a raw file of a camera"),
    _other(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    _other(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 image"),
    _other(rb"\0\0[\x01\x02]\0", "an icon"),
    _other(rb"8BPS", "a Photoshop file"),
    _other(rb"\x1a\x45\xdf\xa3", "a WebM or Matroska video", _FRAME),
    _other(
        rb"RIFF.{4}AVI |\0\0\x01[\xb3\xba]|FLV\x01|OggS|\x30\x26\xb2\x75\x8e\x66\xcf\x11|G.{187}G|"
        rb".{4}(?:moov|mdat|wide|pnot)",
        "a video",
        _FRAME,
    ),
    _other(rb"%PDF-", "a PDF document"),
    _other(rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b", "an archive", _BYTES),
    _other(rb"\s*(?i:data):", "the text of a data URI", "Decode it first, or send it in `image_url` of a generation."),
    _other(rb"\s*(?:/9j/|iVBORw0KGgo|UklGR)", "base64 text", "Decode it first."),
    _other(rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:svg|[?!].{0,2000}<svg)", "an SVG drawing"),
    _other(rb"(?:\xef\xbb\xbf)?\s*<", "an HTML or XML document", _BYTES),
    _other(rb"(?:\xef\xbb\xbf)?\s*[{\[]\s*[\"{}\[\]]", "a JSON document", _BYTES),
)
#: Brands of the ISO base media file format (ISO/IEC 14496-12). All other brands are of videos.
_BRANDS: Final = (
    (frozenset((b"avif", b"avis")), ("an AVIF image", _CONVERT)),
    (frozenset((b"crx ",)), ("a raw file of a camera", _CONVERT)),
    (
        frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1 avci avcs".split()),
        ("a HEIC (HEIF) image", _PHONE),
    ),
)
IMAGE_BRANDS: Final = frozenset().union(*(brands for brands, _ in _BRANDS))
_REFERENCE_FORMATS: Final = {
    "a GIF": "gif",
    "a BMP image": "bmp",
    "a TIFF image or a raw file of a camera": "tiff",
    "a HEIC (HEIF) image": "heic",
}
_MOST_BRAND_BYTES: Final = 400


def _refusal(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        name, advice = _of_brands(head)
    else:
        found = next((other for other in _OTHERS if other.magic.match(head)), None)
        if found is None:
            return f"The file is not a JPEG, PNG or WebP image. {_ONLY}"
        name, advice = found.name, found.advice
    return f"The file is {name}. {_ONLY} {advice}"


def _of_brands(head: bytes) -> tuple[str, str]:
    """Return name and advice. The major brand of an AVIF or HEIC image may be a general one, like ``mif1``."""
    size = min(int.from_bytes(head[:4]), _MOST_BRAND_BYTES)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, size, 4))}
    return next((meaning for known, meaning in _BRANDS if known & brands), ("a video", _FRAME))
