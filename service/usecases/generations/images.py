"""Images in: spooled to disk, inspected and cleaned, stored where fal can fetch them."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.request import IMAGE_FIELDS, CreateGeneration, is_data_uri
from service.domain.tenant import Tenant
from service.errors import BadImage, ImageUnreadable, Timeout, Unavailable
from service.media import spool
from service.media.inspector import Inspector
from service.observability import metrics
from service.upstream.storage import FalStorage, UploadTarget
from service.usecases.generations.concurrency import ConcurrencyLimiter

#: Creates whose images are data URIs, at a time: each holds its images in memory several times over.
_INLINE_AT_A_TIME: Final = 4
#: With those that wait for it, of all tenants and of one: each with a body of up to ``max_inline_bytes``, twice.
_INLINE_HELD: Final = 32
_INLINE_OF_A_TENANT: Final = 8


@dataclass(frozen=True, slots=True)
class Upload:
    id: str
    url: str
    content_type: str
    size: int
    width: int
    height: int


class Images:
    def __init__(
        self, inspector: Inspector, storage: FalStorage, *, most_bytes: int, timeout: timedelta, clock: Clock
    ) -> None:
        self._inspector = inspector
        self._storage = storage
        self._most_bytes = most_bytes
        self._timeout = timeout
        self._clock = clock
        self._inline = asyncio.Semaphore(_INLINE_AT_A_TIME)
        self._held = 0
        self._places = ConcurrencyLimiter(_INLINE_OF_A_TENANT)

    async def upload(
        self,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str | None = None,
        place: UploadTarget | None = None,
        pointer: str = "",
    ) -> Upload:
        """Take an image in; nothing leaves for fal before it is known to be one. ``place``: where it was promised.

        Raises:
            BadImage: it cannot be used, or is not of the ``content_type`` it is said to be.
            TooLarge, Malformed: it has too many bytes, or none.
            Timeout: it took too long to arrive.
            UpstreamUnavailable: fal's storage did not take it.

        """
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                upload = await self._upload(chunks, content_type, place, pointer)
        except TimeoutError:
            raise Timeout(f"The upload took longer than {self._timeout.total_seconds():g} seconds.") from None
        except BadImage as bad:
            metrics.IMAGES.labels(bad.code).inc()
            raise
        metrics.IMAGES.labels("accepted").inc()
        return upload

    async def _upload(
        self, chunks: AsyncIterator[bytes], content_type: str | None, place: UploadTarget | None, pointer: str
    ) -> Upload:
        async with spool.spool() as raw, spool.spool() as clean:
            await spool.fill(raw, chunks, most=self._most_bytes)
            picture = await self._inspector.inspect(raw, clean, content_type=content_type, pointer=pointer)
            size = clean.seek(0, 2)
            media = picture.content_type
            if place is None:
                place = await self._storage.create_target(content_type=media, file_name=f"image.{picture.suffix}")
            await self._storage.put(place, spool.read(clean), content_type=media, size=size)
        return Upload(ids.new(ids.UPLOAD, self._clock()), place.file_url, media, size, picture.width, picture.height)

    async def with_uploaded_images(self, tenant: Tenant, request: CreateGeneration) -> CreateGeneration:
        """The same with its data URIs uploaded, and their URLs in their place.

        Raises as ``upload`` does, and Unavailable while too many are at it, of this tenant or of all.
        """
        if self._held >= _INLINE_HELD or not self._places.take(tenant.id):
            raise Unavailable("As many images are waiting to be taken in as can be held.")
        self._held += 1
        try:
            async with self._inline:
                return request.model_copy(update=await self._urls(request))
        finally:
            self._held -= 1
            self._places.give_back(tenant.id)

    async def _urls(self, request: CreateGeneration) -> dict[str, str]:
        return {
            name: (await self.upload(_decoded(value, f"/{name}"), pointer=f"/{name}")).url
            for name in IMAGE_FIELDS
            if (value := getattr(request, name)) is not None and is_data_uri(value)
        }


async def _decoded(uri: str, pointer: str) -> AsyncIterator[bytes]:
    try:
        yield base64.b64decode(uri.partition(",")[2], validate=True)
    except binascii.Error:
        raise ImageUnreadable("the data URI is no valid base64", pointer=pointer) from None
