"""``causes``: each kind of connection error has a cause in plain words, and no text of a library with a URL."""

import socket
import ssl

import pytest
from redis.exceptions import AuthenticationError, InvalidResponse
from redis.exceptions import ConnectionError as RedisConnectionError

from service.observability.causes import cause, named


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 1)"), "connection refused"),
        (FileNotFoundError(2, "No such file or directory"), "no such file or directory"),
        (socket.gaierror(-2, "Name or service not known"), "the host name does not resolve"),
        (TimeoutError(), "no answer in time"),
        (untrusted(), "the certificate is not trusted: self-signed certificate"),
        (ssl.SSLError(1, "no reason"), "TLS failed: the handshake failed"),
        (AuthenticationError("invalid username-password pair"), "the server refuses the user or the password"),
        (InvalidResponse('Protocol error, got "H"'), "the answer is not Redis'"),
        (RedisConnectionError("Invalid Database"), "Invalid Database"),
    ],
)
def test_cause_is_that_of_the_inner_error(inner: Exception, expected: str) -> None:
    outer = chained(RuntimeError("redis://:password@10.0.0.1"), inner)
    assert cause(outer) == expected
    assert named(outer) == f"RuntimeError: {expected}"


def test_cause_unknown_is_the_name() -> None:
    error = ValueError("redis://:password@10.0.0.1")
    assert (cause(error), named(error)) == ("ValueError", "ValueError")


def test_cause_of_a_cycle_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert cause(first) == "ValueError"
