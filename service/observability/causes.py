"""Causes of connection errors in plain words, for operators: in logs, in ``doctor`` and on the command line.

The name of an exception (``ConnectionError``) does not say whether a name did not resolve, a port was closed or a
password was wrong. Texts of libraries can hold URLs; the texts here hold none.
"""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final

from redis.exceptions import AuthenticationError, InvalidResponse, RedisError

_LONGEST: Final = 200


def cause(error: BaseException) -> str:
    """Return the first known cause in the chain of an exception, or its name."""
    known = (_known(each) for each in _chain(error))
    return next(filter(None, known), type(error).__name__)


def named(error: BaseException) -> str:
    """Return the name of an exception, with its cause where it is known."""
    name, reason = type(error).__name__, cause(error)
    return name if reason == name else f"{name}: {reason}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that caused it, the innermost first."""
    links = [error]
    while (before := links[-1].__cause__ or links[-1].__context__) is not None and before not in links:
        links.append(before)
    yield from reversed(links)


def _known(error: BaseException) -> str | None:
    return next((text for kind, text_of in _KINDS if isinstance(error, kind) and (text := text_of(error))), None)


def _reason_of_tls(error: ssl.SSLError) -> str:
    reason = getattr(error, "reason", None) or "the handshake failed"
    return f"TLS failed: {reason.lower().replace('_', ' ')}"


#: The first kind that fits: the first four are kinds of OSError.
_KINDS: Final[tuple[tuple[type[BaseException], Callable[[Any], str | None]], ...]] = (
    (ssl.SSLCertVerificationError, lambda error: f"the certificate is not trusted: {error.verify_message}"),
    (ssl.SSLError, _reason_of_tls),
    (socket.gaierror, lambda _: "the host name does not resolve"),
    (TimeoutError, lambda _: "no answer in time"),
    (OSError, lambda error: os.strerror(error.errno).lower() if error.errno else None),
    (AuthenticationError, lambda _: "the server refuses the user or the password"),
    (InvalidResponse, lambda _: "the answer is not Redis'"),
    (RedisError, lambda error: str(error)[:_LONGEST]),
)
