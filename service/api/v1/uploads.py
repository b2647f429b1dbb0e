"""``/v1/uploads``: store a file and return its URL. The body is streamed to disk and to fal, never held in memory."""

from typing import Any, Final

from fastapi import APIRouter, Request

from service.api.http import multipart
from service.api.http.bodies import declared_length, streamed_body
from service.api.http.dependencies import Creator, Gateway, caller_of, runtime
from service.api.schemas import UploadView, problems
from service.domain.tenant import Scope
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
    summary="Upload an image, a video or an audio file",
    description="The raw bytes with any content type, or a form (`multipart/form-data`) with one file. The bytes "
    "decide whether they are a JPEG, PNG or WebP image (30 MB at most), or, if an enabled model accepts such files, an "
    "MP4 or MOV video (200 MB at most) or an MP3 or WAV audio file (15 MB at most). Of images, all metadata, and what "
    "follows the image, are removed, and the image is rotated by its EXIF orientation. Videos and audio files are "
    "measured, and stored as they are.",
    status_code=201,
    responses=problems(400, 408, 413, 415, 422),
    openapi_extra={"requestBody": _BODY},
)
async def upload_image(request: Request, gateway: Gateway, _caller: Creator) -> UploadView:
    await gateway.tenants.authenticator.confirm(caller_of(request).credential, Scope.GENERATE)
    taken = await stored(request)
    view: UploadView = {
        "id": taken.id,
        "object": "upload",
        "url": taken.url,
        "content_type": taken.content_type,
        "size": taken.size,
        "width": taken.width,
        "height": taken.height,
    }
    if taken.clip is not None:
        view["seconds"] = float(taken.clip.seconds)
        view["codec"] = taken.clip.codec
        rate = taken.clip.frames_per_second
        if rate is not None:
            view["frames_per_second"] = float(rate)
    return view


async def stored(request: Request, place: UploadTarget | None = None) -> Upload:
    """Check the body and store it, at ``place`` if the client has its URL already.

    A form is one by its content type, which has its boundary. Every other body is a file, whatever its content type.
    """
    gateway = runtime(request)
    declared = request.headers.get("content-type", "")
    is_form = declared.partition(";")[0].strip().lower() == FORM
    uploads = gateway.generations.uploads
    limit = uploads.most_bytes + (multipart.OVERHEAD if is_form else 0)
    chunks = streamed_body(request, limit=limit)
    return await uploads.upload(
        request.scope["tenant"],
        multipart.file_of(chunks, declared) if is_form else chunks,
        target=place,
        length=declared_length(request),
    )
