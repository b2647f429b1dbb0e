"""Forms of the console: ``application/x-www-form-urlencoded`` within bounds."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from service.api.http.bodies import whole_body
from service.api.http.request_headers import header
from service.errors import Malformed, UnsupportedMedia

_MOST_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 500
_SECONDS: Final = 30.0
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    fields: tuple[tuple[str, str], ...] = ()

    def text(self, name: str) -> str:
        """Return the first value of a field without spaces around it, "" without the field."""
        return next((value.strip() for given, value in self.fields if given == name), "")

    def all(self, name: str) -> list[str]:
        """Return all values of a field, for example of checkboxes."""
        return [value for given, value in self.fields if given == name]


async def read_form(request: Request) -> Form:
    """Read the body. Raises Malformed, UnsupportedMedia, TooLarge, Timeout."""
    media = header(request.scope, b"content-type").partition(";")[0].strip().lower()
    body = await whole_body(request, limit=_MOST_BYTES, within=_SECONDS)
    if not body:
        return Form()
    if media != _MEDIA_TYPE:
        raise UnsupportedMedia("The body is not a form.")
    try:
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, encoding="utf-8", errors="strict"
        )
    except ValueError:  # not ASCII, not UTF-8 when decoded, or too many fields
        raise Malformed(f"The form cannot be read. It may have {_MOST_FIELDS} fields of UTF-8 text.") from None
    return Form(tuple(fields))
