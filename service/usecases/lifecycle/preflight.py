"""Preflight: check the files of a generation before its paid submit, and fail it at no cost if fal could not use them.

Only definite faults count. If the cause may be the gateway's own network, or an image server that treats the gateway
differently from fal, the submit goes ahead and fal decides.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta

from service.clock import Clock
from service.domain import transitions
from service.domain.failure import Failure
from service.domain.generation import Generation
from service.domain.models.model import Model
from service.domain.request import IMAGE_FIELDS
from service.domain.status import Status
from service.errors import BadImage
from service.media.formats import other_format
from service.net.image_probe import ImageProbe, ProbeFailed, ProbeRefused, ProbeResult
from service.net.resolver import lookups_of
from service.observability import log, metrics
from service.store.generations.generations import GenerationStore
from service.upstream.hosts import FalHosts
from service.usecases.lifecycle.clip_preflight import GONE, ClipPreflight
from service.usecases.lifecycle.transition_service import TransitionService


class Preflight:
    def __init__(
        self,
        generations: GenerationStore,
        transition_service: TransitionService,
        image_probe: ImageProbe,
        hosts: FalHosts,
        clips: ClipPreflight,
        models: Mapping[str, Model],
        *,
        most_bytes: int,
        most_pixels: int,
        timeout: timedelta,
        clock: Clock,
    ) -> None:
        self._clips = clips
        self._models = models
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
        with lookups_of(g.tenant_id):
            failures = await asyncio.gather(*(self._probe(*image) for image in self._images(g)))
            found = next((failure for failure in failures if failure is not None), None)
            return await self._clips.failure(g) if found is None else found

    def _images(self, g: Generation) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Yield name, URL and formats of each image that is not on a host of fal."""
        for name in IMAGE_FIELDS:
            if name in g.input and not self._hosts.own(g.input[name]):
                yield name, g.input[name], ()
        model = self._models.get(g.model)
        for name, field in () if model is None else model.fields.items():
            if field.type == "images":
                formats = () if field.files is None else field.files.formats
                for place, url in enumerate(g.input.get(name) or ()):
                    if not self._hosts.own(url):
                        yield f"{name}/{place}", url, formats

    async def _probe(self, name: str, url: str, formats: tuple[str, ...]) -> Failure | None:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                probed = await self._image_probe.probe(url)
        except TimeoutError:
            probed = ProbeFailed("timeout")
        failure = classify_probe(
            name, probed, most_bytes=self._most_bytes, most_pixels=self._most_pixels, formats=formats
        )
        outcome = "passed" if failure is None else failure.code
        metrics.PREFLIGHTS.labels("probe_failed" if isinstance(probed, ProbeFailed) else outcome).inc()
        return failure


def classify_probe(
    name: str,
    probed: ProbeResult | ProbeRefused | ProbeFailed,
    *,
    most_bytes: int,
    most_pixels: int,
    formats: Collection[str] = (),
) -> Failure | None:
    """Return the failure that a probe proves; None if it found no fault or was inconclusive.

    ``formats``: those that the field accepts. Of formats other than JPEG, PNG and WebP, no size is read.
    """
    match probed:
        case ProbeRefused(reason):
            return Failure("image_unreachable", f"{name}: {reason}.")
        case ProbeResult(status=status) if status in GONE:
            return Failure("image_unreachable", f"{name}: its server responded with {status}.")
        case ProbeResult(status=200 | 206, size=int(size)) if size > most_bytes:
            return Failure("invalid_input", f"{name}: the image has {size} bytes, more than {most_bytes}.")
        case ProbeResult(status=200 | 206, head=head):
            return None if other_format(head) in formats else _by_header(name, head, most_pixels)
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
