"""Parsed path of a queue call: the head `owner/app`, the rest, and optionally a request id and an action."""

import re
from dataclasses import dataclass

from starlette.requests import Request

HEAD = r"(?P<head>(?:(?:workflows|comfy)/)?[^/]+/[^/]+)"
REQUEST = re.compile(
    HEAD + r"(?P<path>/.+)?/requests/(?P<request_id>[^/]+)(?:/(?P<action>status/stream|status|response|cancel))?/?"
)
ENDPOINT = re.compile(HEAD + r"(?:/(?P<path>.*?))?/?")


@dataclass(frozen=True, slots=True)
class RequestAddress:
    head: str
    path: str  # the real platform does not know this long form and answers 405
    request_id: str
    action: str


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    head: str
    path: str


def request_address(text: str) -> RequestAddress | None:
    found = REQUEST.fullmatch(text)
    return found and RequestAddress(
        found["head"], found["path"] or "", found["request_id"], found["action"] or "response"
    )


def endpoint_address(text: str) -> EndpointAddress | None:
    found = ENDPOINT.fullmatch(text)
    return found and EndpointAddress(found["head"], found["path"] or "")


def base_of(request: Request) -> str:
    """Return the base URL from the Host header: safe for a simulator, unsafe for a public service."""
    return f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
