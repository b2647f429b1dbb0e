"""The life of a generation from its 202 to its end, against real Redis and the sandbox, with a test's clock."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, build_schedule
from service.store import keys
from service.usecases.generations.create import CreateOptions
from service.usecases.lifecycle.leases import LEASE
from service.usecases.lifecycle.schedule import REFUSED_SUBMITS
from tests.support import factories
from tests.support.factories import Clock
from tests.support.waiting import polled_until, process_due, stored

ENDED = {Status.SUCCEEDED, Status.FAILED, Status.CANCELED}


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, upstream_concurrency=3)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.fixture
def create(runtime: Runtime, owner: Tenant) -> Callable[..., Awaitable[Generation]]:
    async def made(prompt: str = "sandbox:no-video", **changes: Any) -> Generation:
        request = factories.create_request(prompt=prompt, image_url="https://v3b.fal.media/a.jpg", **changes)
        return (await runtime.generations.creator.create(owner, request)).generation

    return made


async def polled_to_the_end(runtime: Runtime, clock: Clock, g: Generation) -> Generation:
    # A slow sandbox must not come to the deadline of our clock.
    return await polled_until(runtime, clock, g, lambda now: now.is_terminal, step=1)


async def test_lifecycle_success_from_create_to_webhook(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create(end_user_id="customer-7")
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.SUBMITTED
    ended = await polled_to_the_end(runtime, clock, g)
    assert ended.status is Status.SUCCEEDED
    assert ended.output is not None
    assert ended.actual_cost is not None
    assert 0 < ended.actual_cost <= ended.estimated_cost
    assert await runtime.stores.queue.slots_used() == 0


async def test_dispatch_respects_slots(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]]
) -> None:
    waiting = []
    for _ in range(5):
        waiting.append(await create("sandbox:no-video"))
        clock.advance(timedelta(milliseconds=1))
    await process_due(runtime, WorkQueue.DISPATCH)
    states = [(await stored(runtime, g)).status for g in waiting]
    assert states == [Status.SUBMITTED] * 3 + [Status.QUEUED] * 2
    await polled_to_the_end(runtime, clock, waiting[0])
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, waiting[3])).status is Status.SUBMITTED


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("sandbox:policy", "content_policy"),
        ("sandbox:policy-output", "content_policy"),
        ("sandbox:bad-image", "image_unreachable"),
        ("sandbox:invalid-request", "image_unreachable"),
        ("sandbox:error-500", "upstream_unavailable"),
        ("sandbox:timeout", "upstream_timeout"),
        ("sandbox:runner-503", "upstream_unavailable"),
    ],
)
async def test_failures_of_fal_map_to_error_codes(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]], prompt: str, code: str
) -> None:
    g = await create(prompt)
    await process_due(runtime, WorkQueue.DISPATCH)
    ended = await polled_to_the_end(runtime, clock, g)
    assert ended.status is Status.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.actual_cost) == (code, 0)


async def test_result_lost_counts_as_paid(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create("sandbox:expired-result")
    await process_due(runtime, WorkQueue.DISPATCH)
    ended = await polled_to_the_end(runtime, clock, g)
    assert ended.status is Status.FAILED
    assert ended.actual_cost == ended.estimated_cost


async def test_submit_rejected_costs_nothing(runtime: Runtime, create: Callable[..., Awaitable[Generation]]) -> None:
    g = await create("sandbox:422-submit")
    await process_due(runtime, WorkQueue.DISPATCH)
    ended = await stored(runtime, g)
    assert ended.status is Status.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.actual_cost) == ("upstream_rejected", 0)
    assert await runtime.stores.queue.slots_used() == 0


@pytest.mark.parametrize("prompt", ["sandbox:429=1", "sandbox:503=1"])
async def test_submit_refused_by_busy_fal_is_repeated(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]], prompt: str
) -> None:
    g = await create(f"{prompt} sandbox:no-video {clock.now.timestamp()}")
    await process_due(runtime, WorkQueue.DISPATCH)
    back = await stored(runtime, g)
    assert (back.status, back.submit_refusals) == (Status.QUEUED, 1)
    assert await runtime.stores.queue.slots_used() == 0
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.QUEUED, "not before the pause is over"
    clock.advance(REFUSED_SUBMITS.delays[1] * 2)
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.SUBMITTED


@pytest.mark.parametrize("prompt", ["sandbox:lost-answer", "sandbox:500"])
async def test_unconfirmed_releases_slot_and_keeps_hold(
    runtime: Runtime,
    clock: Clock,
    settings: Settings,
    owner: Tenant,
    create: Callable[..., Awaitable[Generation]],
    prompt: str,
) -> None:
    g = await create(f"{prompt} sandbox:no-video")
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    clock.advance(settings.unconfirmed_slot - timedelta(seconds=1))
    await process_due(runtime, WorkQueue.SWEEP)
    assert await runtime.stores.queue.slots_used() == 1
    clock.advance(timedelta(seconds=1))
    await process_due(runtime, WorkQueue.SWEEP)
    assert await runtime.stores.queue.slots_used() == await runtime.stores.queue.tenant_slots_used(owner.id) == 0
    assert (await runtime.tenants.usage.month(owner.id)).held == g.estimated_cost
    assert await runtime.stores.queue.unfinished() == 1
    assert (await runtime.operations.audit.run()).clean
    for _ in range(5):
        clock.advance(timedelta(hours=1))
        await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED, "it is never sent again"
    clock.advance(timedelta(hours=20))
    await process_due(runtime, WorkQueue.SWEEP)
    ended = await stored(runtime, g)
    assert ended.error is not None
    assert ended.error.code == "submission_unconfirmed"
    assert ended.actual_cost == ended.estimated_cost


async def test_crash_before_intent_costs_the_lease_only(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create()
    claim = await runtime.stores.queue.claim(now=clock(), most=5, lease=LEASE, slots=3)
    assert [item.id for item in claim.taken] == [g.id]  # and then it died
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.QUEUED
    clock.advance(LEASE)
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.SUBMITTED


async def test_crash_after_intent_is_unconfirmed_never_queued(
    runtime: Runtime, clock: Clock, settings: Settings, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create()
    submitting = g.submitting(clock())
    moved = await runtime.stores.generations.save(submitting, build_schedule(settings).due(submitting, clock()))
    assert moved.won
    clock.advance(settings.fal_timeout)
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await stored(runtime, g)).status is Status.SUBMITTING, "its POST may still be under way"
    clock.advance(timedelta(seconds=31))
    await process_due(runtime, WorkQueue.SWEEP)
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED


async def test_queued_too_long_expires(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create(expires_in=60)
    clock.advance(timedelta(seconds=59))
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await stored(runtime, g)).status is Status.QUEUED
    clock.advance(timedelta(seconds=1))
    await process_due(runtime, WorkQueue.SWEEP)
    ended = await stored(runtime, g)
    assert ended.error is not None
    assert (ended.error.code, ended.actual_cost) == ("expired", 0)


async def test_deadline_cancels_job_that_hangs_at_fal(
    runtime: Runtime, clock: Clock, settings: Settings, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create("sandbox:hang")
    await process_due(runtime, WorkQueue.DISPATCH)
    for _ in range(10):
        clock.advance(settings.upstream_deadline / 10)
        await process_due(runtime, WorkQueue.POLL)
    async with asyncio.timeout(60):
        while not (ended := await stored(runtime, g)).is_terminal:
            clock.advance(timedelta(seconds=0.25))
            await process_due(runtime, WorkQueue.POLL)
            await asyncio.sleep(0.01)  # the sandbox lives in a time of its own
    assert ended.error is not None
    assert (ended.error.code, ended.actual_cost) == ("upstream_timeout", 0), "fal has canceled it and bills nothing"
    assert ended.cancel_sent_at is not None
    assert await runtime.stores.queue.slots_used() == 0


async def test_sweep_does_not_undo_a_later_transition(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create("sandbox:hang", expires_in=60)
    await process_due(runtime, WorkQueue.DISPATCH)
    clock.advance(timedelta(seconds=60))
    await runtime.redis.execute("ZADD", keys.due(WorkQueue.SWEEP), 1, g.id)  # the entry as it was claimed before
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await stored(runtime, g)).status is Status.SUBMITTED


async def test_retention_purges_ended_generation(
    runtime: Runtime, clock: Clock, settings: Settings, owner: Tenant
) -> None:
    request = factories.create_request()
    g = (await runtime.generations.creator.create(owner, request, CreateOptions(idempotency_key="order-7"))).generation
    await runtime.generations.canceller.cancel(owner, g.id)
    clock.advance(settings.retention - timedelta(seconds=1))
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await runtime.generations.creator.create(owner, request, CreateOptions(idempotency_key="order-7"))).replayed
    clock.advance(timedelta(seconds=1))
    await process_due(runtime, WorkQueue.SWEEP)
    assert await runtime.stores.generations.load(g.id) is None
    assert not (
        await runtime.generations.creator.create(owner, request, CreateOptions(idempotency_key="order-7"))
    ).replayed


async def test_upstream_errors_fail_no_generation(
    runtime: Runtime, clock: Clock, sandbox_url: str, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create("sandbox:no-video")
    await process_due(runtime, WorkQueue.DISPATCH)
    async with httpx.AsyncClient(base_url=sandbox_url) as fal:
        for kind in ("locked", "unauthorized", "429", "500", "503", "html-502", "reset"):
            fault = {"status": {"kind": kind}}
            (await fal.post("/_sandbox/faults", json=fault)).raise_for_status()
            clock.advance(timedelta(minutes=1))
            await process_due(runtime, WorkQueue.POLL)
            assert (await stored(runtime, g)).status in (Status.SUBMITTED, Status.IN_PROGRESS), kind
        (await fal.delete("/_sandbox/faults")).raise_for_status()
    assert (await stored(runtime, g)).poll_failures == 7
    assert (await polled_to_the_end(runtime, clock, g)).status is Status.SUCCEEDED


async def test_poll_without_news_writes_next_time_only(
    runtime: Runtime, clock: Clock, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create("sandbox:hang sandbox:queue-seconds=0")
    await process_due(runtime, WorkQueue.DISPATCH)
    for _ in range(3):
        clock.advance(timedelta(seconds=20))
        await process_due(runtime, WorkQueue.POLL)
    before = await stored(runtime, g)
    clock.advance(timedelta(seconds=20))
    await process_due(runtime, WorkQueue.POLL)
    assert (await stored(runtime, g)).version == before.version
    score = float(await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.POLL), g.id))
    assert clock().timestamp() < score / 1000 < clock().timestamp() + 20


async def test_cancel_of_submitted_is_sent_once_to_fal(
    runtime: Runtime, clock: Clock, owner: Tenant, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create("sandbox:hang")
    await process_due(runtime, WorkQueue.DISPATCH)
    asked = await runtime.generations.canceller.cancel(owner, g.id)
    assert asked.status is Status.SUBMITTED
    await process_due(runtime, WorkQueue.POLL)
    canceled = await stored(runtime, g)
    assert canceled.cancel_sent_at is not None or canceled.status is Status.CANCELED
    ended = await polled_to_the_end(runtime, clock, g)
    assert (ended.status, ended.actual_cost) == (Status.CANCELED, 0)


async def test_cancel_refused_by_fal_succeeds_and_is_billed(
    runtime: Runtime, clock: Clock, owner: Tenant, create: Callable[..., Awaitable[Generation]]
) -> None:
    g = await create("sandbox:uncancellable sandbox:no-video sandbox:seconds=0.5")
    await process_due(runtime, WorkQueue.DISPATCH)
    await runtime.generations.canceller.cancel(owner, g.id)
    ended = await polled_to_the_end(runtime, clock, g)
    assert ended.status is Status.SUCCEEDED
    assert ended.actual_cost
    assert ended.cancel_requested_at is not None
