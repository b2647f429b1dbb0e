"""Streaming ``multipart/form-data``: yields the bytes of the one file of a form, and discards other fields.

A part is the file if it has a file name, or if its own name is ``file``: some clients send no file name, or only one in
the form of RFC 5987.
"""

from collections.abc import AsyncIterator
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import Malformed

#: Most bytes of boundaries, headers and other fields in addition to the file.
OVERHEAD: Final = 64 * 1024
#: Most parts of a form. Each costs the event loop time, also an empty one.
MOST_PARTS: Final = 64
_LONGEST_BOUNDARY: Final = 70  # RFC 2046, 5.1.1
_TOO_MANY_PARTS: Final = f"The form has more than {MOST_PARTS} parts."
_TOO_MANY_BYTES: Final = f"The form has more than {OVERHEAD} bytes in addition to its file."


class _Parts:
    """Callbacks of the parser: collect the bytes of the file. Raises Malformed."""

    def __init__(self) -> None:
        self.bytes: list[bytes] = []
        self.file_size = self._count = 0
        self.seen = self.ended = False
        self._name, self._value = b"", b""
        self._is_file = False

    def on_part_begin(self) -> None:
        self._is_file = False
        self._count += 1
        if self._count > MOST_PARTS:
            raise Malformed(_TOO_MANY_PARTS)

    def on_header_begin(self) -> None:
        self._name, self._value = b"", b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition" and _is_file(self._value):
            if self.seen:
                raise Malformed("The form holds more than one file.")
            self.seen = self._is_file = True

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.bytes.append(data[start:end])
            self.file_size += end - start

    def on_end(self) -> None:
        self.ended = True


def _is_file(disposition: bytes) -> bool:
    options = parse_options_header(disposition)[1]
    return b"filename" in options or b"filename*=" in disposition.lower() or options.get(b"name") == b"file"


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that the content type of a form names. Raises Malformed."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise Malformed("The content type names no boundary.")
    if len(boundary) > _LONGEST_BOUNDARY:
        raise Malformed(f"The boundary is longer than {_LONGEST_BOUNDARY} characters.")
    return boundary


def check_delimiters(count: int) -> None:
    """Raise Malformed if a form has more delimiters than parts are allowed.

    To be called before the form is parsed: in Python, the parser looks at each delimiter, and discards those that are
    none.
    """
    if count > MOST_PARTS:
        raise Malformed(_TOO_MANY_PARTS)


async def file_of(chunks: AsyncIterator[bytes], content_type: str) -> AsyncIterator[bytes]:
    """Yield the bytes of the file.

    Raises Malformed if the body is not a form, has no file or several files, or more than a form of one file needs.
    """
    boundary, parts = boundary_of(content_type), _Parts()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": parts.on_part_begin,
            "on_header_begin": parts.on_header_begin,
            "on_header_field": parts.on_header_field,
            "on_header_value": parts.on_header_value,
            "on_header_end": parts.on_header_end,
            "on_part_data": parts.on_part_data,
            "on_end": parts.on_end,
        },
    )
    delimiter, delimiters, size = b"\r\n--" + boundary, 0, 0
    async for chunk in chunks:
        size += len(chunk)
        delimiters += chunk.count(delimiter)
        check_delimiters(delimiters)
        try:
            parser.write(chunk)
        except FormParserError:
            raise Malformed("The body is no multipart/form-data.") from None
        if size - parts.file_size > OVERHEAD:
            raise Malformed(_TOO_MANY_BYTES)
        for piece in parts.bytes:
            yield piece
        parts.bytes.clear()
    if not parts.ended:
        raise Malformed("The body ended early.")
    if not parts.seen:
        raise Malformed("The form holds no file.")
