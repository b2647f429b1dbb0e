"""Effect of failed submits and refused polls on other jobs: by their owner, and by fal's response."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Final, Literal

import pytest
from aiohttp import web

from service.config.settings import Settings
from service.domain.dispatch_gate import FIRST_SUBMITS, PauseCause
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, open_runtime
from tests.support import factories
from tests.support.factories import Clock

PROBE: Final = timedelta(seconds=15)
TICK: Final = timedelta(seconds=5)
FAILURES: Final = 3
REFUSALS: Final = 4

Subject = Literal["one job", "one end user", "one tenant", "all"]
Kind = Literal["body", "refused", "lock", "unknown", "unsent"]
SUBJECTS: Final[tuple[Subject, ...]] = ("one job", "one end user", "one tenant", "all")

#: fal's answer to a submit, by its HTTP status; 502 is not in fal's own JSON, 0: the connection is lost after the POST.
SUBMITS: Final[dict[int, Kind]] = {
    400: "body",
    401: "lock",
    402: "refused",
    403: "lock",
    404: "refused",
    405: "refused",
    408: "unknown",
    409: "refused",
    413: "body",
    422: "body",
    429: "refused",
    500: "unknown",
    502: "unknown",
    503: "refused",
    0: "unknown",
}

#: Who is held. "tenant": the one whose jobs these are, until a probe is accepted; the others' jobs never wait.
HELD: Final[dict[tuple[Subject, Kind], Literal["none", "tenant", "all"]]] = {
    ("one job", "body"): "none",
    ("one job", "refused"): "none",
    ("one job", "lock"): "tenant",
    ("one job", "unknown"): "none",
    ("one end user", "body"): "none",
    ("one end user", "refused"): "tenant",
    ("one end user", "lock"): "tenant",
    ("one end user", "unknown"): "tenant",
    ("one tenant", "body"): "none",
    ("one tenant", "refused"): "tenant",
    ("one tenant", "lock"): "tenant",
    ("one tenant", "unknown"): "tenant",
    ("all", "body"): "none",
    ("all", "refused"): "all",
    ("all", "lock"): "all",
    ("all", "unknown"): "all",
}


@dataclass
class Fal:
    """Responds to submits or polls of prompts that contain "bad" with a given status, and to all others like fal."""

    status: int
    operation: Literal["submit", "poll"]
    well: bool = False
    submits: list[str] = field(default_factory=list)
    url: str = ""

    async def submit(self, request: web.Request) -> web.StreamResponse:
        prompt = json.loads(await request.read())["prompt"]
        self.submits.append(prompt)
        bad = "bad" in prompt
        if bad and self.operation == "submit":
            return self._trouble(request)
        return web.json_response({"request_id": ("bad" if bad else "good") + factories.request_id()})

    async def poll(self, request: web.Request) -> web.StreamResponse:
        if "bad" in request.path and self.operation == "poll":
            return self._trouble(request)
        return web.json_response({"status": "IN_PROGRESS"}, status=202)

    def _trouble(self, request: web.Request) -> web.StreamResponse:
        if self.well:
            return web.json_response({"request_id": factories.request_id()})
        if self.status == 0:
            assert request.transport is not None
            request.transport.close()
        if self.status == 502:
            return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
        return web.json_response({"detail": "No."}, status=self.status or 200)


@asynccontextmanager
async def serving(fal: Fal) -> AsyncIterator[Fal]:
    app = web.Application()
    app.router.add_post("/{tail:.*}", fal.submit)
    app.router.add_get("/{tail:.*}", fal.poll)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fal.url = "http://{}:{}".format(*runner.addresses[0][:2])
        yield fal
    finally:
        await runner.cleanup()


class Line:
    """Jobs of two tenants, and a clock."""

    def __init__(self, runtime: Runtime, clock: Clock, tenants: Sequence[Tenant]) -> None:
        self.runtime = runtime
        self.clock = clock
        self.a, self.b = tenants

    async def create(self, tenant: Tenant, prompt: str, count: int = 1, end_user: str = "good") -> list[Generation]:
        made = []
        for _ in range(count):
            self.clock.advance(timedelta(milliseconds=1))
            request = factories.create_request(
                prompt=prompt, image_url="https://v3b.fal.media/a.jpg", end_user_id=end_user
            )
            made.append((await self.runtime.generations.creator.create(tenant, request)).generation)
        return made

    async def create_bad(self, subject: Subject) -> list[Generation]:
        """Create these before all others, so that they are first in their tenant's queue."""
        count = 1 if subject == "one job" else 2 * FAILURES
        made = await self.create(self.a, "bad", count, "bad")
        return made + (await self.create(self.b, "bad", count, "bad") if subject == "all" else [])

    async def tick(self, *work_queues: WorkQueue) -> None:
        for work_queue in work_queues:
            await self.runtime.queues.run(work_queue)
            await self.runtime.queues.consumers[work_queue].idle()
        self.clock.advance(TICK)

    async def stored(self, generations: Sequence[Generation]) -> list[Generation]:
        found = await self.runtime.stores.generations.load_many([g.id for g in generations])
        return [g for g in found if g is not None]

    async def waits(self, generations: Sequence[Generation]) -> list[timedelta]:
        """Return the time from creation to accepted submit. For a job that still waits, it ends a day from now."""
        return [
            (self.clock() + timedelta(days=1) if g.request_id is None or g.submitted_at is None else g.submitted_at)
            - g.created_at
            for g in await self.stored(generations)
        ]


