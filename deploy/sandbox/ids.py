"""Identifiers shaped like fal's: request ids are UUID version 7, file names are random words."""

import secrets
import time
import uuid


def request_id() -> str:
    milliseconds = time.time_ns() // 1_000_000
    version_and_variant = (7 << 76) | (2 << 62)
    entropy = secrets.randbits(74)
    tail = (entropy >> 62 << 64) | (entropy & ((1 << 62) - 1))
    return str(uuid.UUID(int=(milliseconds << 80) | version_and_variant | tail))


def word(length: int = 22) -> str:
    return secrets.token_urlsafe(length)[:length]
