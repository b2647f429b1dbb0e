"""Parser of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_MAX_LINE_BYTES: Final = 4_000_000


class InvalidStream(Exception):
    """The bytes are not an event stream of the gateway."""


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    kind: str
    data: dict[str, Any]


def events(chunks: Iterable[bytes]) -> Iterator[Event | None]:
    """Yield complete events, whose data is a JSON object, and None for a comment. An incomplete event is dropped."""
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
        raise InvalidStream("the data of an event is not JSON") from None
    if not isinstance(data, dict):
        raise InvalidStream("the data of an event is not a JSON object")
    return Event(fields.get("id", ""), fields.get("event", "message"), data)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in whole)
        if len(rest) > _MAX_LINE_BYTES:
            raise InvalidStream("a line is too long")
