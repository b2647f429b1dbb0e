"""``/v1/generations/{id}/video``: serve the stored video (Range supported), or redirect to it."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from service.api.http.dependencies import Reader
from service.api.http.video_response import video_response
from service.api.schemas import problems

router = APIRouter(prefix="/v1/generations", tags=["generations"])

_MP4: Final = {"video/mp4": {"schema": {"type": "string", "format": "binary"}}}
VIDEO: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The video.", "content": _MP4},
    206: {"description": "The part that `Range` requests.", "content": _MP4},
    304: {"description": "Not modified: `If-None-Match` names its ETag."},
    307: {"description": "The video is at `Location`, which needs no key."},
}
RANGE: Final = {
    "name": "Range",
    "in": "header",
    "schema": {"type": "string", "examples": ["bytes=0-1048575"]},
    "description": "The part of the file to return. Default: the whole file.",
}


@router.get(
    "/{generation_id}/video",
    summary="Download the video",
    description="The bytes, with `Range`, `If-Range`, `If-Match` and `If-None-Match`, or a redirect to a URL that "
    "serves them. 409 until the generation has succeeded.",
    responses={**VIDEO, **problems(401, 403, 404, 409, 412, 416, 429, 503)},
    response_class=Response,
    openapi_extra={"parameters": [RANGE]},
)
async def read_video(request: Request, caller: Reader, generation_id: str) -> Response:
    return await video_response(request, caller, generation_id)
