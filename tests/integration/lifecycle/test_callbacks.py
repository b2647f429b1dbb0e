"""Callbacks in any order and number, signed by the sandbox and delivered by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.callback import Callback
from service.domain.generation import Generation
from service.domain.status import TERMINAL, Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.observability import metrics
from service.runtime import Runtime
from service.store import keys
from service.store.generations.callbacks import CallbackStore
from tests.conftest import client_of
from tests.support import factories
from tests.support.factories import Clock
from tests.support.metric_values import value
from tests.support.receiver import Received, Receiver
from tests.support.waiting import polled_until, process_due, stored

QUICK = "sandbox:no-video sandbox:queue-seconds=0 sandbox:seconds=0.01"
Create = Callable[..., Awaitable[Generation]]


@pytest.fixture
def postbox() -> Iterator[Receiver]:
    """A receiver that stores fal's callbacks until a test delivers them."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def settings(redis_url: str, sandbox_url: str, postbox: Receiver) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, public_url=postbox.base_url)


@dataclass
class Fal:
    """The sandbox as fal. Its callbacks are delivered when, and as often as, the test decides."""

    postbox: Receiver
    gateway: httpx.AsyncClient
    oracle: httpx.AsyncClient

    async def callbacks(self, g: Generation, count: int = 1) -> list[Received]:
        """Wait for this many callbacks of the generation, and return them."""

        def about_it(came: list[Received]) -> list[Received]:
            return [callback for callback in came if g.id in callback.path]

        came = await asyncio.to_thread(self.postbox.wait_for, lambda now: len(about_it(now)) >= count)
        return about_it(came)

    async def hand_on(self, callback: Received) -> httpx.Response:
        return await self.gateway.post(callback.path, content=callback.body, headers=callback.headers)

    async def report(self, g: Generation) -> None:
        """Wait for the generation's callback and deliver it."""
        (callback,) = await self.callbacks(g)
        answer = await self.hand_on(callback)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    async def submits(self, g: Generation) -> int:
        seen = (await self.oracle.get("/_sandbox/requests")).json()
        return sum(g.id in (submit["webhook_url"] or "") for submit in seen)


@pytest.fixture
async def fal(postbox: Receiver, app: FastAPI, sandbox_url: str) -> AsyncIterator[Fal]:
    async with client_of(app) as gateway, httpx.AsyncClient(base_url=sandbox_url) as oracle:
        yield Fal(postbox, gateway, oracle)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.fixture
def create(runtime: Runtime, owner: Tenant) -> Create:
    async def made(prompt: str = QUICK, **changes: Any) -> Generation:
        request = factories.create_request(prompt=prompt, image_url="https://v3b.fal.media/a.jpg", **changes)
        return (await runtime.generations.creator.create(owner, request)).generation

    return made


async def polled_to_the_end(runtime: Runtime, clock: Clock, g: Generation) -> Generation:
    return await polled_until(runtime, clock, g, lambda now: now.is_terminal, step=2)


def counted(outcome: str) -> float:
    return value(metrics.CALLBACKS.labels(outcome))


def calls(operation: str) -> float:
    """Return the number of responses that fal has sent."""
    return sum(
        sample.value
        for metric in metrics.UPSTREAM_CALLS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["operation"] == operation
    )


async def kept_callback(runtime: Runtime, g: Generation) -> bytes | None:
    stored_callback: bytes | None = await runtime.redis.execute("HGET", keys.generation(g.id), "c")
    return stored_callback


async def poll_due(runtime: Runtime, g: Generation) -> float | None:
    score = await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.POLL), g.id)
    return None if score is None else float(score) / 1000


# --- the news ---------------------------------------------------------------------------------------------------------


async def test_callback_ends_job_at_once_with_one_poll(runtime: Runtime, fal: Fal, create: Create) -> None:
    g = await create()
    await process_due(runtime, WorkQueue.DISPATCH)
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, g)).status is Status.SUBMITTED, "its poll is not due yet"
    await fal.report(g)
    statuses, results = calls("status"), calls("result")
    await process_due(runtime, WorkQueue.POLL)
    ended = await stored(runtime, g)
    assert ended.status is Status.SUCCEEDED
    assert (calls("status") - statuses, calls("result") - results) == (1, 1), "its result and the last lines of its log"
    assert ended.actual_cost != ended.estimated_cost, "billed units come with the result"
    assert await kept_callback(runtime, g) is None
    assert await poll_due(runtime, g) is None


ENDS = [
    QUICK,
    "sandbox:policy",
    "sandbox:policy-output",
    "sandbox:bad-image",
    "sandbox:error-500",
    "sandbox:timeout",
    "sandbox:runner-503",
    f"{QUICK} sandbox:null-payload",
    "sandbox:policy sandbox:null-payload",
]


