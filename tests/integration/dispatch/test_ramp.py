"""The submit window: few submits run until fal accepts one, so that an outage makes few generations unconfirmed."""

from datetime import timedelta
from typing import Final

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.config.settings import Settings
from service.domain.dispatch_gate import FIRST_SUBMITS, Ramp
from service.domain.failure import Failure
from service.domain.generation import Generation
from service.domain.outcomes import Accepted, Locked, NotSubmitted, Rejected, SubmitOutcome, Unknown
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.queues.due import Claimed
from service.usecases.lifecycle.leases import LEASE
from tests.support import factories
from tests.support.factories import Clock

SLOTS: Final = 40
SHARE: Final = 10
MINUTE: Final = timedelta(minutes=1)
OUTCOMES: Final[dict[str, SubmitOutcome]] = {
    "refused": NotSubmitted("fal answered 503", refused=True),
    "unsent": NotSubmitted("ConnectError"),
    "locked": Locked("fal answered 403"),
    "unknown": Unknown("fal answered 502"),
    "rejected": Rejected(Failure("upstream_rejected", "fal answered 422")),
}


class Worker:
    """Claims like a worker. Each submit has a given outcome, or its process dies."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self.runtime = runtime
        self.clock = clock
        self.dispatch = runtime.queues.dispatch
        self.accepted = 0

    async def queue(self, tenant: Tenant, count: int) -> None:
        for _ in range(count):
            now = self.clock.advance(timedelta(milliseconds=1))
            g = factories.generation(tenant_id=tenant.id, created_at=now)
            await self.runtime.stores.generations.create(g, factories.due(now))

    async def claim(self, most: int = 100) -> list[Claimed]:
        return (await self.dispatch.claim(most)).taken

    async def end(self, item: Claimed, outcome: str) -> None:
        """``died``: between claim and intent; ``lost``: after the intent."""
        if outcome == "died":
            return
        now = self.clock()
        g = await self.dispatch.write_intent(item.id, now)
        if g is None:
            await self.runtime.operations.gate.leave(item.id)
        elif outcome != "lost":
            await self.dispatch.record_outcome(g, now, OUTCOMES.get(outcome) or Accepted(factories.request_id()))

    async def sweep(self, *, release_after: timedelta) -> None:
        """Make lost submits unconfirmed, and free the slots of jobs that fal cannot be running any more."""
        await self.runtime.queues.run(WorkQueue.SWEEP)
        await self.runtime.queues.consumers[WorkQueue.SWEEP].idle()
        for name, submitted_at in await self.runtime.stores.queue.unconfirmed(limit=1000):
            g = await self.runtime.stores.generations.load(name)
            if g is not None and self.clock() - submitted_at >= release_after:
                await self.runtime.redis.execute("SREM", keys.SLOTS, g.id)
                await self.runtime.redis.execute("SREM", keys.slots_of_tenant(g.tenant_id), g.id)

    async def used(self) -> int:
        """Return the slots in use. Slots of unconfirmed generations beyond their share do not count."""
        held = {name.decode() for name in await self.runtime.redis.execute("SMEMBERS", keys.SLOTS)}
        doubtful = held & {name for name, _ in await self.runtime.stores.queue.unconfirmed(limit=1000)}
        return len(held) - max(0, len(doubtful) - SHARE)


@pytest.fixture
def worker(runtime: Runtime, clock: Clock) -> Worker:
    return Worker(runtime, clock)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, upstream_concurrency=SLOTS)


@pytest.mark.parametrize("warm", [0, 3, 20])
@pytest.mark.parametrize("kind", ["html-502", "lost-answer"])
async def test_ramp_burst_of_unknown_outcomes_costs_few_jobs(
    runtime: Runtime, worker: Worker, owner: Tenant, sandbox_url: str, kind: str, warm: int
) -> None:
    async with httpx.AsyncClient(base_url=sandbox_url) as fal:
        await worker.queue(owner, warm)
        await _drained(runtime)
        await worker.queue(owner, SLOTS)
        (await fal.post("/_sandbox/faults", json={"submit": {"kind": kind}})).raise_for_status()
        try:
            await _drained(runtime)
        finally:
            await fal.delete("/_sandbox/faults")
    assert 0 < await runtime.stores.queue.unconfirmed_count() <= (SHARE if warm else FIRST_SUBMITS)


async def _drained(runtime: Runtime) -> None:
    await runtime.queues.run(WorkQueue.DISPATCH)
    await runtime.queues.consumers[WorkQueue.DISPATCH].idle()


async def test_ramp_after_success_uses_all_slots(runtime: Runtime, worker: Worker, owner: Tenant) -> None:
    await worker.queue(owner, SLOTS + 5)
    await _drained(runtime)
    assert await worker.used() == SLOTS


async def test_ramp_after_failure_grows_from_one_submit(worker: Worker, owner: Tenant) -> None:
    await worker.queue(owner, SLOTS)
    first = await worker.claim()
    assert len(first) == FIRST_SUBMITS
    assert await worker.claim() == [], "all that may be under way are"
    await worker.end(first[0], "unknown")
    assert await worker.claim() == []
    for item in first[1:]:
        await worker.end(item, "rejected")
    sizes = []
    for _ in range(5):
        batch = await worker.claim()
        sizes.append(len(batch))
        for item in batch:
            await worker.end(item, "accepted")
    assert sizes == [1, 2, 4, 8, 10], "twice as many each time, up to a share of the slots"


async def test_ramp_after_quiet_minute_begins_again(worker: Worker, owner: Tenant, clock: Clock) -> None:
    await worker.queue(owner, SLOTS)
    for item in await worker.claim():
        await worker.end(item, "accepted")
    batch = await worker.claim()
    assert len(batch) == SHARE
    for item in batch:
        await worker.end(item, "accepted")
    clock.advance(MINUTE + timedelta(seconds=1))
    assert len(await worker.claim()) == FIRST_SUBMITS


@pytest.mark.parametrize("outcome", ["died", "lost"])
async def test_ramp_stops_counting_submits_of_dead_workers(
    worker: Worker, owner: Tenant, clock: Clock, settings: Settings, outcome: str
) -> None:
    await worker.queue(owner, SLOTS)
    dead = await worker.claim()
    for item in dead:
        await worker.end(item, outcome)
    clock.advance(LEASE)
    again = await worker.claim()
    assert [item.id for item in again] == ([item.id for item in dead] if outcome == "died" else [])
    clock.advance(settings.fal_timeout)
    assert len(await worker.claim()) == FIRST_SUBMITS


async def test_ramp_generation_ended_before_submit_leaves_room(runtime: Runtime, worker: Worker, owner: Tenant) -> None:
    await worker.queue(owner, SLOTS)
    claimed = await worker.claim()
    for item in claimed:
        g = await runtime.stores.generations.load(item.id)
        assert g is not None
        now = worker.clock()
        await runtime.stores.generations.finish(g.canceled(0, now), factories.due(now), [], now=now)
        assert await worker.dispatch.submit(item) is (item is claimed[0]), "dispatch is to claim again, once"
    assert len(await worker.claim()) == FIRST_SUBMITS


async def test_slots_of_unconfirmed_are_a_share_at_most(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    worker, ramp = Worker(runtime, clock), Ramp(10**6, 10**6, SHARE, timedelta(seconds=30))

    async def claim() -> list[Claimed]:
        queue = runtime.stores.queue
        return (await queue.claim(now=clock(), most=100, lease=LEASE, slots=SLOTS, ramp=ramp)).taken

    await worker.queue(owner, 4 * SLOTS)
    doubtful = await claim()
    assert len(doubtful) == SLOTS
    for item in doubtful[:SHARE]:
        await _unconfirmed(runtime, clock, item)
    assert await claim() == [], "their share is theirs"
    for item in doubtful[SHARE:]:
        await _unconfirmed(runtime, clock, item)
    assert len(await claim()) == SLOTS - SHARE
    assert await claim() == []


async def _unconfirmed(runtime: Runtime, clock: Clock, item: Claimed) -> None:
    def lost(g: Generation) -> Generation:
        return g.submitting(clock()) if g.status is Status.QUEUED else g.unconfirmed()

    for _ in range(2):
        await runtime.transitions.apply(item.id, lost)


# --- any history

outcomes = st.sampled_from(["accepted", "refused", "unsent", "locked", "unknown", "rejected", "died", "lost"])
histories = st.lists(st.tuples(st.lists(outcomes, min_size=1, max_size=8), st.integers(0, 90)), min_size=1, max_size=12)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=histories)
async def test_ramp_healthy_fal_is_fully_used_in_ten_minutes(
    worker: Worker, runtime: Runtime, clock: Clock, history: list[tuple[list[str], int]]
) -> None:
    """Each claim of a history has the next outcomes of a list, in turns. Then fal accepts everything."""
    await runtime.redis.execute("FLUSHALL")
    owners = [await runtime.tenants.service.create(name) for name in "abc"]
    for owner in owners:
        await worker.queue(owner, SLOTS // 2)
    for outcomes, seconds in history:
        for n, item in enumerate(await worker.claim()):
            await worker.end(item, outcomes[n % len(outcomes)])
        clock.advance(timedelta(seconds=seconds))
        await worker.sweep(release_after=5 * MINUTE)
    for owner in owners:
        await worker.queue(owner, SLOTS // 2)
    well_since = clock()
    while await worker.used() < SLOTS:
        assert clock() - well_since <= 10 * MINUTE, await runtime.operations.gate.read()
        while claimed := await worker.claim():
            for item in claimed:
                await worker.end(item, "accepted")
        clock.advance(timedelta(seconds=5))
        await worker.sweep(release_after=5 * MINUTE)
