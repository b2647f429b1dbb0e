"""``/v1/uploads``: store an image and return its URL. The body is streamed to disk and to fal, never held in memory."""

from typing import Any, Final

from fastapi import APIRouter, Request

from service.api.http import multipart
from service.api.http.bodies import declared_length, streamed_body
from service.api.http.dependencies import Creator, Gateway, bearer, runtime
from service.api.schemas import UploadView, problems
from service.domain.tenant import Scope, key_id
from service.errors import UnsupportedMedia
from service.upstream.storage import UploadTarget
from service.usecases.generations.images import Upload

PATH: Final = "/v1/uploads"
FORM: Final = "multipart/form-data"
#: Content types that fal's model accepts.
SUFFIX: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}

_BINARY: Final = {"type": "string", "format": "binary"}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        **{name: {"schema": _BINARY} for name in SUFFIX},
        FORM: {
            "schema": {
                "type": "object",
                "properties": {"file": {**_BINARY, "description": "The image, with a file name."}},
                "required": ["file"],
            }
        },
    },
}

router = APIRouter(prefix=PATH, tags=["uploads"])


@router.post(
    "",
    summary="Upload an image",
    description="The raw bytes with their content type, or a form with one file, 30 MB at most. Location, camera and "
    "all other metadata are removed; the image is rotated by its EXIF orientation.",
    status_code=201,
    responses=problems(400, 408, 413, 415, 422),
    openapi_extra={"requestBody": _BODY},
)
async def upload(request: Request, gateway: Gateway, _caller: Creator) -> UploadView:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (*SUFFIX, FORM):
        raise UnsupportedMedia("Send the raw bytes of a JPEG, PNG or WebP image with its content type, or a form.")
    await gateway.tenants.authenticator.confirm(key_id(bearer(request)), Scope.GENERATE)
    taken = await stored(request, content_type)
    return {
        "id": taken.id,
        "object": "upload",
        "url": taken.url,
        "content_type": taken.content_type,
        "size": taken.size,
        "width": taken.width,
        "height": taken.height,
    }


async def stored(request: Request, content_type: str, place: UploadTarget | None = None) -> Upload:
    """Inspect the body and store it, at ``place`` if the client has its URL already."""
    gateway = runtime(request)
    is_form = content_type == FORM
    limit = gateway.settings.max_upload_bytes + (multipart.OVERHEAD if is_form else 0)
    chunks = streamed_body(request, limit=limit)
    return await gateway.generations.images.upload(
        request.scope["tenant"],
        multipart.file_of(chunks, request.headers.get("content-type", "")) if is_form else chunks,
        content_type=None if is_form else content_type,
        target=place,
        length=declared_length(request),
    )
