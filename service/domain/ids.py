"""Opaque ids that sort by creation time: a prefix that says what they name, 48 bits of time, 80 bits of chance."""

import secrets
from datetime import UTC, datetime
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread
_VALUES: Final = {letter: value for value, letter in enumerate(ALPHABET)}
_TIME_LENGTH: Final = 10
_LENGTH: Final = 26

GENERATION: Final = "gen"
DELIVERY: Final = "msg"
TENANT: Final = "ten"


def new(prefix: str, now: datetime) -> str:
    """``<prefix>_<26 characters>``; ids made in a later millisecond sort after earlier ones."""
    return f"{prefix}_{_encode(milliseconds(now) << 80 | secrets.randbits(80), _LENGTH)}"


def lowest(prefix: str, moment: datetime) -> str:
    """The smallest id a thing made at this moment could have: a bound for ranges over ids."""
    return f"{prefix}_{_encode(milliseconds(moment), _TIME_LENGTH)}"


def is_id(prefix: str, text: str) -> bool:
    head, _, body = text.partition("_")
    return head == prefix and len(body) == _LENGTH and all(letter in _VALUES for letter in body)


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def from_milliseconds(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1000, UTC)


def _encode(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> shift & 31] for shift in range((length - 1) * 5, -1, -5))