@asynccontextmanager
async def opened(redis_url: str, clock: Clock, queue_url: str) -> AsyncIterator[Line]:
    settings: Settings = factories.settings(
        redis_url,
        fal_queue_url=f"{queue_url}/queue",
        submit_failures=FAILURES,
        submit_probe=PROBE,
        submit_refusals=REFUSALS,
        upstream_concurrency=400,
    )
    async with open_runtime(settings, clock=clock) as runtime:
        yield Line(runtime, clock, [await runtime.tenants.service.create(name) for name in "ab"])


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("status", SUBMITS)
async def test_failed_submits_stop_their_cause_only(
    redis_url: str, clock: Clock, status: int, subject: Subject
) -> None:
    held = HELD[subject, SUBMITS[status]]
    async with serving(Fal(status, "submit")) as fal, opened(redis_url, clock, fal.url) as line:
        bad = await line.create_bad(subject)
        good = [] if subject == "all" else await line.create(line.b, "good", 4)
        neighbours = await line.create(line.a, "good", 4) if subject in ("one job", "one end user") else []
        seen = set()
        for n in range(12):
            await line.tick(WorkQueue.DISPATCH)
            seen.add((await line.runtime.operations.gate.read()).hold)
            if n == 6 and subject != "all":
                good += await line.create(line.b, "good", 2)
                neighbours += await line.create(line.a, "good", 2) if neighbours else []
        longest = timedelta() if held == "none" else PROBE
        assert max(await line.waits(good), default=TICK) <= TICK, "another tenant's job never waits"
        assert max(await line.waits(neighbours), default=TICK) <= longest + 2 * TICK
        await _account(line, seen, held=held, kind=SUBMITS[status])
        await _ends(line, bad, SUBMITS[status], alone=subject != "all")


async def _account(line: Line, seen: set[PauseCause | None], *, held: str, kind: Kind) -> None:
    gate = await line.runtime.operations.gate.read()
    if held == "all":
        assert gate.hold is (PauseCause.LOCKED if kind == "lock" else PauseCause.FAILING)
        assert gate.failed_tenants == 2
    elif held == "none":
        assert seen == {None}


async def _ends(line: Line, bad: Sequence[Generation], kind: Kind, *, alone: bool) -> None:
    """Assert how the generations end. ``alone``: fal has accepted others meanwhile."""
    ends = [(g.status, g.error and g.error.code) for g in await line.stored(bad)]
    statuses = [status for status, _ in ends]
    match kind:
        case "body":
            assert set(ends) == {(Status.FAILED, "upstream_rejected")}
        case "unknown":
            assert set(statuses) <= {Status.QUEUED, Status.UNCONFIRMED}
            assert statuses.count(Status.UNCONFIRMED) <= FIRST_SUBMITS + 3, "those of the first moment, and probes"
        case _:
            refused = {(Status.FAILED, "upstream_unavailable")} if alone else set()
            assert set(ends) <= {(Status.QUEUED, None)} | refused, "refused, and not lost"


@pytest.mark.parametrize("status", [status for status, kind in SUBMITS.items() if kind != "body"])
async def test_gate_opens_when_fal_recovers(redis_url: str, clock: Clock, status: int) -> None:
    async with serving(Fal(status, "submit")) as fal, opened(redis_url, clock, fal.url) as line:
        bad = await line.create_bad("all")
        await line.tick(WorkQueue.DISPATCH)
        fal.well = True
        for _ in range(6):
            await line.tick(WorkQueue.DISPATCH)
        gate = await line.runtime.operations.gate.read()
        assert (gate.hold, gate.held_tenants, gate.failed_generations) == (None, 0, 0)
        assert {g.status for g in await line.stored(bad)} <= {Status.SUBMITTED, Status.UNCONFIRMED}


