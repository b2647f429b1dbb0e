"""Cursors: opaque to callers, an id to us."""

import base64
import binascii

from service.domain import ids
from service.errors import FieldError, Invalid


def encode_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, prefix: str) -> str:
    """Raises Invalid where it is not a cursor over ids of this prefix."""
    try:
        name = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        name = ""
    if not ids.is_id(prefix, name):
        raise Invalid(FieldError("/query/cursor", "is not a cursor of this list", "cursor"))
    return name
