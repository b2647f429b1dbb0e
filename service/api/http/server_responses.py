"""What the server does outside of the app: errors of requests that no app sees, HTTP/1.0, offers of other protocols."""

import os
import re
import sys
from typing import Any, Final

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service.api.http.responses import PROBLEM_JSON, problem_document
from service.errors import GatewayError, Malformed, MethodUnknown

_OFFER: Final = re.compile(rb"\r\n[Uu]pgrade:")
_HEAD: Final = (
    "content-type: {media}\r\ncontent-length: {length}\r\nx-request-id: {request_id}\r\ncache-control: no-store\r\n"
    "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
)


def refusal(detail: str) -> bytes:
    """Return the bytes of a response to a request that cannot be parsed. It has no path: ``instance`` is empty."""
    error: GatewayError = Malformed(detail)
    if isinstance(sys.exception(), httptools.HttpParserInvalidMethodError):  # uvicorn calls this in its except clause
        error = MethodUnknown("The server does not know this method. OPTIONS of a path returns its methods.")
    request_id = os.urandom(16).hex()
    body = problem_document(error, instance="", request_id=request_id)
    head = _HEAD.format(media=PROBLEM_JSON, length=len(body), request_id=request_id)
    return b"".join((STATUS_LINE[error.status], head.encode(), body))


def without_upgrade(data: bytes) -> bytes:
    """Rename the header ``Upgrade`` of a head: the gateway has no other protocol, and a server may ignore the offer.

    The parser discards the body of a request that offers one. Java's client offers HTTP/2 with every request that is
    not encrypted.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return b"".join((_OFFER.sub(b"\r\nIgnored:", head), end, rest))


def without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> Any:
    """Return the app for one request of an HTTP/1.0 client, which cannot read chunks.

    The end of the connection, which uvicorn closes after each response to such a client, ends a body of unknown length.
    """

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        has_length = False

        async def send_plain(message: Message) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
                cycle.chunked_encoding = None if has_length else False
            elif not has_length:
                cycle.expected_content_length = len(message.get("body", b""))  # uvicorn checks it
            await send(message)

        await app(scope, receive, send_plain)

    return plain
