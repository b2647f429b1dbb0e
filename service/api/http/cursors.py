"""Pages of lists and their cursors: an id, opaque to callers."""

import base64
import binascii
from typing import Generic, Literal, TypeVar

from typing_extensions import TypedDict

from service.domain import ids
from service.errors import FieldError, Invalid

Item = TypeVar("Item")


class Page(TypedDict, Generic[Item]):
    object: Literal["list"]
    data: list[Item]
    has_more: bool
    next_cursor: str | None


def encode_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, prefix: str) -> str:
    """Return the id in a cursor. Raises Invalid if it is not a cursor over ids of this prefix."""
    try:
        name = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        name = ""
    if not ids.is_id(prefix, name):
        raise Invalid(FieldError("/query/cursor", "is not a cursor of this list", "cursor"))
    return name


def page_of(data: list[Item], after: str | None) -> Page[Item]:
    """Return the envelope of a list; ``after`` is the id where the next page begins, None on the last page."""
    return {
        "object": "list",
        "data": data,
        "has_more": after is not None,
        "next_cursor": None if after is None else encode_cursor(after),
    }
