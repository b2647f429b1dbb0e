"""Data URIs with base64, read by the rules of the WHATWG (Fetch, 6; Infra, "forgiving-base64 decode").

The media type and its parameters are ignored: the bytes decide what they are.
"""

import binascii
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

_SCHEME: Final = re.compile(r"[\x00-\x20]*data:", re.IGNORECASE)
_BASE64: Final = re.compile(r"; *base64\Z", re.IGNORECASE)
#: Characters up to the comma.
_LONGEST_HEAD: Final = 1024
_WHITESPACE: Final = b"\t\n\f\r "
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#: Characters that are decoded together: no second copy of the whole is in memory, and other calls run in between.
_PIECE: Final = 64 * 1024


class NotBase64(ValueError):
    """The data cannot be decoded; the message is the reason."""


def is_data_uri(value: str) -> bool:
    return _SCHEME.match(value) is not None


def has_base64(uri: str) -> bool:
    """Return whether the data of a data URI is declared as base64."""
    head, comma, _ = uri[:_LONGEST_HEAD].partition(",")
    return bool(comma) and _BASE64.search(head.strip()) is not None


def decoded(uri: str) -> Iterator[bytes]:
    """Yield the bytes of a data URI with base64, in pieces. Raises NotBase64."""
    rest = b""  # the last characters so far: only the end may have padding
    for piece in _unquoted(uri, uri.index(",") + 1):
        text = rest + piece.translate(None, _WHITESPACE)
        end = max(0, len(text) - 1) // 4 * 4
        rest = text[end:]
        yield _decode(text[:end])
    yield _decode(_without_padding(rest))


def _unquoted(uri: str, start: int) -> Iterator[bytes]:
    """Yield the data in pieces, percent-decoded."""
    at = start
    while at < len(uri):
        end = at + _PIECE
        end += uri[end - 2 : end].rfind("%") + 1  # a sequence of three characters is not cut
        yield unquote_to_bytes(uri[at:end])
        at = end


def _without_padding(quad: bytes) -> bytes:
    return quad[:-2] + quad[-2:].rstrip(b"=") if len(quad) == 4 else quad


def _decode(text: bytes) -> bytes:
    if wrong := text.translate(None, _ALPHABET):
        if not wrong.strip(b"-_"):
            raise NotBase64("has base64url (with - and _); encode the image as standard base64 (with + and /)")
        raise NotBase64("is not valid base64")
    if len(text) % 4 == 1:
        raise NotBase64("is not valid base64: it ends early")
    return binascii.a2b_base64(text + b"==")  # more padding than needed is ignored
