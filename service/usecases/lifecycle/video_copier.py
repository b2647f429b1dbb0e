"""Copying finished videos from fal to a store of ours, before anybody hears that they are finished.

fal may forget a result within minutes, so it is on the record before the copy begins (``Generation.copying``). A copy
is a poll whose generation has that: its lease brings it back after a crash, and it writes to the same place again. What
cannot be copied in so many tries is passed on with fal's own URL rather than lost.
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

#: In one process; each takes some fifteen MiB, and a fair share of the line. The others' polls go on meanwhile.
_AT_A_TIME: Final = 4
_FULL_PAUSE: Final = timedelta(seconds=1)
#: Fifteen seconds of 4k are a fraction of it.
_MOST_BYTES: Final = 2 * 1024**3
_CONTENT_TYPE: Final = "video/mp4"


class VideoCopier:
    """``videos``: None where this deployment keeps none; what was begun under another setting is passed on."""

    def __init__(
        self,
        generations: GenerationStore,
        moves: TransitionService,
        files: FalFiles,
        videos: VideoStore | None,
        *,
        public_url: str | None,
        timeout: timedelta,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._transitions = moves
        self._files = files
        self._videos = videos
        self._public_url = public_url
        self._timeout = timeout
        self._clock = clock
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self._log = log.get(__name__)

    def wants(self, g: Generation) -> bool:
        return self._videos is not None and not g.erased

    async def keep(self, g: Generation, copying: Copying) -> None:
        """One try. Returns with the generation ended, or due again."""
        if self._videos is None:
            await self._pass_on(g, "nothing is kept any more")
        elif self._room.locked():
            await self._generations.postpone_poll(g.id, self._clock() + _FULL_PAUSE)
        else:
            async with self._room:
                with tracing.span("video.copy", parent=g.traceparent, generation=g.id, tenant=g.tenant_id) as span:
                    span.note(outcome=await self._try(g, copying, self._videos), tries=copying.tries + 1)

    async def _try(self, g: Generation, copying: Copying, videos: VideoStore) -> Literal["kept", "refused", "failed"]:
        path = f"{g.tenant_id}/{g.id}.mp4"
        try:
            async with (
                asyncio.timeout(self._timeout.total_seconds()),
                self._files.opened(copying.output.video.url) as (content_type, chunks),
            ):
                kept = await videos.write(path, chunks, content_type=content_type or _CONTENT_TYPE, most=_MOST_BYTES)
        except NotAFalUrl as error:
            await self._pass_on(g, str(error))
            return "refused"
        except (FileUnavailable, VideoStoreUnavailable, TimeoutError) as error:
            await self._failed(g, str(error) or type(error).__name__)
            return "failed"
        await self._kept(g, kept, videos)
        return "kept"

    async def _kept(self, g: Generation, kept: StoredVideo, videos: VideoStore) -> None:
        metrics.VIDEOS.labels("stored").inc()
        if await self._transitions.apply(g.id, lambda current: self._after_copy(current, kept)) is None:
            now = await self._generations.load(g.id)
            if now is None or now.kept is None:  # erased meanwhile, or ended without it
                await videos.delete(kept.path)

    def _after_copy(self, g: Generation, kept: StoredVideo) -> Generation | None:
        if g.copying is None:
            return None
        own = f"{self._public_url}/v1/generations/{g.id}/video"
        url = g.copying.output.video.url if self._public_url is None else own
        return transitions.after_copy(g, kept, url=url, content_type=_CONTENT_TYPE, now=self._clock())

    async def _failed(self, g: Generation, reason: str) -> None:
        metrics.VIDEOS.labels("failed").inc()
        self._log.warning("video could not be copied", generation_id=g.id, reason=reason)
        moved = await self._transitions.apply(g.id, transitions.after_copy_failed)
        if moved is not None and moved.copying is not None and COPIES.next(moved.copying.tries) is None:
            await self._pass_on(moved, reason)

    async def _pass_on(self, g: Generation, reason: str) -> None:
        """Better fal's own URL than none."""
        metrics.VIDEOS.labels("fal_url").inc()
        self._log.error("video not kept: fal's own URL is passed on", generation_id=g.id, reason=reason)
        await self._transitions.apply(g.id, lambda current: transitions.after_copy_abandoned(current, self._clock()))
