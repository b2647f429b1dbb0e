"""Reads of clients that poll a job, such as every two seconds."""

from fastapi import Request

from service.api.http.dependencies import authenticate_poll, bearer, count_call, runtime
from service.api.http.queries import check_query
from service.domain.generation import Generation
from service.errors import NotFound


async def polled(request: Request, generation_id: str) -> Generation:
    """Authenticate a poll, and return its generation. Raises NotFound, Unauthenticated, Forbidden, RateLimited."""
    caller = await authenticate_poll(request, bearer(request), generation_id)
    check_query(request)
    try:
        return await runtime(request).generations.reader.get(caller, generation_id)
    except NotFound:
        # An unknown id has no pollers: the read is an ordinary call, so that ids cannot be tried at the pace of polls.
        await count_call(request, caller)
        raise
