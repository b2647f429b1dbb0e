"""Bytes after the end of an image: cut off, unless they are a file of a second format.

Phones, cameras and editors append films, more pictures, previews, JSON and padding, each maker in its own form. All of
that is removed: what is stored ends with the picture. Refused is a file that programs open although a picture precedes
it: a ZIP, RAR or 7z archive, a PDF document, HTML or a script. Such a file is an attempt to pass one as an image.
"""

import re
from collections.abc import Callable
from typing import Final

from service.errors import ImageTrailingData

#: Bytes that may precede a file which begins right after the image.
_PADDING: Final = b"\x00\t\n\f\r "
#: Bytes of markup that are compared with its beginning.
_HEAD: Final = 256
#: HTML by the rules of the WHATWG (MIME Sniffing, 7.1), SVG, scripts by their first line, and JavaScript that ends a
#: comment which begins in the image.
_MARKUP: Final = re.compile(
    rb"<!--|<(?:!doctype|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|svg|img|object|form)[\s>]|"
    rb"<\?xml\s[^>]*>\s*<(?:!doctype|html|svg)\b|#![ \t]*/|\*/\s*[=;]",
    re.IGNORECASE,
)
#: Markup that is executed wherever it is in a file that is served or included as text.
_SCRIPT: Final = re.compile(rb"<(?:script[\s/>]|(?:html|body|iframe)[\s>]|!doctype\s+html\b|\?php\s)", re.IGNORECASE)
#: Readers of PDF search their header in the first kilobyte (ISO 32000, Annex H.3, note 13).
_PDF_HEADER_BYTES: Final = 1024
_END_OF_DIRECTORY: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_LONGEST_COMMENT: Final = 65_535


def check_trailer(content: bytes, end: int) -> None:
    """Raises ImageTrailingData if a file of a second format follows the image, which ends at ``end``."""
    name = second_format(content[end:])
    if name is not None:
        raise ImageTrailingData(f"{name} follows the end of the image; send the image alone.")


def second_format(trailer: bytes) -> str | None:
    """Return the name of the format that programs would open; None if the bytes are to be cut off."""
    begin = trailer.lstrip(_PADDING)
    return next((name for name, finds in _FORMATS if finds(begin)), None)


def _is_zip(begin: bytes) -> bool:
    """Return whether a ZIP archive begins here, or ends the file: its reader starts at the end."""
    if begin.startswith((b"PK\x03\x04", _END_OF_DIRECTORY)):
        return True
    at = begin.rfind(_END_OF_DIRECTORY, max(0, len(begin) - _END_BYTES - _LONGEST_COMMENT))
    if at < 0 or at + _END_BYTES > len(begin):
        return False
    if begin[max(0, at - 20) :].startswith(b"PK\x06\x07"):  # ZIP64 has a longer directory
        return True
    size = int.from_bytes(begin[at + 12 : at + 16], "little")
    return size <= at and begin[at - size : at - size + 4] in (b"PK\x01\x02", _END_OF_DIRECTORY)


def _is_pdf(begin: bytes) -> bool:
    return b"%PDF-" in begin[:_PDF_HEADER_BYTES]


def _is_markup(begin: bytes) -> bool:
    return _MARKUP.match(begin[:_HEAD]) is not None or _SCRIPT.search(begin) is not None


_FORMATS: Final[tuple[tuple[str, Callable[[bytes], bool]], ...]] = (
    ("A ZIP archive", _is_zip),
    ("A RAR archive", lambda begin: b"Rar!\x1a\x07" in begin),
    ("A 7z archive", lambda begin: b"7z\xbc\xaf\x27\x1c" in begin),
    ("A PDF document", _is_pdf),
    ("HTML or a script", _is_markup),
)
