"""Video copier: copies finished videos from fal to the deployment's own storage, before a generation succeeds.

fal may forget a result within minutes, so the result is on the record before the copy begins (``Generation.copying``).
A copy is a poll of a generation with ``copying``: after a crash its lease expires, and the next poll writes to the same
path. A video that cannot be copied in a number of attempts is delivered with fal's own URL and is not lost.
"""

import asyncio
from datetime import timedelta
from typing import Final, Literal

from service.clock import Clock
from service.domain import transitions
from service.domain.generation import Copying, Generation, StoredVideo
from service.media.videos import VideoStore, VideoStoreUnavailable
from service.observability import log, metrics, tracing
from service.store.generations.generations import GenerationStore
from service.upstream.files import FalFiles, FileUnavailable, NotAFalUrl
from service.usecases.lifecycle.schedule import COPIES
from service.usecases.lifecycle.transition_service import TransitionService

#: Concurrent copies in one process. Each takes about 15 MiB of memory, and its share of the bandwidth.
_CONCURRENT_COPIES: Final = 4
#: Pause of a copy that finds all of them in use. Polls of other generations continue.
_BUSY_PAUSE: Final = timedelta(seconds=1)
#: A video of fifteen seconds in 4k has a fraction of this size.
_MOST_BYTES: Final = 2 * 1024**3
_CONTENT_TYPE: Final = "video/mp4"


class VideoCopier:
    """Without ``videos``, the deployment stores none, and copies begun under another setting end with fal's URL."""

    def __init__(
        self,
        generations: GenerationStore,
        transition_service: TransitionService,
        files: FalFiles,
        videos: VideoStore | None,
        *,
        public_url: str | None,
        timeout: timedelta,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._transitions = transition_service
        self._files = files
        self.videos = videos
        self._public_url = public_url
        self._timeout = timeout
        self._clock = clock
        self._copies = asyncio.Semaphore(_CONCURRENT_COPIES)
        self._log = log.get(__name__)

    def copies(self, g: Generation) -> bool:
        """Return whether the video of this generation is to be copied."""
        return self.videos is not None and not g.erased

    async def copy(self, g: Generation, copying: Copying) -> None:
        """Make one attempt. Then the generation has ended or is due again."""
        if self.videos is None:
            await self._abandon(g, "no storage of videos is configured")
        elif self._copies.locked():
            await self._generations.reschedule_poll(g.id, self._clock() + _BUSY_PAUSE)
        else:
            async with self._copies:
                with tracing.span("video.copy", parent=g.traceparent, generation=g.id, tenant=g.tenant_id) as span:
                    span.annotate(outcome=await self._try(g, copying, self.videos), tries=copying.failed_attempts + 1)

    async def _try(self, g: Generation, copying: Copying, videos: VideoStore) -> Literal["stored", "refused", "failed"]:
        path = f"{g.tenant_id}/{g.id}.mp4"
        try:
            async with (
                asyncio.timeout(self._timeout.total_seconds()),
                self._files.opened(copying.output.video.url) as (content_type, chunks),
            ):
                stored = await videos.write(path, chunks, content_type=content_type or _CONTENT_TYPE, most=_MOST_BYTES)
        except NotAFalUrl as error:
            await self._abandon(g, str(error))
            return "refused"
        except (FileUnavailable, VideoStoreUnavailable, TimeoutError) as error:
            await self._failed(g, str(error) or type(error).__name__)
            return "failed"
        await self._stored(g, stored, videos)
        return "stored"

    async def _stored(self, g: Generation, stored: StoredVideo, videos: VideoStore) -> None:
        metrics.VIDEOS.labels("stored").inc()
        if await self._transitions.apply(g.id, lambda current: self._after_copy(current, stored)) is None:
            current = await self._generations.load(g.id)
            if current is None or current.stored_video is None:  # erased meanwhile, or ended without the copy
                await videos.delete(stored.path)

    def _after_copy(self, g: Generation, stored: StoredVideo) -> Generation | None:
        if g.copying is None:
            return None
        own = f"{self._public_url}/v1/generations/{g.id}/video"
        url = g.copying.output.video.url if self._public_url is None else own
        return transitions.after_copy(g, stored, url=url, content_type=_CONTENT_TYPE, now=self._clock())

    async def _failed(self, g: Generation, reason: str) -> None:
        metrics.VIDEOS.labels("failed").inc()
        self._log.warning("video_copy_failed", generation_id=g.id, reason=reason)
        moved = await self._transitions.apply(g.id, transitions.after_copy_failed)
        if moved is not None and moved.copying is not None and COPIES.next(moved.copying.failed_attempts) is None:
            await self._abandon(moved, reason)

    async def _abandon(self, g: Generation, reason: str) -> None:
        """End the generation with fal's own URL."""
        metrics.VIDEOS.labels("fal_url").inc()
        self._log.error("video_copy_abandoned", generation_id=g.id, reason=reason)
        await self._transitions.apply(g.id, lambda current: transitions.after_copy_abandoned(current, self._clock()))
