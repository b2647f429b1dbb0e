"""A request to fal by httpx and its answer, whose memory is free when it has been read."""

from contextlib import AbstractAsyncContextManager
from typing import Final

import httpx

from service.upstream.answer_body import LARGEST_ANSWER, read_body
from service.upstream.http_result import HttpResponse, read_response

_NOTHING: Final = httpx.ByteStream(b"")


async def exchange(stream: AbstractAsyncContextManager[httpx.Response], *, most: int = LARGEST_ANSWER) -> HttpResponse:
    """Send the request of ``AsyncClient.stream``, and return its answer. Raises AnswerTooLarge, and errors of httpx."""
    async with stream as answer:
        try:
            content = await read_body(answer.headers, answer.aiter_raw(), most=most)
        finally:
            await answer.aclose()
            # The answer and its stream refer to each other, and to the request and its connection: 60 kB per upload.
            # The garbage collector finds such a cycle only after tens of thousands of new objects.
            answer.stream = _NOTHING
    return read_response(answer.status_code, answer.headers, content)