@pytest.mark.parametrize("prompt", ENDS)
async def test_callback_and_polling_agree(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create, prompt: str
) -> None:
    options = {"webhook_url": "http://127.0.0.1:9000/hook", "duration": 5}
    polled, reported, both = [await create(prompt, **options) for _ in range(3)]
    await process_due(runtime, WorkQueue.DISPATCH)
    await fal.report(reported)
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, reported)).status in TERMINAL
    await fal.callbacks(both)
    clock.advance(timedelta(seconds=2))  # the other two are due for a poll now
    await asyncio.gather(fal.report(both), runtime.queues.run(WorkQueue.POLL), fal.report(both))
    ends = [await polled_to_the_end(runtime, clock, g) for g in (polled, reported, both)]
    seen = {
        (g.status, g.error and (g.error.code, g.error.message), g.actual_cost, g.output and g.output.seed is not None)
        for g in ends
    }
    assert len(seen) == 1
    assert [len(g.deliveries) for g in ends] == [1, 1, 1]
    assert await runtime.redis.execute("ZCARD", keys.deliveries_of_tenant(polled.tenant_id)) == 3
    assert await runtime.stores.queue.slots_used() == 0
    assert (await runtime.operations.audit.run()).differences == []


async def test_callback_lost_costs_some_seconds(runtime: Runtime, clock: Clock, fal: Fal, create: Create) -> None:
    g = await create(f"{QUICK} sandbox:lost-webhook")
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await polled_to_the_end(runtime, clock, g)).status is Status.SUCCEEDED
    assert fal.postbox.received == []


async def test_callback_of_forgotten_result_ends_job(runtime: Runtime, clock: Clock, fal: Fal, create: Create) -> None:
    g, only_polled = [await create(f"{QUICK} sandbox:expired-result") for _ in range(2)]
    await process_due(runtime, WorkQueue.DISPATCH)
    await fal.report(g)
    await process_due(runtime, WorkQueue.POLL)
    ended = await stored(runtime, g)
    assert ended.status is Status.SUCCEEDED
    assert ended.output is not None
    assert ended.actual_cost == ended.estimated_cost
    assert (await polled_to_the_end(runtime, clock, only_polled)).status is Status.FAILED


@pytest.mark.parametrize("trouble", ["locked", "500", "html-502", "reset"])
async def test_callback_ends_job_after_tries_without_result(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create, trouble: str
) -> None:
    g = await create("sandbox:policy")
    await process_due(runtime, WorkQueue.DISPATCH)
    await fal.report(g)
    (await fal.oracle.post("/_sandbox/faults", json={"result": {"kind": trouble}})).raise_for_status()
    try:
        await process_due(runtime, WorkQueue.POLL)
        assert not (await stored(runtime, g)).is_terminal, "the result would name what was billed"
        ended = await polled_to_the_end(runtime, clock, g)
    finally:
        (await fal.oracle.delete("/_sandbox/faults")).raise_for_status()
    assert ended.error is not None
    assert (ended.error.code, ended.actual_cost) == ("content_policy", 0)


# --- a submit whose response was lost ---------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", "sandbox:null-payload"])
async def test_callback_of_unconfirmed_generation_adopts(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create, more: str
) -> None:
    g = await create(f"{QUICK} sandbox:lost-answer {more}")
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    await fal.report(g)
    await process_due(runtime, WorkQueue.POLL)
    ended = await stored(runtime, g)
    assert ended.status is Status.SUCCEEDED
    assert ended.request_id is not None
    assert ended.actual_cost is not None
    assert ended.actual_cost != ended.estimated_cost
    assert await fal.submits(g) == 1
    assert await runtime.stores.queue.slots_used() == 0


@pytest.mark.parametrize("more", ["", "sandbox:lost-answer"])
async def test_callback_before_submit_response_adopts(runtime: Runtime, fal: Fal, create: Create, more: str) -> None:
    g = await create(f"{QUICK} sandbox:slow-answer=0.7 {more}")
    await runtime.queues.run(WorkQueue.DISPATCH)
    await fal.report(g)
    assert (await stored(runtime, g)).status is Status.SUBMITTING
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, g)).status is Status.SUCCEEDED, "while its submit is still under way"
    await runtime.queues.consumers[WorkQueue.DISPATCH].idle()
    ended = await stored(runtime, g)
    assert (ended.status, await fal.submits(g)) == (Status.SUCCEEDED, 1)


@pytest.mark.parametrize(("more", "between"), [("", Status.SUBMITTED), ("sandbox:lost-answer", Status.UNCONFIRMED)])
async def test_callback_poll_is_not_delayed_by_the_submit(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create, more: str, between: Status
) -> None:
    g = await create(f"{QUICK} sandbox:slow-answer=0.7 {more}")
    await runtime.queues.run(WorkQueue.DISPATCH)
    await fal.report(g)
    await runtime.queues.consumers[WorkQueue.DISPATCH].idle()
    assert (await stored(runtime, g)).status is between
    assert await poll_due(runtime, g) == clock().timestamp()
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, g)).status is Status.SUCCEEDED


