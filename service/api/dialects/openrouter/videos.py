"""``/openrouter/api/v1/videos``: submit, read, download, models. The jobs are generations, with the same ids."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from service.api.dialects.openrouter import VIDEOS, submit
from service.api.dialects.openrouter.models import OpenRouterModels, listed
from service.api.dialects.openrouter.openapi import JOB, JOB_ID, MODELS, SUBMIT, SUBMITTED, answers
from service.api.dialects.polls import polled
from service.api.http.dependencies import ANY_KEY, Reader, runtime, tenant
from service.api.http.path_prefix import PREFIX
from service.api.http.raw_route import RawRoute
from service.api.http.response_receipt import NotedResponse
from service.api.http.responses import json_response
from service.api.http.video_response import video_response
from service.api.v1.videos import RANGE, VIDEO
from service.domain import openrouter_view
from service.domain.tenant import Scope
from service.errors import NotFound

router = APIRouter(prefix=VIDEOS, tags=["openrouter"], route_class=RawRoute)
content_router = APIRouter(prefix=VIDEOS, tags=["openrouter"])

_JSON: Final = "application/json"
_JOB_PATH: Final = "/{job_id}"


@router.post(
    "",
    summary="Submit a video (OpenRouter)",
    description="Creates a generation, as `POST /v1/generations` does. A submit that a client repeats because its "
    "response was lost creates nothing.",
    status_code=202,
    responses={**SUBMITTED, **answers(400, 401, 402, 403, 404, 408, 413, 415, 429, 503)},
    openapi_extra=SUBMIT,
)
async def create_openrouter_video(request: Request) -> Response:
    caller = await tenant(request, Scope.GENERATE)
    submission = await submit.submit(request, caller)
    body = to_json(openrouter_view.submitted(submission.generation, _base(request)))
    headers = {"idempotency-replayed": "true"} if submission.creation.replayed else {}
    return NotedResponse(submission.receipt, body, 202, headers=headers, media_type=_JSON)


@router.get(
    "/models",
    summary="List the models that you may use (OpenRouter)",
    description="Families such as `bytedance/seedance-2.0`, and the models themselves.",
    responses={**MODELS, **answers(400, 401, 403, 429, 503)},
)
async def list_openrouter_models(request: Request) -> Response:
    caller = await ANY_KEY(request)
    models: OpenRouterModels = listed(runtime(request).generations.forms, caller.tenant.limits)
    return json_response(models)


@router.get(
    _JOB_PATH,
    summary="Read a video job (OpenRouter)",
    description="Counts against a limit of reads, not against the rate limit, because OpenRouter's clients poll.",
    responses={**JOB, **answers(400, 401, 403, 404, 429, 503)},
    openapi_extra=JOB_ID,
)
async def read_openrouter_video(request: Request) -> Response:
    g = await polled(request, request.path_params["job_id"])
    return json_response(openrouter_view.job(g, _base(request)))


@content_router.get(
    "/{job_id}/content",
    summary="Download a video (OpenRouter)",
    description="The bytes, or a redirect to a URL that serves them. 409 until the job is completed.",
    responses={**VIDEO, **answers(400, 401, 403, 404, 409, 412, 416, 429, 503)},
    response_class=Response,
    openapi_extra={"parameters": [RANGE]},
)
async def read_openrouter_content(
    request: Request,
    caller: Reader,
    job_id: str,
    index: Annotated[int, Query(ge=0, description="Number of the output; a job has one, 0. Default: 0.")] = 0,
) -> Response:
    if index != 0:
        raise NotFound(f"The job has one output, with the index 0, not {index}.")
    return await video_response(request, caller, job_id)


def _base(request: Request) -> str:
    """Return what precedes the path of a link: the configured URL, without one only the prefix of paths."""
    found: str = runtime(request).settings.public_url or request.scope.get(PREFIX, "")
    return found
