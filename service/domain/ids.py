"""Opaque ids that sort by creation time: a prefix for the type, 48 bits of time in ms, 80 random bits (as a ULID)."""

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, without the easily misread i, l, o, u
_TO_BASE32HEX: Final = str.maketrans(ALPHABET, "0123456789ABCDEFGHIJKLMNOPQRSTUV")
#: Text of ten bits. ``base64.b32hexencode`` is written in Python and takes twice the time.
_PAIRS: Final = tuple(first + second for first in ALPHABET for second in ALPHABET)
_SHIFTS: Final = range(120, -1, -10)
_VALUES: Final = frozenset(ALPHABET)
_LENGTH: Final = 26  # characters for 128 bits
_RANDOM_BITS: Final = 80
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

GENERATION: Final = "gen"
DELIVERY: Final = "msg"
TENANT: Final = "ten"
ENDPOINT: Final = "whe"
UPLOAD: Final = "upl"
USAGE_REPORT: Final = "usr"
OPERATOR: Final = "opr"
ACT: Final = "act"
BULK_JOB: Final = "blk"
TRUSTED_ISSUER: Final = "iss"


def new(prefix: str, now: datetime) -> str:
    """Return ``<prefix>_<26 characters>``. An id made in a later millisecond sorts after earlier ones."""
    randomness = int.from_bytes(os.urandom(_RANDOM_BITS // 8))
    return f"{prefix}_{_text(milliseconds(now) << _RANDOM_BITS | randomness)}"


def of_text(prefix: str, text: str) -> str:
    """Return the id that a text determines, always the same one. Its time means nothing."""
    return f"{prefix}_{_text(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))}"


def lowest(prefix: str, moment: datetime) -> str:
    """Return the smallest id that can be made at this time: a bound for ranges over ids."""
    return f"{prefix}_{_text(milliseconds(moment) << _RANDOM_BITS)}"


def is_id(prefix: str, text: str) -> bool:
    head, _, body = text.partition("_")
    return head == prefix and len(body) == _LENGTH and _VALUES.issuperset(body)


def packed(name: str) -> bytes:
    """Return the 16 bytes of an id, without its prefix."""
    body = name[-_LENGTH:].translate(_TO_BASE32HEX)
    return base64.b32hexdecode(body + "======")


def unpacked(prefix: str, value: bytes) -> str:
    return f"{prefix}_{_text(int.from_bytes(value))}"


def created_at(name: str) -> datetime:
    """Return when this id was made, to the millisecond."""
    return from_milliseconds(int.from_bytes(packed(name)) >> _RANDOM_BITS)


def milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND  # integers: floating point is sometimes off by one


def from_milliseconds(value: int) -> datetime:
    return _EPOCH + value * _MILLISECOND


def _text(number: int) -> str:
    bits = number << 2  # 26 characters hold 130 bits
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])
