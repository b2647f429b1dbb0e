"""Preflight of clips: fetch the videos and audio files of a generation, measure them, and check the model's limits.

Uploads of the tenant have been measured. Other files pass through a spool file, so that memory is bounded; their bytes
are leased like those of uploads. Only definite faults count: a file that cannot be fetched here, or not in time, is
left to fal, and the longest that the model accepts is held for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import IO, Final

from service.domain.failure import Failure
from service.domain.generation import Generation
from service.domain.measurement import KIND, ClipKind, Measurement
from service.domain.models.clip_limits import (
    PADDING,
    broken_limit,
    broken_total,
    clip_fields,
    largest_clip,
    unusable_container,
)
from service.domain.models.model import MediaLimits, Model
from service.errors import BadClip, ClipLimit, Malformed, TooLarge, TooManyBytes, Unavailable
from service.media import spool
from service.media.clips.formats import HEAD_LENGTH, container_of
from service.media.clips.measurer import Measurer
from service.net.image_probe import ImageProbe, ProbeRefused, ProbeResult
from service.store.generations.measurements import MeasurementStore
from service.upstream.hosts import FalHosts
from service.usecases.generations.byte_limits import ByteLimiter
from service.usecases.generations.images import LEAST_LEASE

#: Not 401 or 403: a server may refuse the gateway and accept fal.
GONE: Final = (404, 410)
#: Files of one generation that are fetched concurrently.
_FETCHES: Final = 4


@dataclass(frozen=True, slots=True)
class _Clip:
    field: str
    place: int
    url: str
    kind: ClipKind
    limits: MediaLimits

    def fault(self, text: str) -> Failure:
        return Failure("invalid_input", f"{self.field}/{self.place}: {text}.")


_Finding = Measurement | Failure | None
"""None: inconclusive."""


class ClipPreflight:
    def __init__(
        self,
        probe: ImageProbe,
        hosts: FalHosts,
        measurer: Measurer,
        measurements: MeasurementStore,
        disk: ByteLimiter,
        models: Mapping[str, Model],
        *,
        timeout: timedelta,
    ) -> None:
        """``timeout``: of all files of one generation."""
        self._probe = probe
        self._hosts = hosts
        self._measurer = measurer
        self._measurements = measurements
        self._disk = disk
        self._models = models
        self._timeout = timeout

    async def failure(self, g: Generation) -> Failure | None:
        """Return the failure that the clips prove; None if they have no fault, or none is certain."""
        clips = self._clips(g)
        if not clips:
            return None
        findings = await self._findings(g.tenant_id, clips)
        for clip, found in zip(clips, findings, strict=True):
            if isinstance(found, Failure):
                return found
            if found is not None and (text := broken_limit(found, clip.limits)) is not None:
                return clip.fault(f"the {clip.kind} {text}")
        return _broken_sum(clips, findings) or _beyond_hold(g, findings)

    def _clips(self, g: Generation) -> list[_Clip]:
        model = self._models.get(g.model)
        if model is None:
            return []
        return [
            _Clip(name, place, url, kind, model.fields[name].files or MediaLimits())
            for name, kind in clip_fields(model).items()
            for place, url in enumerate(g.input.get(name) or ())
        ]

    async def _findings(self, tenant_id: str, clips: Sequence[_Clip]) -> list[_Finding]:
        known = await self._measurements.find(tenant_id, [clip.url for clip in clips])
        fetches = asyncio.Semaphore(_FETCHES)
        tasks = {
            clip: asyncio.create_task(self._examine(tenant_id, clip, fetches))
            for clip in dict.fromkeys(clips)
            if clip.url not in known
        }
        if tasks:
            try:
                await asyncio.wait(tasks.values(), timeout=self._timeout.total_seconds())
            finally:
                for task in tasks.values():
                    task.cancel()
                await asyncio.gather(*tasks.values(), return_exceptions=True)
        return [known[clip.url] if clip.url in known else _result(tasks[clip]) for clip in clips]

    async def _examine(self, tenant_id: str, clip: _Clip, fetches: asyncio.Semaphore) -> _Finding:
        try:
            async with fetches, spool.spool() as file:
                with self._disk.lease(tenant_id, LEAST_LEASE) as lease:
                    fetched = await self._fetch(clip, file, lease.cover)
                    if isinstance(fetched, Failure):
                        return fetched
                    return await self._measure(tenant_id, clip, file) if fetched else None
        except (TooManyBytes, Unavailable):
            return None  # too many bytes on this worker's disk

    async def _fetch(self, clip: _Clip, file: IO[bytes], reserve: Callable[[int], None]) -> Failure | bool:
        """Write the file. Return whether it is complete, or what is wrong with it."""
        most, stopped = largest_clip(clip.limits), list[Exception]()

        async def take(chunks: AsyncIterator[bytes]) -> None:
            try:
                await spool.fill(file, chunks, most=most, reserve=reserve)
            except (TooLarge, Malformed, TooManyBytes, Unavailable) as error:
                stopped.append(error)

        seen = await self._probe.download(clip.url, take)
        match stopped:
            case [TooLarge()]:
                return clip.fault(f"the {clip.kind} has more than {most} bytes")
            case [Malformed()]:
                return clip.fault("the file is empty")
            case [Exception() as error]:
                raise error
        match seen:
            case ProbeRefused(reason) if not self._hosts.own(clip.url):
                return Failure("image_unreachable", f"{clip.field}/{clip.place}: {reason}.")
            case ProbeResult(status=status) if status in GONE:
                return Failure("image_unreachable", f"{clip.field}/{clip.place}: its server responded with {status}.")
        return isinstance(seen, ProbeResult) and seen.status == 200

    async def _measure(self, tenant_id: str, clip: _Clip, file: IO[bytes]) -> Measurement | Failure:
        await asyncio.to_thread(file.seek, 0)
        container = container_of(await asyncio.to_thread(file.read, HEAD_LENGTH))
        if container is None or KIND[container] != clip.kind:
            return clip.fault(f"the file {unusable_container(clip.limits, clip.kind)}")
        try:
            return await self._measurer.measure(tenant_id, file, container)
        except BadClip as bad:
            return clip.fault(bad.reason.removesuffix("."))
        except ClipLimit as limit:
            return clip.fault(limit.detail.removesuffix("."))


def _result(task: "asyncio.Task[_Finding]") -> _Finding:
    """Return what was found. A task that was canceled at the timeout found nothing. Raises an unexpected error."""
    return None if task.cancelled() else task.result()


def _broken_sum(clips: Sequence[_Clip], findings: Sequence[_Finding]) -> Failure | None:
    for name in dict.fromkeys(clip.field for clip in clips):
        of_field = [(clip, found) for clip, found in zip(clips, findings, strict=True) if clip.field == name]
        measured = [found for _, found in of_field if isinstance(found, Measurement)]
        limits, kind = of_field[0][0].limits, of_field[0][0].kind
        text = broken_total(measured, limits, complete=len(measured) == len(of_field))
        if text is not None:
            return Failure("invalid_input", f"{name}: the {kind} files {text}.")
    return None


def _beyond_hold(g: Generation, findings: Sequence[_Finding]) -> Failure | None:
    """Return a failure if the videos are longer than what is held for them: the money would not cover the bill."""
    videos = [found.seconds for found in findings if isinstance(found, Measurement) and found.kind == "video"]
    seconds = sum(videos, Decimal(0))
    if g.input_seconds is None or seconds <= g.input_seconds + PADDING * len(videos):
        return None
    return Failure("invalid_input", f"The videos last {seconds} s; the money for {g.input_seconds} s is held.")
