"""Pages of lists and their cursors, opaque to callers: an id, or a position in an order that is not by id."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final, Generic, Literal, TypeVar

from typing_extensions import TypedDict

from service.domain import ids
from service.errors import FieldError, Invalid

Item = TypeVar("Item")

_OFFSET: Final = re.compile("[0-9]{1,12}")


class Page(TypedDict, Generic[Item]):
    object: Literal["list"]
    data: list[Item]
    has_more: bool
    next_cursor: str | None


def encode_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, prefix: str, pointer: str = "/query/cursor") -> str | None:
    """Return the id in a cursor; None without a cursor. Raises Invalid if it is not one over ids of this prefix."""
    if cursor is None:
        return None
    name = _text(cursor)
    if not ids.is_id(prefix, name):
        raise _invalid(pointer)
    return name


def decode_name(cursor: str | None) -> str | None:
    """Return the text in a cursor of a list by name; None without a cursor. Raises Invalid."""
    if cursor is None:
        return None
    if not (name := _text(cursor)):
        raise _invalid("/query/cursor")
    return name


def encode_offset(offset: int) -> str:
    return encode_cursor(str(offset))


def decode_offset(cursor: str | None) -> int:
    """Return the number of entries before a page; 0 without a cursor. Raises Invalid if it is not such a cursor."""
    text = "0" if cursor is None else _text(cursor)
    if not _OFFSET.fullmatch(text):
        raise _invalid("/query/cursor")
    return int(text)


def decode_text(cursor: str, is_valid: Callable[[str], bool]) -> str:
    """Return the text in a cursor. Raises Invalid if it is not one of this list."""
    text = _text(cursor)
    if not is_valid(text):
        raise _invalid("/query/cursor")
    return text


def _text(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def _invalid(pointer: str) -> Invalid:
    return Invalid(FieldError(pointer, "is not a cursor of this list", "cursor"))


def page_of(data: list[Item], after: str | None) -> Page[Item]:
    """Return the envelope of a list; ``after`` is the id where the next page begins, None on the last page."""
    return {
        "object": "list",
        "data": data,
        "has_more": after is not None,
        "next_cursor": None if after is None else encode_cursor(after),
    }
