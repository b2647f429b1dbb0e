"""Server-sent events, as their readers see them (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_LONGEST_LINE: Final = 4_000_000


class NoEvents(Exception):
    """What came is not what our gateway sends."""


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    kind: str
    data: dict[str, Any]


def events(chunks: Iterable[bytes]) -> Iterator[Event | None]:
    """Whole events with an id and a JSON object; None for a comment. What was broken off is not told."""
    fields: dict[str, str] = {}
    for line in _lines(chunks):
        if line.startswith(b":"):
            yield None
        elif line:
            name, _, value = line.decode(errors="replace").partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            if "data" in fields:
                yield _event(fields)
            fields = {}


def _event(fields: dict[str, str]) -> Event:
    try:
        data = json.loads(fields["data"])
    except ValueError:
        raise NoEvents("an event's data is no JSON") from None
    if not isinstance(data, dict):
        raise NoEvents("an event's data is no JSON object")
    return Event(fields.get("id", ""), fields.get("event", "message"), data)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in whole)
        if len(rest) > _LONGEST_LINE:
            raise NoEvents("a line is too long")
