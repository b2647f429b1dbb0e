"""Parses a submit: body, query and the headers that the platform uses."""

import json
import time
from typing import Any

from starlette.requests import Request

from sandbox import ids
from sandbox.faults import Behaviour, UnknownFaultError, behaviour_of
from sandbox.job import Job
from sandbox.routes.address import EndpointAddress, base_of

#: Minimum start deadline that the server accepts, in seconds.
SHORTEST_TIMEOUT = 0.1


class BadOrderError(ValueError):
    """The platform cannot read the request: 400 `bad_request`."""


async def read_order(request: Request, address: EndpointAddress) -> Job:
    given = await _json(request)
    return Job(
        request_id=ids.request_id(),
        head=address.head,
        path=address.path,
        base=base_of(request),
        input=given,
        behaviour=_behaviour(given),
        created_at=time.time(),
        webhook_url=request.query_params.get("fal_webhook"),
        low_priority=request.headers.get("x-fal-queue-priority") == "low",
        start_timeout=_start_timeout(request),
    )


def max_queue_length(request: Request) -> int | None:
    text = request.query_params.get("fal_max_queue_length")
    try:
        return None if text is None else int(text)
    except ValueError as error:
        raise BadOrderError("fal_max_queue_length is not a number") from error


async def _json(request: Request) -> Any:
    """An empty body is `{}`: what the JS client sends for no input."""
    body = await request.body()
    try:
        return json.loads(body or b"{}")
    except ValueError as error:
        raise BadOrderError("The request body is not valid JSON") from error


def _behaviour(given: Any) -> Behaviour:
    prompt = given.get("prompt") if isinstance(given, dict) else None
    try:
        return behaviour_of(prompt if isinstance(prompt, str) else "")
    except UnknownFaultError as error:
        raise BadOrderError(str(error)) from error


def _start_timeout(request: Request) -> float | None:
    text = request.headers.get("x-fal-request-start-timeout") or request.headers.get("x-fal-request-timeout")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError as error:
        raise BadOrderError("X-Fal-Request-Timeout is not a number") from error
    if not seconds > SHORTEST_TIMEOUT:
        raise BadOrderError(f"X-Fal-Request-Timeout must be greater than {SHORTEST_TIMEOUT}")
    return seconds