@pytest.mark.parametrize("first", [WorkQueue.POLL, WorkQueue.DISPATCH])
async def test_callback_of_requeued_generation_prevents_resubmit(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create, first: WorkQueue
) -> None:
    g = await create(f"sandbox:429=1 {QUICK} {first} {clock().timestamp()}")
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.QUEUED
    await receive(runtime, clock, g, Callback("request-1"))
    clock.advance(timedelta(minutes=1))
    for work_queue in (first, WorkQueue.POLL, WorkQueue.DISPATCH):
        await process_due(runtime, work_queue)
    now = await stored(runtime, g)
    assert (now.status, now.request_id, await fal.submits(g)) == (Status.SUBMITTED, "request-1", 0)
    assert await runtime.stores.queue.slots_used() == 1


# --- twice, late, out of place ----------------------------------------------------------------------------------------


async def receive(runtime: Runtime, clock: Clock, g: Generation, callback: Callback) -> None:
    """Store the callback, as the route does after its verification."""
    received = await CallbackStore(runtime.redis).receive(g.id, g.callback_token, callback, now=clock())
    assert received.reception == "accepted"


async def test_callback_sent_twice_counts_once(runtime: Runtime, fal: Fal, create: Create) -> None:
    g = await create(f"{QUICK} sandbox:double-webhook", webhook_url="http://127.0.0.1:9000/hook")
    await process_due(runtime, WorkQueue.DISPATCH)
    first, second = await fal.callbacks(g, 2)
    accepted, duplicate, ended = counted("accepted"), counted("duplicate"), counted("ended")
    assert (await fal.hand_on(first)).status_code == 200
    assert (await fal.hand_on(second)).status_code == 200
    await process_due(runtime, WorkQueue.POLL)
    version = (await stored(runtime, g)).version
    assert (await fal.hand_on(first)).status_code == 200
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, g)).version == version
    assert (counted("accepted"), counted("duplicate"), counted("ended")) == (accepted + 1, duplicate + 1, ended + 1)
    assert await runtime.redis.execute("ZCARD", keys.deliveries_of_tenant(g.tenant_id)) == 1


async def test_callback_after_end_changes_nothing(runtime: Runtime, clock: Clock, fal: Fal, create: Create) -> None:
    g = await create(f"{QUICK} sandbox:late-webhook=0.5")
    await process_due(runtime, WorkQueue.DISPATCH)
    ended = await polled_to_the_end(runtime, clock, g)
    await fal.report(g)
    assert await stored(runtime, g) == ended
    assert await kept_callback(runtime, g) is None
    assert await poll_due(runtime, g) is None


async def test_callback_of_given_up_generation_is_paid_and_lost(
    runtime: Runtime, clock: Clock, settings: Settings, fal: Fal, create: Create, owner: Tenant
) -> None:
    """The generation has failed as unconfirmed, with its estimate as cost. Then fal reports its video."""
    g = await create(f"{QUICK} sandbox:lost-answer")
    await process_due(runtime, WorkQueue.DISPATCH)
    before = clock.now
    clock.advance(settings.unconfirmed_deadline)
    await process_due(runtime, WorkQueue.SWEEP)
    failed = await stored(runtime, g)
    assert failed.status is Status.FAILED
    clock.now = before  # the callback is as young as it was
    counted_before = counted("paid_and_lost")
    await fal.report(g)
    assert counted("paid_and_lost") == counted_before + 1
    await process_due(runtime, WorkQueue.POLL)
    assert await stored(runtime, g) == failed
    lost, count = await runtime.operations.unconfirmed.paid_and_lost(limit=10)
    assert ([one.generation.id for one in lost], count) == ([g.id], 1)

    await runtime.operations.unconfirmed.revive(g.id, "fal has its video")
    assert (await runtime.tenants.usage.month(owner.id)).held == g.estimated_cost
    assert (await runtime.operations.audit.run()).clean
    revived = await polled_to_the_end(runtime, clock, g)
    assert (revived.status, revived.error) == (Status.SUCCEEDED, None)
    month = await runtime.tenants.usage.month(owner.id)
    assert (month.held, month.spent) == (0, revived.actual_cost)
    assert (await runtime.operations.unconfirmed.paid_and_lost(limit=10))[1] == 0
    (today,) = [day for day in (await runtime.tenants.usage.report(owner.id, None, None)).days if day.created]
    assert dict(today.outcomes) == {"succeeded": 1}
    assert (await runtime.operations.audit.run()).clean