async def test_gate_fal_unreachable_closes_and_loses_nothing(redis_url: str, clock: Clock) -> None:
    async with opened(redis_url, clock, factories.NOWHERE) as line:
        created = await line.create_bad("all")
        await line.tick(WorkQueue.DISPATCH)
        assert (await line.runtime.operations.gate.read()).hold is PauseCause.FAILING
        assert {g.status for g in await line.stored(created)} == {Status.QUEUED}


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("status", SUBMITS)
async def test_refused_polls_stop_their_cause_only(redis_url: str, clock: Clock, status: int, subject: Subject) -> None:
    async with serving(Fal(status, "poll")) as fal, opened(redis_url, clock, fal.url) as line:
        running = await line.create_bad(subject)
        running += [] if subject == "all" else await line.create(line.b, "good", 4)
        running += await line.create(line.a, "good", 4) if subject in ("one job", "one end user") else []
        await line.tick(WorkQueue.DISPATCH)
        for _ in range(4):
            await line.tick(WorkQueue.POLL)
        everybody = subject == "all" and status in (401, 403)
        assert (await line.runtime.operations.gate.read()).hold is (PauseCause.LOCKED if everybody else None)
        assert not any(g.is_terminal for g in await line.stored(running))
        later = await line.create(line.b, "good", 2)
        await line.tick(WorkQueue.DISPATCH)
        assert (max(await line.waits(later)) <= TICK) is not everybody


@pytest.mark.parametrize("status", [402, 403, 404, 503])
async def test_refused_job_among_accepted_ones_fails(redis_url: str, clock: Clock, status: int) -> None:
    async with serving(Fal(status, "submit")) as fal, opened(redis_url, clock, fal.url) as line:
        (bad,) = await line.create(line.a, "bad")
        others = []
        for _ in range(60):
            others += await line.create(line.b, "good")
            await line.tick(WorkQueue.DISPATCH)
        (failed,) = await line.stored([bad])
        assert failed.error is not None
        assert (failed.status, failed.error.code) == (Status.FAILED, "upstream_unavailable")
        assert (failed.error.retryable, failed.actual_cost) == (True, 0)
        assert fal.submits.count("bad") == REFUSALS + 1, "the first refusal comes before any other job was accepted"
        assert max(await line.waits(others)) <= TICK
        assert (await line.runtime.operations.audit.run()).differences == []


@pytest.mark.parametrize("status", [402, 403, 404, 503])
async def test_refused_job_like_all_others_waits(redis_url: str, clock: Clock, status: int) -> None:
    async with serving(Fal(status, "submit")) as fal, opened(redis_url, clock, fal.url) as line:
        await line.create(line.b, "good")
        created = await line.create_bad("all")
        for _ in range(200):
            await line.tick(WorkQueue.DISPATCH)
        assert {g.status for g in await line.stored(created)} == {Status.QUEUED}
        assert fal.submits.count("bad") > REFUSALS


async def test_probe_comes_from_another_tenant_than_the_last(redis_url: str, clock: Clock) -> None:
    async with serving(Fal(503, "submit")) as fal, opened(redis_url, clock, fal.url) as line:
        await line.runtime.operations.gate.locked("User is locked.")
        heavy = await line.runtime.tenants.service.create(
            "heavy", Limits(weight=100)
        )  # by weight, the next would be its again
        created = {g.id: g.tenant_id for owner in (line.a, heavy) for g in await line.create(owner, "bad", 6)}
        probes = list[str]()
        for _ in range(6):
            retry_at = (await line.runtime.operations.gate.read()).retry_at
            assert retry_at is not None
            clock.now = retry_at
            refused = {g.id: g.submit_refusals for g in await _all(line, created)}
            await line.tick(WorkQueue.DISPATCH)
            probes += [g.id for g in await _all(line, created) if g.submit_refusals > refused[g.id]]
        assert len(set(probes)) == 6, "one that was never refused, each time"
        owners = [created[probe] for probe in probes]
        assert all(first != second for first, second in pairwise(owners))


async def test_probe_pause_doubles_for_refused_jobs_only(redis_url: str, clock: Clock) -> None:
    async with serving(Fal(403, "submit")) as fal, opened(redis_url, clock, fal.url) as line:
        (bad,) = await line.create(line.a, "bad")
        for _ in range(60):
            await line.tick(WorkQueue.DISPATCH)
        (refused,) = await line.stored([bad])
        assert (refused.status, refused.submit_refusals) == (Status.QUEUED, 5), "after 15, 30, 60 and 120 s"
        good = await line.create(line.a, "good", 3)
        for _ in range(6):
            await line.tick(WorkQueue.DISPATCH)
        assert max(await line.waits(good)) <= PROBE + 2 * TICK


async def _all(line: Line, created: dict[str, str]) -> list[Generation]:
    return [g for g in await line.runtime.stores.generations.load_many(list(created)) if g is not None]
