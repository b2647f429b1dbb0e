"""Opaque ids that sort by creation time: a prefix that says what they name, 48 bits of time, 80 bits of chance."""

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread
_FROM_BASE32HEX: Final = str.maketrans("0123456789ABCDEFGHIJKLMNOPQRSTUV", ALPHABET)
_TO_BASE32HEX: Final = str.maketrans(ALPHABET, "0123456789ABCDEFGHIJKLMNOPQRSTUV")
_VALUES: Final = frozenset(ALPHABET)
_LENGTH: Final = 26  # characters for 128 bits
_BYTES: Final = 16
_CHANCE_BITS: Final = 80
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

GENERATION: Final = "gen"
DELIVERY: Final = "msg"
TENANT: Final = "ten"
ENDPOINT: Final = "whe"
UPLOAD: Final = "upl"


def new(prefix: str, now: datetime) -> str:
    """``<prefix>_<26 characters>``; ids made in a later millisecond sort after earlier ones."""
    chance = int.from_bytes(os.urandom(_CHANCE_BITS // 8), "big")
    return f"{prefix}_{_encode(milliseconds(now), chance)}"


def lowest(prefix: str, moment: datetime) -> str:
    """The smallest id a thing made at this moment could have: a bound for ranges over ids."""
    return f"{prefix}_{_encode(milliseconds(moment), 0)}"


def is_id(prefix: str, text: str) -> bool:
    head, _, body = text.partition("_")
    return head == prefix and len(body) == _LENGTH and _VALUES.issuperset(body)


def packed(name: str) -> bytes:
    """The 16 bytes of an id without its prefix."""
    body = name.partition("_")[2].translate(_TO_BASE32HEX)
    return base64.b32hexdecode(body + "======")


def unpacked(prefix: str, value: bytes) -> str:
    return f"{prefix}_{_text(value)}"


def created_at(name: str) -> datetime:
    """When the thing with this id was made, to the millisecond."""
    return from_milliseconds(int.from_bytes(packed(name), "big") >> _CHANCE_BITS)


def milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND  # whole numbers: floating point loses one now and then


def from_milliseconds(value: int) -> datetime:
    return _EPOCH + value * _MILLISECOND


def _encode(time: int, chance: int) -> str:
    return _text((time << _CHANCE_BITS | chance).to_bytes(_BYTES, "big"))


def _text(value: bytes) -> str:
    return base64.b32hexencode(value).decode().translate(_FROM_BASE32HEX)[:_LENGTH]
