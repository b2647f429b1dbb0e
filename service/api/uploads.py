"""``/v1/uploads``: an image's bytes in, a URL for ``image_url`` out; streamed to disk and on, never held whole."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from service.api import multipart
from service.api.answers import json_response
from service.api.dependencies import runtime, tenant
from service.api.schemas import UploadView, problems
from service.domain.tenant import Scope
from service.errors import Malformed, UnsupportedMedia

PATH: Final = "/v1/uploads"
FORM: Final = "multipart/form-data"
_IMAGES: Final = ("image/jpeg", "image/png", "image/webp")

_BINARY: Final = {"type": "string", "format": "binary"}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        **{name: {"schema": _BINARY} for name in _IMAGES},
        FORM: {"schema": {"type": "object", "properties": {"file": _BINARY}, "required": ["file"]}},
    },
}

router = APIRouter(prefix=PATH, tags=["uploads"])


@router.post(
    "",
    summary="Upload an image",
    description="The bytes themselves, or a form with one file. Location, camera and all other data beside the picture "
    "is removed; a picture that its camera says to turn is turned.",
    status_code=201,
    responses={201: {"model": UploadView}, **problems(400, 401, 403, 408, 413, 415, 422, 429, 503)},
    openapi_extra={"requestBody": _BODY},
)
async def upload(request: Request) -> Response:
    await tenant(request, Scope.GENERATE)
    given = request.headers.get("content-type", "")
    content_type = given.partition(";")[0].strip().lower()
    if content_type not in (*_IMAGES, FORM):
        raise UnsupportedMedia("Send the raw bytes of a JPEG, PNG or WebP image with its content type, or a form.")
    images = runtime(request).images
    try:
        if content_type == FORM:
            taken = await images.upload(multipart.file_of(request.stream(), given))
        else:
            taken = await images.upload(request.stream(), content_type=content_type)
    except ClientDisconnect:
        raise Malformed("The body ended early.") from None
    answer: UploadView = {
        "id": taken.id,
        "object": "upload",
        "url": taken.url,
        "content_type": taken.content_type,
        "size": taken.size,
        "width": taken.width,
        "height": taken.height,
    }
    return json_response(answer, status=201)
