"""Files in a request, as data URIs: uploaded before the create, so that the record and fal have URLs only."""

from collections.abc import AsyncIterator
from typing import Final

from service.domain import data_uri
from service.domain.data_uri import NotBase64, is_data_uri
from service.domain.measurement import KIND, ClipKind
from service.domain.models.model import FieldType
from service.domain.request import IMAGE_FIELDS, CreateGeneration
from service.domain.tenant import Tenant
from service.errors import ClipFormat, ClipUnreadable, ImageUnreadable
from service.media import spool
from service.media.clips import formats
from service.usecases.generations.clips import Clips
from service.usecases.generations.images import Images

_CLIPS: Final[dict[FieldType, ClipKind]] = {"videos": "video", "audios": "audio"}
_FORMATS: Final[dict[ClipKind, str]] = {"video": "an MP4 or MOV video", "audio": "an MP3 or WAV file"}


class InlineFiles:
    def __init__(self, images: Images, clips: Clips) -> None:
        self._images = images
        self._clips = clips

    async def upload(self, tenant: Tenant, request: CreateGeneration) -> CreateGeneration:
        """Upload the data URIs of a request; return the request with the URLs of the files.

        Raises as ``Images.upload`` and ``Clips.upload``.
        """
        update: dict[str, str | list[str]] = {
            name: await self._uploaded(tenant.id, value, f"/{name}", None)
            for name in IMAGE_FIELDS
            if (value := getattr(request, name)) is not None and is_data_uri(value)
        }
        for kind, name in request.reference_fields.items():
            sources = request.references(kind)
            if any(map(is_data_uri, sources)):
                update[name] = [
                    await self._uploaded(tenant.id, source, f"/{name}/{at}", _CLIPS.get(kind))
                    for at, source in enumerate(sources)
                ]
        return request.model_copy(update=update)

    async def _uploaded(self, tenant_id: str, source: str, pointer: str, kind: ClipKind | None) -> str:
        """Return the URL of a file, after the upload of a data URI. ``kind``: of a clip; None: an image."""
        if not is_data_uri(source):
            return source
        if kind is None:
            return (await self._images.upload(tenant_id, _image(source, pointer), pointer=pointer)).url
        head, chunks = await spool.peek(_clip(source, pointer), formats.HEAD_LENGTH)
        container = formats.container_of(head)
        if container is None or KIND[container] != kind:
            raise ClipFormat(f"must be {_FORMATS[kind]}", pointer=pointer)
        return (await self._clips.upload(tenant_id, container, chunks, pointer=pointer)).url


async def _image(uri: str, pointer: str) -> AsyncIterator[bytes]:
    try:
        for piece in data_uri.decoded(uri):
            yield piece
    except NotBase64 as error:
        raise ImageUnreadable(f"the data URI {error}", pointer=pointer) from None


async def _clip(uri: str, pointer: str) -> AsyncIterator[bytes]:
    try:
        for piece in data_uri.decoded(uri):
            yield piece
    except NotBase64 as error:
        raise ClipUnreadable(f"the data URI {error}", pointer=pointer) from None
