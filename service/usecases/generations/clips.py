"""Uploads of clips: spooled to disk, measured, and stored as they are where fal can fetch them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import IO

from service.clock import Clock
from service.domain import ids
from service.domain.measurement import KIND, ClipKind, Container
from service.errors import BadClip, ClipLimit, Timeout, TooLarge
from service.media import spool
from service.media.clips import formats
from service.media.clips.measurer import Measurer
from service.observability import metrics
from service.store.generations.measurements import MeasurementStore
from service.upstream.storage import FalStorage, UploadTarget
from service.usecases.generations.byte_limits import ByteLimiter
from service.usecases.generations.images import LEAST_LEASE, Upload


class Clips:
    def __init__(
        self,
        measurer: Measurer,
        measurements: MeasurementStore,
        storage: FalStorage,
        disk: ByteLimiter,
        *,
        most_bytes: Mapping[ClipKind, int],
        timeout: timedelta,
        clock: Clock,
    ) -> None:
        """``most_bytes``: of each kind that an enabled model accepts."""
        self.most_bytes = most_bytes
        self._measurer = measurer
        self._measurements = measurements
        self._storage = storage
        self._disk = disk
        self._timeout = timeout
        self._clock = clock

    async def upload(
        self,
        tenant_id: str,
        container: Container,
        chunks: AsyncIterator[bytes],
        *,
        target: UploadTarget | None = None,
        pointer: str = "",
        length: int = 0,
    ) -> Upload:
        """Measure a clip, store it, and remember its measurement for requests that name its URL.

        The arguments are those of ``Images.upload``.

        Raises:
            BadClip: the clip cannot be measured, or has not one stream of its kind.
            TooLarge, Malformed: it has more bytes than any enabled model accepts, or none.
            Timeout: the upload took too long.
            ClipLimit: its measurement takes too much time or memory.
            TooManyBytes, Unavailable: uploads hold too many bytes on disk.
            StoreFull: Redis accepts nothing new.
            UpstreamUnavailable: fal's storage did not accept it.

        """
        most = self.most_bytes[KIND[container]]
        if length > most + spool.FORM_OVERHEAD:
            raise TooLarge(f"The file is larger than {most} bytes.")
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                with self._disk.lease(tenant_id, max(min(length, most), LEAST_LEASE)) as lease:
                    async with spool.spool() as file:
                        await spool.fill(file, chunks, most=most, reserve=lease.cover)
                        upload = await self._store(tenant_id, container, file, target, pointer)
        except TimeoutError:
            raise Timeout(f"The upload took longer than {self._timeout.total_seconds():g} seconds.") from None
        except (BadClip, ClipLimit) as refusal:
            metrics.CLIPS.labels(refusal.code).inc()
            raise
        metrics.CLIPS.labels("accepted").inc()
        return upload

    async def _store(
        self, tenant_id: str, container: Container, file: IO[bytes], target: UploadTarget | None, pointer: str
    ) -> Upload:
        clip = await self._measurer.measure(tenant_id, file, container, pointer=pointer)
        media = formats.content_type(container)
        if target is None:
            target = await self._storage.create_target(content_type=media, file_name=f"{clip.kind}.{container}")
        await self._measurements.demand_room(tenant_id)
        await self._storage.put(target, spool.read(file), size=clip.size)
        await self._measurements.save(tenant_id, target.file_url, clip)
        return Upload(
            ids.new(ids.UPLOAD, self._clock()), target.file_url, media, clip.size, clip.width, clip.height, clip
        )
