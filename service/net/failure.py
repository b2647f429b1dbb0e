"""Classifies network errors of outbound requests into seven kinds."""

import os
import ssl
from typing import Final, Literal

from aiohttp import (
    ClientConnectionError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientPayloadError,
    ClientResponseError,
    ClientSSLError,
)

from service.net.ssrf import AddressRefused

Failure = Literal["refused_address", "dns", "connect", "tls", "timeout", "disconnected", "other"]

_WHILE_WAITING: Final[tuple[tuple[type[Exception], Failure, str], ...]] = (
    (TimeoutError, "timeout", "no answer in time"),
    (ClientConnectionError, "disconnected", "the connection was closed before an answer"),
    (ClientPayloadError, "disconnected", "the connection was closed before an answer"),
    (ConnectionError, "disconnected", "the connection was closed before an answer"),
    (ClientResponseError, "other", "the answer is not HTTP"),
)


def explain(error: Exception) -> tuple[Failure, str]:
    """Return the kind and a detail for the tenant, without the error's text: it can name a resolved address."""
    if isinstance(error, AddressRefused):
        return "refused_address", error.reason
    if isinstance(error, ClientConnectorError):
        return _explain_connect(error)
    matches = ((name, detail) for kind, name, detail in _WHILE_WAITING if isinstance(error, kind))
    return next(matches, ("other", type(error).__name__))


def _explain_connect(error: ClientConnectorError) -> tuple[Failure, str]:
    cause = error.os_error
    if isinstance(cause, AddressRefused):
        return "refused_address", cause.reason
    if isinstance(error, ClientConnectorDNSError):
        return "dns", "the host name does not resolve"
    if isinstance(error, ClientSSLError):
        return "tls", _tls_detail(cause)
    # Without errno several addresses failed, each differently.
    return "connect", os.strerror(cause.errno) if cause.errno else "no address could be reached"


def _tls_detail(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return reason.lower().replace("_", " ") if reason else "the handshake failed"
