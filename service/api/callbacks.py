"""``/callbacks/fal``: fal reports that a job has ended. It has no key: it signs, and knows the path's token."""

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from service.api.answers import json_response
from service.api.dependencies import runtime
from service.api.schemas import CallbackView, problems
from service.domain.callback import PATH
from service.errors import Malformed, Timeout

#: A callback carries a result of a few hundred bytes, or a list of faults. A larger one is left to polling.
LARGEST_BODY: Final = 64 * 1024
#: fal gives up waiting for an answer after 15.
_BODY_SECONDS: Final = 10

router = APIRouter(prefix=PATH, tags=["callbacks"])


@router.post(
    "/{generation_id}/{token}",
    summary="Report the end of a job (fal only)",
    description="Signed by fal with Ed25519. Whatever is wrong with a callback, the answer is the same 401.",
    responses={200: {"model": CallbackView}, **problems(400, 401, 408, 413, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "title": "FalCallback"}}},
        },
    },
)
async def receive(request: Request, generation_id: str, token: str) -> Response:
    await runtime(request).callbacks.receive(generation_id, token, request.headers, await _body(request))
    answer: CallbackView = {"status": "ok"}
    return json_response(answer)


async def _body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise Timeout(f"The callback took longer than {_BODY_SECONDS} seconds.") from None
    except ClientDisconnect:
        raise Malformed("The body ended early.") from None
