"""Lists of the console: filters and cursors are in the URL.

A page runs 30 commands in Redis at most, and each row is a command at least. So a page of a list has few rows, and a
page of a search examines few entries: it says how far it has searched, and the next page continues there.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from service.api.http.cursors import decode_cursor, encode_cursor
from service.console.visit import Visit
from service.domain import ids
from service.domain.faults import sentence
from service.domain.timestamps import Moment
from service.errors import FieldError, Invalid

#: Rows of a page, and entries that a search examines for it.
ROWS: Final = 20
_TIME: Final = TypeAdapter(Moment)
Value = TypeVar("Value", bound=StrEnum)


def choice_of(visit: Visit, name: str, kind: type[Value]) -> Value | None:
    """Return the filter ``name``; None: all. Raises Invalid: it is no value of ``kind``."""
    text = visit.query.get(name, "")
    try:
        return kind(text) if text else None
    except ValueError:
        raise Invalid(FieldError(f"/query/{name}", "is not a value of this filter", "enum")) from None


def text_of(visit: Visit, name: str) -> str | None:
    """Return the filter ``name`` without spaces around it; None: all."""
    return visit.query.get(name, "").strip() or None


def time_of(visit: Visit, name: str) -> datetime | None:
    """Return the filter ``name``, a time with an offset; None: all. Raises Invalid."""
    text = text_of(visit, name)
    try:
        return None if text is None else _TIME.validate_python(text)
    except ValidationError as error:
        raise Invalid(FieldError(f"/query/{name}", sentence(error.errors()[0]), "datetime")) from None


def pair_of(text: str) -> tuple[str, str]:
    """Return name and value of the filter ``metadata``. Raises Invalid."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Invalid(FieldError("/query/metadata", "must have the form name=value", "metadata"))
    return name, value


def cursor_of(visit: Visit, prefix: str) -> str | None:
    """Return the id after which the page begins. Raises Invalid."""
    return decode_cursor(visit.query.get("cursor") or None, prefix)


def next_target(visit: Visit, path: str, after: str | None, names: Iterable[str]) -> str | None:
    """Return path and query of the next page with the same filters; None: this is the last one."""
    if after is None:
        return None
    kept = [(name, visit.query[name]) for name in names if visit.query.get(name)]
    return f"{path}?{urlencode([*kept, ('cursor', encode_cursor(after))])}"


def searched_until(after: str | None, *, found: int, rows: int = ROWS) -> datetime | None:
    """Return the creation of the last entry that a search examined; None: the page is full, or the search has ended.

    ``after``: the id of that entry, the cursor of the next page.
    """
    return None if after is None or found >= rows else ids.created_at(after)


def options_of(kind: type[StrEnum]) -> list[tuple[str, str]]:
    """Return the options of a filter: all, and each value."""
    return [("", "all"), *((each.value, each.value) for each in kind)]
