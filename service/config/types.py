"""Types of settings. An error message describes the fault; it does not quote the value, which may be a secret."""

import re
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, PlainSerializer, SecretStr

from service.config.redis_urls import SCHEMES, Sentinels, UnixSocket

_WELL_KNOWN: Final = frozenset({"secret", "changeme", "change-me", "password", "admin", "test", "sk-1234"})
_SHORTEST_TOKEN: Final = 16
_KEY_BITS: Final = 256
#: 64 random hexadecimal digits have fewer distinct ones in less than one case of ten million.
_FEWEST_CHARACTERS: Final = 8
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
#: Words of placeholders. A random key has one in less than one case of ten thousand.
_WORDS: Final = ("secret", "passw", "change", "example", "gateway", "qwerty", "random")
_PRINTABLE_ASCII: Final = re.compile(r"[!-~]+")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
#: The first segments of the gateway's own paths. A public URL below one of them is ambiguous: behind a proxy that
#: removes prefixes, ``/v1/generations`` is a route; behind another, it is ``/generations`` below the prefix ``/v1``.
OWN_SEGMENTS: Final = frozenset(
    {
        ".well-known",
        "admin",
        "callbacks",
        "console",
        "docs",
        "fal",
        "healthz",
        "llms.txt",
        "openai",
        "openapi.json",
        "openrouter",
        "readyz",
        "v1",
        "vercel",
    }
)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def hard_to_guess(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text.lower() in _WELL_KNOWN or len(text) < _SHORTEST_TOKEN:
        raise ValueError(f"must be a random secret of at least {_SHORTEST_TOKEN} characters")
    return value


def random_key(text: str) -> None:
    """Check that a key holds 32 random bytes, as far as its text shows. Raises ValueError.

    A person's choice is shorter or repeats itself. It could be guessed offline with a copy of Redis.
    """
    bits = len(text.rstrip("=")) * (4 if _HEX.fullmatch(text) else 6 if _has_both_cases(text) else 5)
    repeats = text in (text + text)[1:-1] or len(set(text)) < _FEWEST_CHARACTERS
    steps = sum(abs(ord(after) - ord(before)) <= 1 for before, after in pairwise(text))
    known = any(word in text.lower() for word in _WORDS)
    if bits < _KEY_BITS or repeats or known or steps > len(text) / 2:
        raise ValueError("must be at least 32 random bytes; this command makes them: openssl rand -hex 32")


def _has_both_cases(text: str) -> bool:
    return text.lower() != text and text.upper() != text


def _sendable(value: SecretStr) -> SecretStr:
    """Refuse what an HTTP header cannot carry.

    A newline at the end, as files have, would fail each request that carries the value: a submit too, after its intent
    is written.
    """
    if not _PRINTABLE_ASCII.fullmatch(value.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces and without a newline at its end")
    return value


def _without_last_slash(value: str) -> str:
    return str(HttpUrl(value)).rstrip("/")


def _public_url(value: str) -> str:
    url = _without_last_slash(value)
    parts = urlsplit(url)
    if "?" in url or "#" in url or "@" in parts.netloc:
        raise ValueError("must be a scheme, a host and a path, without login, query and fragment")
    if not _PREFIX.fullmatch(parts.path):
        raise ValueError("its path may have letters, digits and . _ ~ - between single slashes")
    if (first := parts.path.split("/")[1:2]) and first[0] in OWN_SEGMENTS:
        raise ValueError(f"its path must not begin with /{first[0]}, with which routes of the gateway begin")
    return url


def _issuer_url(value: str) -> str:
    """Check an issuer, and change nothing: tokens have its exact text."""
    parts = urlsplit(_with_valid_port(value))
    if (
        not _PRINTABLE_ASCII.fullmatch(value)
        or not parts.hostname
        or "@" in parts.netloc
        or "?" in value
        or "#" in value
    ):
        raise ValueError("must be a scheme, a host and a path, without login, query and fragment")
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in _LOOPBACK):
        raise ValueError("must begin with https://; http:// is possible at localhost, 127.0.0.1 and [::1]")
    return value


def _proxy_url(value: str) -> str:
    parts = urlsplit(_with_valid_port(value))
    # TLS to the proxy would be a second layer around the TLS of each connection, which not every client here supports.
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be http://host:port or http://user:password@host:port")
    return value.rstrip("/")


def _redis_url(value: str) -> str:
    scheme = value.partition("://")[0]
    known = ("redis", "rediss", "unix", *SCHEMES)
    if scheme not in known:
        raise ValueError(f"must begin with one of {', '.join(f'{name}://' for name in known)}")
    Sentinels.parse(value)  # raises if the URL is incomplete
    UnixSocket.parse(value)
    return _with_valid_port(value)


def _broker_url(value: str) -> str:
    Sentinels.parse(value)  # Celery checks the other kinds
    UnixSocket.parse(value)
    return _with_valid_port(value) if value.startswith(("redis://", "rediss://")) else value


def _with_valid_port(url: str) -> str:
    """Refuse a URL without a valid port.

    Where a password has a ``/``, ``urlsplit`` takes the text before the ``/`` for the port, and an exception would
    quote that text in a log.
    """
    if url.startswith(SCHEMES):
        return url
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError(
            "the port is a number up to 65535; /, # and ? in a password are written %2F, %23, %3F"
        ) from None
    return url


def _number_of_seconds(value: Any) -> Any:
    """Convert text to a number. Variables are text, and pydantic does not parse a number in text as a duration."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _host_suffix(value: str) -> str:
    host = value.lower().strip(".")
    if not _HOST.fullmatch(host):
        raise ValueError("must be a host name like receiver.internal")
    return host


HostSuffix = Annotated[str, AfterValidator(_host_suffix)]
Token = Annotated[SecretStr, AfterValidator(hard_to_guess)]
SentToken = Annotated[Token, AfterValidator(_sendable)]
Key = Annotated[SecretStr, AfterValidator(_sendable)]
BaseUrl = Annotated[str, AfterValidator(_without_last_slash)]
IssuerUrl = Annotated[str, AfterValidator(_issuer_url)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
ProxyUrl = Annotated[str, AfterValidator(_proxy_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
BrokerUrl = Annotated[str, AfterValidator(_broker_url)]
Seconds = Annotated[
    timedelta, BeforeValidator(_number_of_seconds), PlainSerializer(lambda value: value.total_seconds())
]
Wait = Annotated[Seconds, Field(ge=timedelta(0))]
