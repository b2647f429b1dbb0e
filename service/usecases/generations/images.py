"""Image uploads: spooled to disk, inspected, stripped of metadata, and stored where fal can fetch them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.measurement import Measurement
from service.errors import BadImage, ImageLimit, Timeout, TooLarge
from service.media import spool
from service.media.inspector import Inspector
from service.observability import metrics
from service.upstream.storage import FalStorage, UploadTarget
from service.usecases.generations.byte_limits import ByteLease, ByteLimiter

#: Least bytes of disk that an upload leases: for small images this bounds the open files and the queue for a decoder.
LEAST_LEASE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    id: str
    url: str
    content_type: str
    size: int
    width: int | None
    height: int | None
    clip: Measurement | None = None
    """Of a video or audio file."""


class Images:
    def __init__(
        self,
        inspector: Inspector,
        storage: FalStorage,
        disk: ByteLimiter,
        *,
        max_bytes: int,
        timeout: timedelta,
        clock: Clock,
    ) -> None:
        self._inspector = inspector
        self._storage = storage
        self._disk = disk
        self.most_bytes = max_bytes
        self._timeout = timeout
        self._clock = clock

    async def upload(
        self,
        tenant_id: str,
        chunks: AsyncIterator[bytes],
        *,
        target: UploadTarget | None = None,
        pointer: str = "",
        length: int = 0,
    ) -> Upload:
        """Inspect an image, then store it: fal's storage receives only valid images.

        ``target``: the upload target that the client was given before. ``pointer``: the field that errors name.
        ``length``: bytes, if known before they arrive. The upload leases as many of its tenant's bytes on disk.

        Raises:
            BadImage: the image is invalid, or of a format that the model does not accept.
            TooLarge, Malformed: it has too many bytes, or none.
            Timeout: the upload took too long.
            ImageLimit: its inspection takes too much time or memory, or it has too many bytes after it is turned.
            TooManyBytes, Unavailable: uploads hold too many bytes on disk.
            UpstreamUnavailable: fal's storage did not accept it.

        """
        if length > self.most_bytes + spool.FORM_OVERHEAD:
            raise TooLarge(f"The file is larger than {self.most_bytes} bytes.")
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                with self._disk.lease(tenant_id, max(length, LEAST_LEASE)) as lease:
                    upload = await self._upload(tenant_id, chunks, lease, target, pointer)
        except TimeoutError:
            raise Timeout(f"The upload took longer than {self._timeout.total_seconds():g} seconds.") from None
        except (BadImage, ImageLimit) as refusal:
            metrics.IMAGES.labels(refusal.code).inc()
            raise
        metrics.IMAGES.labels("accepted").inc()
        return upload

    async def _upload(
        self,
        tenant_id: str,
        chunks: AsyncIterator[bytes],
        lease: ByteLease,
        target: UploadTarget | None,
        pointer: str,
    ) -> Upload:
        async with spool.spool() as clean:
            async with spool.spool() as raw:
                await spool.fill(raw, chunks, most=self.most_bytes, reserve=lease.cover)
                image = await self._inspector.inspect(tenant_id, raw, clean, pointer=pointer)
            size = clean.seek(0, 2)
            media = image.content_type
            if target is None:
                target = await self._storage.create_target(content_type=media, file_name=f"image.{image.suffix}")
            await self._storage.put(target, spool.read(clean), size=size)
        return Upload(ids.new(ids.UPLOAD, self._clock()), target.file_url, media, size, image.width, image.height)
