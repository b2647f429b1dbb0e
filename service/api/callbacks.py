"""``/callbacks/fal``: receives fal's callbacks. fal signs each one, and the path has a secret token."""

from typing import Final

from fastapi import APIRouter, Request, Response

from service.api.http.bodies import whole_body
from service.api.http.dependencies import runtime
from service.api.http.responses import json_response
from service.api.schemas import CallbackView, problems
from service.domain.callback import PATH

#: A callback has a result of a few hundred bytes, or a list of faults. A larger one is refused; polling finds the end.
LARGEST_BODY: Final = 64 * 1024
#: fal waits 15 seconds for the response.
_BODY_SECONDS: Final = 10.0

router = APIRouter(prefix=PATH, tags=["callbacks"])


@router.post(
    "/{generation_id}/{token}",
    summary="Report the end of a job (fal only)",
    description="Signed by fal with Ed25519. Every invalid callback gets the same 401.",
    responses={200: {"model": CallbackView}, **problems(400, 401, 408, 413, 415, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "title": "FalCallback"}}},
        },
    },
)
async def receive_callback(request: Request, generation_id: str, token: str) -> Response:
    body = await whole_body(request, limit=LARGEST_BODY, within=_BODY_SECONDS)
    await runtime(request).generations.fal_callbacks.receive(generation_id, token, request.headers, body)
    answer: CallbackView = {"status": "ok"}
    return json_response(answer)
