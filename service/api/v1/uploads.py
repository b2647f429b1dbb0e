"""``/v1/uploads``: store an image and return its URL. The body is streamed to disk and to fal, never held in memory."""

from typing import Any, Final

from fastapi import APIRouter, Request

from service.api.http import multipart
from service.api.http.bodies import declared_length, streamed_body
from service.api.http.dependencies import Creator, Gateway, bearer, runtime
from service.api.schemas import UploadView, problems
from service.domain.tenant import Scope, key_id
from service.upstream.storage import UploadTarget
from service.usecases.generations.images import Upload

PATH: Final = "/v1/uploads"
FORM: Final = "multipart/form-data"

#: A form is accepted too, and described in words: generators write invalid functions for bodies of several types.
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}

router = APIRouter(prefix=PATH, tags=["uploads"])


@router.post(
    "",
    summary="Upload an image",
    description="The raw bytes with any content type, or a form (`multipart/form-data`) with one file, 30 MB at most. "
    "The bytes decide whether they are a JPEG, PNG or WebP image. All metadata, and what follows the image, are "
    "removed; the image is rotated by its EXIF orientation.",
    status_code=201,
    responses=problems(400, 408, 413, 415, 422),
    openapi_extra={"requestBody": _BODY},
)
async def upload_image(request: Request, gateway: Gateway, _caller: Creator) -> UploadView:
    await gateway.tenants.authenticator.confirm(key_id(bearer(request)), Scope.GENERATE)
    taken = await stored(request)
    return {
        "id": taken.id,
        "object": "upload",
        "url": taken.url,
        "content_type": taken.content_type,
        "size": taken.size,
        "width": taken.width,
        "height": taken.height,
    }


async def stored(request: Request, place: UploadTarget | None = None) -> Upload:
    """Inspect the body and store it, at ``place`` if the client has its URL already.

    A form is one by its content type, which has its boundary. Every other body is an image, whatever its content type.
    """
    gateway = runtime(request)
    declared = request.headers.get("content-type", "")
    is_form = declared.partition(";")[0].strip().lower() == FORM
    limit = gateway.settings.max_upload_bytes + (multipart.OVERHEAD if is_form else 0)
    chunks = streamed_body(request, limit=limit)
    return await gateway.generations.images.upload(
        request.scope["tenant"],
        multipart.file_of(chunks, declared) if is_form else chunks,
        target=place,
        length=declared_length(request),
    )