async def test_cancel_request_yields_to_the_result(runtime: Runtime, owner: Tenant, fal: Fal, create: Create) -> None:
    g = await create(QUICK)
    await process_due(runtime, WorkQueue.DISPATCH)
    await fal.report(g)
    await runtime.generations.canceller.cancel(owner, g.id)
    cancels = calls("cancel")
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, g)).status is Status.SUCCEEDED
    assert calls("cancel") == cancels


async def test_callback_forged_is_refused_and_polls_continue(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create
) -> None:
    g = await create(f"{QUICK} sandbox:forged-webhook")
    await process_due(runtime, WorkQueue.DISPATCH)
    (forged, *_) = await fal.callbacks(g)
    refused = counted("signature")
    assert (await fal.hand_on(forged)).status_code == 401
    assert counted("signature") == refused + 1
    assert await kept_callback(runtime, g) is None
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, g)).status is Status.SUBMITTED
    assert (await polled_to_the_end(runtime, clock, g)).status is Status.SUCCEEDED


async def test_callback_of_other_request_is_logged_and_ignored(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create
) -> None:
    g = await create("sandbox:hang")
    await process_due(runtime, WorkQueue.DISPATCH)
    before = await stored(runtime, g)
    counted_before = counted("other_request")
    await receive(runtime, clock, g, Callback("request-2", 200, {"video": {"url": "https://x.test/v.mp4"}}))
    await process_due(runtime, WorkQueue.POLL)
    now = await stored(runtime, g)
    assert (now.request_id, now.status in TERMINAL) == (before.request_id, False)
    assert counted("other_request") == counted_before + 1
    assert await kept_callback(runtime, g) is None


@pytest.mark.parametrize("payload", [None, {"seed": 7}])
async def test_callback_without_result_does_not_spin_polls(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create, payload: Any
) -> None:
    g = await create("sandbox:hang sandbox:queue-seconds=0")
    await process_due(runtime, WorkQueue.DISPATCH)
    request_id = (await stored(runtime, g)).request_id
    assert request_id is not None
    await receive(runtime, clock, g, Callback(request_id, 200, payload))
    statuses = calls("status")
    for _ in range(5):
        await process_due(runtime, WorkQueue.POLL)
    assert calls("status") == statuses + 1
    assert await kept_callback(runtime, g) is None
    due = await poll_due(runtime, g)
    assert due is not None
    assert due > clock().timestamp()


async def test_callback_poll_is_not_delayed_by_running_poll(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create
) -> None:
    g = await create("sandbox:hang")
    await process_due(runtime, WorkQueue.DISPATCH)
    request_id = (await stored(runtime, g)).request_id
    assert request_id is not None
    await receive(runtime, clock, g, Callback(request_id))
    await runtime.stores.generations.reschedule_poll(g.id, clock() + timedelta(seconds=15))
    assert await poll_due(runtime, g) == clock().timestamp()


async def test_callback_of_dead_worker_goes_to_the_next(
    runtime: Runtime, clock: Clock, fal: Fal, create: Create
) -> None:
    from service.usecases.lifecycle.leases import LEASE

    g = await create(f"{QUICK} sandbox:lost-answer")
    await process_due(runtime, WorkQueue.DISPATCH)
    await fal.report(g)
    claim = await runtime.stores.due.claim(WorkQueue.POLL, now=clock(), most=5, lease=LEASE)
    assert [item.id for item in claim.taken] == [g.id]  # and then it died
    clock.advance(LEASE)
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, g)).status is Status.SUCCEEDED


async def test_callback_url_absent_without_public_url(redis_url: str, sandbox_url: str, clock: Clock, fal: Fal) -> None:
    from service.runtime import open_runtime

    async with open_runtime(factories.sandbox_settings(redis_url, sandbox_url), clock=clock) as runtime:
        owner = await runtime.tenants.service.create("acme")
        prompt = f"{QUICK} no callbacks {clock().timestamp()}"
        request = factories.create_request(prompt=prompt, image_url="https://v3b.fal.media/a.jpg")
        g = (await runtime.generations.creator.create(owner, request)).generation
        await process_due(runtime, WorkQueue.DISPATCH)
        assert (await polled_to_the_end(runtime, clock, g)).status is Status.SUCCEEDED
    seen = (await fal.oracle.get("/_sandbox/requests")).json()
    assert [submit["webhook_url"] for submit in seen if submit["prompt"] == prompt] == [None]


async def test_callback_end_includes_last_log_lines(runtime: Runtime, clock: Clock, fal: Fal, create: Create) -> None:
    g = await create("sandbox:no-video sandbox:logs sandbox:queue-seconds=0 sandbox:seconds=0.05")
    await process_due(runtime, WorkQueue.DISPATCH)
    await fal.report(g)
    await process_due(runtime, WorkQueue.POLL)
    ended = await stored(runtime, g)
    assert ended.status is Status.SUCCEEDED
    assert ended.logs
