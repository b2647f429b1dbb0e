"""``ETag`` and ``If-Match`` of objects that have a version: tenants and webhook endpoints."""

from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from service.api.http import etags
from service.errors import FieldError, Invalid
from service.usecases.conflicts import Versions

#: Python raises on integers of more than 4,300 digits.
_MOST_DIGITS: Final = 9

IF_MATCH: Final[dict[str, Any]] = {"name": "If-Match", "in": "header", "schema": {"type": "string"}}
"""The parameter in the OpenAPI document."""


async def _if_match(request: Request) -> Versions:
    lines = request.headers.getlist("if-match")
    if not lines:
        return None
    value = ",".join(lines).strip()
    if _is_version(value):  # without quotes: not a tag, but accepted since the first release
        return frozenset({int(value)})
    tags = etags.tags_of(value)
    if tags is None:
        raise Invalid(FieldError("/header/If-Match", "must be an ETag of this API", "etag"))
    if etags.ANY in tags:
        return None
    return frozenset(int(version) for tag in tags if _is_version(version := tag[1:-1]))


Version = Annotated[Versions, Depends(_if_match)]
"""The versions in ``If-Match``. A weak tag, and a tag that is no version, match nothing."""


def show_version(response: Response, version: int) -> None:
    """Set the ``ETag``."""
    response.headers["etag"] = f'"{version}"'


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and not text.startswith("0")
