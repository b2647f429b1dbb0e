"""Image uploads: spooled to disk, inspected, stripped of metadata, and stored where fal can fetch them."""

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

#: Creates with data URIs that are processed concurrently: each holds its images in memory several times.
_INLINE_CONCURRENCY: Final = 4
#: Creates with data URIs that are processed or wait, of all tenants and of one. Each holds twice its body, which may
#: have ``max_inline_bytes``.
_INLINE_LIMIT: Final = 32
_INLINE_TENANT_LIMIT: Final = 8


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
        self, inspector: Inspector, storage: FalStorage, *, max_bytes: int, timeout: timedelta, clock: Clock
    ) -> None:
        self._inspector = inspector
        self._storage = storage
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._clock = clock
        self._inline = asyncio.Semaphore(_INLINE_CONCURRENCY)
        self._held = 0
        self._limiter = ConcurrencyLimiter(_INLINE_TENANT_LIMIT)

    async def upload(
        self,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str | None = None,
        target: UploadTarget | None = None,
        pointer: str = "",
    ) -> Upload:
        """Inspect an image, then store it: fal's storage receives only valid images.

        ``target``: the upload target that the client was given before. ``pointer``: the field that errors name.

        Raises:
            BadImage: the image is invalid, or its format is not ``content_type``.
            TooLarge, Malformed: it has too many bytes, or none.
            Timeout: the upload took too long.
            UpstreamUnavailable: fal's storage did not accept it.

        """
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                upload = await self._upload(chunks, content_type, target, pointer)
        except TimeoutError:
            raise Timeout(f"The upload took longer than {self._timeout.total_seconds():g} seconds.") from None
        except BadImage as bad:
            metrics.IMAGES.labels(bad.code).inc()
            raise
        metrics.IMAGES.labels("accepted").inc()
        return upload

    async def _upload(
        self, chunks: AsyncIterator[bytes], content_type: str | None, target: UploadTarget | None, pointer: str
    ) -> Upload:
        async with spool.spool() as raw, spool.spool() as clean:
            await spool.fill(raw, chunks, most=self._max_bytes)
            image = await self._inspector.inspect(raw, clean, content_type=content_type, pointer=pointer)
            size = clean.seek(0, 2)
            media = image.content_type
            if target is None:
                target = await self._storage.create_target(content_type=media, file_name=f"image.{image.suffix}")
            await self._storage.put(target, spool.read(clean), content_type=media, size=size)
        return Upload(ids.new(ids.UPLOAD, self._clock()), target.file_url, media, size, image.width, image.height)

    async def with_uploaded_images(self, tenant: Tenant, request: CreateGeneration) -> CreateGeneration:
        """Upload the data URIs of a request; return the request with the URLs of the uploaded images.

        Raises as ``upload``, and Unavailable at the limit of concurrent uploads, of this tenant or of all.
        """
        if self._held >= _INLINE_LIMIT or not self._limiter.acquire(tenant.id):
            raise Unavailable("Too many images are being processed; try again.")
        self._held += 1
        try:
            async with self._inline:
                return request.model_copy(update=await self._urls(request))
        finally:
            self._held -= 1
            self._limiter.release(tenant.id)

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
        raise ImageUnreadable("the data URI is not valid base64", pointer=pointer) from None
