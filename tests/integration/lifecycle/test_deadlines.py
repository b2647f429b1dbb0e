"""What each deadline that the gateway keeps alone makes of a generation, and what that costs.

The deadline of a job at fal is another matter: see test_final_check.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.support import factories
from tests.support.factories import Clock
from tests.support.unconfirmed import created, given_up_as_lost
from tests.support.waiting import process_due, stored

HOOK = "http://127.0.0.1:9000/hook"
SECOND = timedelta(seconds=1)
Step = Callable[[Runtime, Tenant, Clock], Awaitable[Generation]]


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(
        redis_url,
        queue_expiry=timedelta(hours=3),
        upstream_deadline=timedelta(hours=2),
        unconfirmed_deadline=timedelta(hours=5),
    )


async def waiting(runtime: Runtime, owner: Tenant, _: Clock) -> Generation:
    return await created(runtime, owner, webhook_url=HOOK)


async def hurried(runtime: Runtime, owner: Tenant, _: Clock) -> Generation:
    return await created(runtime, owner, webhook_url=HOOK, expires_in=60)


async def in_doubt(runtime: Runtime, owner: Tenant, clock: Clock) -> Generation:
    return await given_up_as_lost(runtime, owner, clock, webhook_url=HOOK)


@pytest.mark.parametrize(
    ("step", "deadline", "code", "retryable", "billed"),
    [
        (waiting, timedelta(hours=3), "expired", True, False),
        (hurried, timedelta(seconds=60), "expired", True, False),
        (in_doubt, timedelta(hours=5), "submission_unconfirmed", False, True),
    ],
)
async def test_deadline_ends_generation_and_settles_hold(
    runtime: Runtime, clock: Clock, step: Step, deadline: timedelta, code: str, retryable: bool, billed: bool
) -> None:
    owner = await runtime.tenants.service.create("acme")
    g = await step(runtime, owner, clock)

    clock.advance(deadline - SECOND)
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await stored(runtime, g)).status is g.status
    month = await runtime.tenants.usage.month(owner.id)
    assert (month.held, month.spent) == (g.estimated_cost, 0)

    clock.advance(SECOND)
    await process_due(runtime, WorkQueue.SWEEP)
    ended = await stored(runtime, g)
    assert (ended.status, ended.finished_at) == (Status.FAILED, clock())
    assert ended.error is not None
    assert (ended.error.code, ended.error.retryable) == (code, retryable)
    cost = g.estimated_cost if billed else 0
    assert ended.actual_cost == cost
    month = await runtime.tenants.usage.month(owner.id)
    assert (month.held, month.spent) == (0, cost)
    assert len(ended.deliveries) == 1
    assert await runtime.stores.queue.slots_used() == await runtime.stores.queue.unconfirmed_count() == 0
    assert (await runtime.operations.audit.run()).clean


async def test_deadline_of_intent_makes_it_unconfirmed(runtime: Runtime, clock: Clock, settings: Settings) -> None:
    owner = await runtime.tenants.service.create("acme")
    g = await created(runtime, owner)
    await runtime.transitions.apply(g.id, lambda g: g.submitting(clock()))
    clock.advance(settings.fal_timeout + timedelta(seconds=30))
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    month = await runtime.tenants.usage.month(owner.id)
    assert (month.held, month.spent) == (g.estimated_cost, 0), "fal may have it"
