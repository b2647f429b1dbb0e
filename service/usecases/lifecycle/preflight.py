"""Preflight: probe the images of a generation before its paid submit, and fail it at no cost if fal could not use them.

Only definite faults count. If the cause may be the gateway's own network, or an image server that treats the gateway
differently from fal, the submit goes ahead and fal decides.
"""

import asyncio
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain import transitions
from service.domain.failure import Failure
from service.domain.generation import Generation
from service.domain.request import IMAGE_FIELDS
from service.domain.status import Status
from service.errors import BadImage
from service.net.image_probe import ImageProbe, ProbeFailed, ProbeRefused, ProbeResult
from service.net.resolver import lookups_of
from service.observability import log, metrics
from service.store.generations.generations import GenerationStore
from service.upstream.hosts import FalHosts
from service.usecases.lifecycle.transition_service import TransitionService

#: Not 401 or 403: a server may refuse the gateway and accept fal.
_GONE: Final = (404, 410)


class Preflight:
    def __init__(
        self,
        generations: GenerationStore,
        transition_service: TransitionService,
        image_probe: ImageProbe,
        hosts: FalHosts,
        *,
        most_bytes: int,
        most_pixels: int,
        timeout: timedelta,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._transitions = transition_service
        self._image_probe = image_probe
        self._hosts = hosts
        self._most_bytes = most_bytes
        self._most_pixels = most_pixels
        self._timeout = timeout
        self._clock = clock
        self._log = log.get(__name__)

    async def passes(self, generation_id: str) -> bool:
        """Return False if the generation has failed. Images are probed once: a repeated submit does not probe again."""
        g = await self._generations.load(generation_id)
        if g is None or g.status is not Status.QUEUED or g.submit_refusals:
            return True
        failure = await self._failure(g)
        if failure is None:
            return True
        self._log.info("preflight_failed", generation_id=g.id, code=failure.code, reason=failure.message)
        failed = await self._transitions.apply(
            g.id, lambda current: transitions.fail_preflight(current, failure, self._clock())
        )
        return failed is None

    async def _failure(self, g: Generation) -> Failure | None:
        names = [name for name in IMAGE_FIELDS if name in g.input and not self._hosts.own(g.input[name])]
        with lookups_of(g.tenant_id):
            failures = await asyncio.gather(*(self._probe(name, g.input[name]) for name in names))
        return next((failure for failure in failures if failure is not None), None)

    async def _probe(self, name: str, url: str) -> Failure | None:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                probed = await self._image_probe.probe(url)
        except TimeoutError:
            probed = ProbeFailed("timeout")
        failure = classify_probe(name, probed, most_bytes=self._most_bytes, most_pixels=self._most_pixels)
        outcome = "passed" if failure is None else failure.code
        metrics.PREFLIGHTS.labels("probe_failed" if isinstance(probed, ProbeFailed) else outcome).inc()
        return failure


def classify_probe(
    name: str, probed: ProbeResult | ProbeRefused | ProbeFailed, *, most_bytes: int, most_pixels: int
) -> Failure | None:
    """Return the failure that a probe proves; None if it found no fault or was inconclusive."""
    match probed:
        case ProbeRefused(reason):
            return Failure("image_unreachable", f"{name}: {reason}.")
        case ProbeResult(status=status) if status in _GONE:
            return Failure("image_unreachable", f"{name}: its server responded with {status}.")
        case ProbeResult(status=200 | 206, size=int(size)) if size > most_bytes:
            return Failure("invalid_input", f"{name}: the image has {size} bytes, more than {most_bytes}.")
        case ProbeResult(status=200 | 206, head=head):
            return _by_header(name, head, most_pixels)
    return None


def _by_header(name: str, head: bytes, most_pixels: int) -> Failure | None:
    from service.media import inspection  # noqa: PLC0415  (Pillow: 4 MB that a gateway process does not need)

    try:
        header = inspection.header(head)
        if header is not None:
            inspection.check_pixels(header, most_pixels)
    except BadImage as bad:
        return Failure("invalid_input", f"{name}: {bad.reason}")
    return None
