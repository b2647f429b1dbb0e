"""The final check at a job's deadline: cancel, status and result calls, and only fal's response ends the job."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
import redis as redis_py
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.callback import Callback
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.transitions import after_not_sent
from service.domain.work_queue import WorkQueue
from service.errors import NotUnconfirmed
from service.runtime import Runtime, open_runtime
from service.store.generations.callbacks import CallbackStore
from tests.support import factories
from tests.support.factories import Clock
from tests.support.scripted_fal import UNITS, VIDEO, ScriptedFal, scripted_fal
from tests.support.unconfirmed import created
from tests.support.waiting import process_due, stored

MINUTE: Final = timedelta(minutes=1)
DEADLINE: Final = timedelta(hours=2)


@dataclass
class Trial:
    runtime: Runtime
    fal: ScriptedFal
    clock: Clock
    owner: Tenant
    g: Generation

    async def now(self) -> Generation:
        return await stored(self.runtime, self.g)

    async def poll(self, after: timedelta = timedelta()) -> Generation:
        self.clock.advance(after)
        await process_due(self.runtime, WorkQueue.POLL)
        return await self.now()

    async def polled_for(self, span: timedelta, step: timedelta = 5 * MINUTE) -> Generation:
        """Poll during this time, as workers do, but less often."""
        for _ in range(span // step):
            await self.poll(step)
        return await self.now()

    async def report(self) -> str:
        """Store fal's callback of the finished job, with its video."""
        g = await self.now()
        callback = Callback("request-1", payload=VIDEO)  # its only request, or the one whose answer was lost
        store = CallbackStore(self.runtime.redis)
        return (await store.receive(g.id, g.callback_token, callback, now=self.clock())).reception

    async def spent(self) -> int:
        return (await self.runtime.tenants.usage.month(self.owner.id)).spent


@asynccontextmanager
async def trial(redis_url: str, *, dispatch: bool = True) -> AsyncIterator[Trial]:
    """One generation, submitted to a fal whose jobs change only by the test, or still queued."""
    clock = Clock(datetime.now(UTC).replace(microsecond=0))
    async with (
        scripted_fal() as fal,
        open_runtime(
            factories.settings(redis_url, fal_queue_url=fal.url, upstream_deadline=DEADLINE), clock=clock
        ) as runtime,
    ):
        owner = await runtime.tenants.service.create("acme")
        g = await created(runtime, owner, "x")
        if dispatch:
            await process_due(runtime, WorkQueue.DISPATCH)
        yield Trial(runtime, fal, clock, owner, await stored(runtime, g))


Scene = Callable[[Trial], Awaitable[None]]


async def hangs_and_obeys(t: Trial) -> None:
    await t.polled_for(DEADLINE)


async def hangs_and_ignores_the_cancel(t: Trial) -> None:
    t.fal.obeys_cancel = False
    await t.polled_for(DEADLINE + 5 * MINUTE)


async def finishes_after_the_cancel(t: Trial) -> None:
    t.fal.obeys_cancel = False
    await t.polled_for(DEADLINE)
    assert "cancel" in t.fal.calls
    t.fal.complete()
    await t.poll(MINUTE)


async def workers_are_away_and_fal_finishes(t: Trial) -> None:
    t.clock.advance(DEADLINE * 2)
    t.fal.complete()
    await t.poll()


async def workers_are_away_and_fal_still_works(t: Trial) -> None:
    t.clock.advance(DEADLINE * 2)
    assert not (await t.poll()).is_terminal, "that time does not count"
    t.fal.complete()
    await t.poll(MINUTE)


async def fal_is_locked_past_the_deadline(t: Trial) -> None:
    t.fal.fault = "locked"
    await t.polled_for(DEADLINE * 3)
    t.fal.fault = ""
    assert not (await t.poll(MINUTE)).is_terminal, "that time does not count"
    t.fal.complete()
    await t.poll(MINUTE)


async def fal_is_locked_and_finishes_meanwhile(t: Trial) -> None:
    t.fal.fault = "locked"
    t.fal.complete()
    await t.polled_for(DEADLINE * 3)
    t.fal.fault = ""
    await t.poll(MINUTE)


async def reported_while_workers_are_away(t: Trial) -> None:
    t.fal.complete()
    assert await t.report() == "accepted"
    t.clock.advance(DEADLINE * 2)
    await process_due(t.runtime, WorkQueue.SWEEP)
    await t.poll()


