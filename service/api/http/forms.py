"""``multipart/form-data`` of one request in memory: text fields and files by their names."""

from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api.http.multipart import MOST_PARTS, boundary_of, check_delimiters
from service.errors import FieldError, Invalid, Malformed

_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Form:
    texts: list[tuple[str, str]] = field(default_factory=list)
    """In their order. A name that ends with ``[]`` may occur several times."""
    files: dict[str, bytes] = field(default_factory=dict)


class _Reader:
    """Callbacks of the parser. Raises Malformed and Invalid."""

    def __init__(self) -> None:
        self.form = Form()
        self.ended = False
        self._count = 0
        self._seen = set[str]()
        self._begin()

    def on_part_begin(self) -> None:
        self._count += 1
        if self._count > MOST_PARTS:
            raise Malformed(f"The form has more than {MOST_PARTS} parts.")
        self._begin()

    def _begin(self) -> None:
        self._header, self._value, self._disposition = b"", b"", b""
        self._data = bytearray()

    def on_header_begin(self) -> None:
        self._header, self._value = b"", b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += memoryview(data)[start:end]

    def on_part_end(self) -> None:
        options = parse_options_header(self._disposition)[1]
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not 0 < len(name) <= _LONGEST_NAME:
            raise Malformed(f"A part of the form has no name, or one of more than {_LONGEST_NAME} characters.")
        if name in self._seen and not name.endswith("[]"):
            raise Invalid(FieldError(_pointer(name), "must be given once", "repeated"))
        self._seen.add(name)
        if b"filename" in options or b"filename*=" in self._disposition.lower():
            self.form.files[name] = bytes(self._data)
        else:
            self.form.texts.append((name, _text(name, bytes(self._data))))
        self._begin()

    def on_end(self) -> None:
        self.ended = True


def form_of(body: bytes, content_type: str) -> Form:
    """Return the parts of a form.

    Raises:
        Malformed: the body is not a form, ends early, or has too many parts or a part without a name.
        Invalid: two parts have the same name, or a text is not UTF-8.

    """
    boundary, reader = boundary_of(content_type), _Reader()
    check_delimiters(body.count(b"\r\n--" + boundary))
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": reader.on_part_begin,
            "on_part_data": reader.on_part_data,
            "on_part_end": reader.on_part_end,
            "on_header_begin": reader.on_header_begin,
            "on_header_field": reader.on_header_field,
            "on_header_value": reader.on_header_value,
            "on_header_end": reader.on_header_end,
            "on_end": reader.on_end,
        },
    )
    try:
        parser.write(body)
    except FormParserError:
        raise Malformed("The body is no multipart/form-data.") from None
    if not reader.ended:
        raise Malformed("The body ended early.")
    return reader.form


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Invalid(FieldError(_pointer(name), "must be valid Unicode", "string_unicode")) from None


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