async def fal_forgets_it(t: Trial) -> None:
    t.fal.state = "missing"
    await t.polled_for(DEADLINE + 5 * MINUTE)


@pytest.mark.parametrize(
    ("scene", "status", "code", "cost"),
    [
        (hangs_and_obeys, Status.FAILED, "upstream_timeout", "nothing"),
        (hangs_and_ignores_the_cancel, Status.FAILED, "upstream_timeout", "estimate"),
        (finishes_after_the_cancel, Status.SUCCEEDED, None, "billed"),
        (workers_are_away_and_fal_finishes, Status.SUCCEEDED, None, "billed"),
        (workers_are_away_and_fal_still_works, Status.SUCCEEDED, None, "billed"),
        (fal_is_locked_past_the_deadline, Status.SUCCEEDED, None, "billed"),
        (fal_is_locked_and_finishes_meanwhile, Status.SUCCEEDED, None, "billed"),
        (reported_while_workers_are_away, Status.SUCCEEDED, None, "billed"),
        (fal_forgets_it, Status.FAILED, "upstream_unavailable", "estimate"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
async def test_deadline_ends_a_job_as_fal_says(
    redis_url: str, scene: Scene, status: Status, code: str | None, cost: str
) -> None:
    async with trial(redis_url) as t:
        await scene(t)
        ended = await t.now()
        assert (ended.status, ended.error and ended.error.code) == (status, code)
        billed = round(float(UNITS) * 0.014 * 1_000_000)
        assert ended.actual_cost == {"nothing": 0, "estimate": t.g.estimated_cost, "billed": billed}[cost]
        assert await t.spent() == ended.actual_cost
        assert await t.runtime.stores.queue.slots_used() == 0
        assert (await t.runtime.operations.audit.run()).clean


async def test_deadline_ends_job_that_fal_alone_cannot_report(redis_url: str) -> None:
    """Errors of one job's polls are no outage: fal answers the polls of all other jobs."""
    async with trial(redis_url) as t:
        t.fal.broken = "request-1"
        await created(t.runtime, t.owner, "another")
        await process_due(t.runtime, WorkQueue.DISPATCH)
        await t.polled_for(DEADLINE - MINUTE * 10)
        assert not (await t.now()).is_terminal
        ended = await t.polled_for(MINUTE * 20)
        assert ended.error is not None
        assert (ended.error.code, ended.actual_cost) == ("upstream_timeout", ended.estimated_cost)


async def test_deadline_waits_a_week_while_fal_is_silent(redis_url: str) -> None:
    async with trial(redis_url) as t:
        t.fal.fault = "bad_gateway"
        await t.poll(MINUTE)
        await t.poll(timedelta(days=7))
        assert not (await t.now()).is_terminal
        assert (await t.poll(DEADLINE)).is_terminal


# --- whatever the order -----------------------------------------------------------------------------------------------

#: What may happen between a submit and its end, in any order.
EVENTS: Final = (
    "fal starts",
    "fal completes",
    "fal reports",
    "fal is locked",
    "fal is down",
    "fal is well",
    "a poll",
    "a sweep",
    "ten minutes with polls",
    "a deadline without workers",
    "a user cancels",
)


async def happens(t: Trial, event: str) -> None:  # noqa: C901  (one branch an event)
    match event:
        case "fal starts":
            t.fal.state = "IN_PROGRESS" if t.fal.state == "IN_QUEUE" else t.fal.state
        case "fal completes":
            t.fal.complete()
        case "fal reports" if t.fal.billed:
            await t.report()
        case "fal is locked":
            t.fal.fault = "locked"
        case "fal is down":
            t.fal.fault = "bad_gateway"
        case "fal is well":
            t.fal.fault = ""
        case "a poll":
            await t.poll(MINUTE / 2)
        case "a sweep":
            await process_due(t.runtime, WorkQueue.SWEEP)
        case "ten minutes with polls":
            await t.polled_for(10 * MINUTE)
        case "a deadline without workers":
            t.clock.advance(DEADLINE * 1.5)
            await process_due(t.runtime, WorkQueue.SWEEP)
        case "a user cancels" if not (await t.now()).is_terminal:
            await t.runtime.generations.canceller.cancel(t.owner, t.g.id)


async def story(redis_url: str, events: list[str], *, obeys_cancel: bool) -> None:
    async with trial(redis_url) as t:
        t.fal.obeys_cancel = obeys_cancel
        for event in events:
            await happens(t, event)
        t.fal.fault = ""
        for _ in range(60):
            if (await t.poll(5 * MINUTE)).is_terminal:
                break
        ended = await t.now()
        assert ended.is_terminal
        if t.fal.billed and ended.status is not Status.SUCCEEDED:
            # It finished after the status call, the cancel call and the grace: its callback is not lost.
            assert ended.cancel_sent_at is not None
            assert await t.report() == "paid_and_lost"
            await t.runtime.operations.unconfirmed.revive(ended.id, "fal has its video")
            ended = await t.poll(MINUTE)
        assert ended.status is Status.SUCCEEDED if t.fal.billed else ended.status is not Status.SUCCEEDED
        assert t.fal.submits == 1
        assert (await t.runtime.operations.audit.run()).clean


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=12), obeys_cancel=st.booleans())
def test_deadline_fails_no_job_that_fal_reported(redis_url: str, events: list[str], obeys_cancel: bool) -> None:
    with redis_py.Redis.from_url(redis_url) as client:
        client.flushall()
    asyncio.run(story(redis_url, events, obeys_cancel=obeys_cancel))


# --- a stored callback ------------------------------------------------------------------------------------------------


async def refused_then_expired(t: Trial) -> None:
    await t.runtime.transitions.apply(t.g.id, lambda g: g.submitting(t.clock()))
    await t.runtime.transitions.apply(t.g.id, lambda g: g.requeued())
    await t.report()
    t.clock.advance(timedelta(hours=25))
    await process_due(t.runtime, WorkQueue.SWEEP)


async def refused_then_canceled(t: Trial) -> None:
    await t.runtime.transitions.apply(t.g.id, lambda g: g.submitting(t.clock()))
    await t.runtime.transitions.apply(t.g.id, lambda g: g.requeued())
    await t.report()
    asked = await t.runtime.generations.canceller.cancel(t.owner, t.g.id)
    assert (asked.status, asked.cancel_requested_at) == (Status.QUEUED, t.clock())


async def unconfirmed_past_its_deadline(t: Trial) -> None:
    await t.runtime.transitions.apply(t.g.id, lambda g: g.submitting(t.clock()))
    await t.runtime.transitions.apply(t.g.id, lambda g: g.unconfirmed())
    await t.report()
    t.clock.advance(timedelta(hours=25))
    await process_due(t.runtime, WorkQueue.SWEEP)


async def unconfirmed_and_dismissed(t: Trial) -> None:
    await t.runtime.transitions.apply(t.g.id, lambda g: g.submitting(t.clock()))
    await t.runtime.transitions.apply(t.g.id, lambda g: g.unconfirmed())
    await t.report()
    with pytest.raises(NotUnconfirmed):
        await t.runtime.operations.unconfirmed.dismiss(t.g.id, "not in the dashboard")


async def late_proof_that_it_was_not_sent(t: Trial) -> None:
    await t.runtime.transitions.apply(t.g.id, lambda g: g.submitting(t.clock()))
    await t.runtime.transitions.apply(t.g.id, lambda g: g.unconfirmed())
    await t.report()
    await t.runtime.transitions.apply(t.g.id, lambda g: after_not_sent(g, t.clock()))


@pytest.mark.parametrize(
    "end",
    [
        refused_then_expired,
        refused_then_canceled,
        unconfirmed_past_its_deadline,
        unconfirmed_and_dismissed,
        late_proof_that_it_was_not_sent,
    ],
    ids=lambda value: value.__name__,
)
async def test_callback_stored_is_evaluated_before_other_ends(redis_url: str, end: Scene) -> None:
    async with trial(redis_url, dispatch=False) as t:
        t.fal.complete()
        await end(t)
        assert not (await t.now()).is_terminal
        ended = await t.poll()
        assert (ended.status, ended.request_id) == (Status.SUCCEEDED, "request-1")
        assert (await t.runtime.operations.audit.run()).clean


async def test_callback_during_a_poll_outlives_a_lost_result(redis_url: str) -> None:
    """The poll ends at the deadline without fal's verdict; the callback arrives while the result is asked for."""
    async with trial(redis_url) as t:
        receptions = list[str]()

        async def report() -> None:
            if not receptions:
                receptions.append(await t.report())

        t.fal.state = "missing"
        await t.polled_for(DEADLINE - 10 * MINUTE)
        t.fal.before_result = report
        await t.polled_for(15 * MINUTE)
        ended = await t.polled_for(30 * MINUTE)
        assert receptions == ["accepted"]
        assert ended.status is Status.SUCCEEDED
        assert (await t.runtime.operations.audit.run()).clean
