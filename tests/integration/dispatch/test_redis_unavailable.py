"""Redis unavailable at the end of a submit: an outcome written late, or twice, changes no other submit."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.status import TERMINAL, Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.errors import StoreUnavailable
from service.runtime import Runtime
from service.store.generations.generations import Moved
from service.usecases.lifecycle.dispatch import arguments
from tests.support import factories
from tests.support.factories import Clock
from tests.support.unconfirmed import created, oracle
from tests.support.waiting import process_due, stored

Write = Callable[..., Awaitable[Moved]]
Meanwhile = Callable[[], Awaitable[None]]


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.fixture(autouse=True)
async def _sandbox_is_empty(sandbox_url: str) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=sandbox_url) as fal:
        (await fal.post("/_sandbox/reset")).raise_for_status()
        yield


@pytest.fixture(autouse=True)
def _no_pauses(runtime: Runtime) -> None:
    runtime.transitions.retry_pause = 0


@pytest.fixture
def once_away(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the first write to a status get no reply, executed or not. ``meanwhile`` runs before the error is raised."""

    def arm(status: Status, meanwhile: Meanwhile, *, written: bool) -> None:
        verb = "finish" if status in TERMINAL else "save"
        usual: Write = getattr(runtime.stores.generations, verb)

        async def write(g: Generation, *rest: Any, **options: Any) -> Moved:
            if g.status is not status:
                return await usual(g, *rest, **options)
            monkeypatch.setattr(runtime.stores.generations, verb, usual)
            if written:
                assert (await usual(g, *rest, **options)).won
            await meanwhile()
            raise StoreUnavailable("The store did not answer.")

        monkeypatch.setattr(runtime.stores.generations, verb, write)

    return arm


async def test_fence_lost_reply_of_requeue_spares_next_submit(
    runtime: Runtime, clock: Clock, owner: Tenant, sandbox_url: str, once_away: Callable[..., None]
) -> None:
    g = await created(runtime, owner, "sandbox:503=1 sandbox:no-video")

    async def another_worker_submits() -> None:
        clock.advance(timedelta(minutes=1))
        await runtime.stores.queue.claim(now=clock(), most=1, lease=timedelta(seconds=15), slots=1)
        sent = await runtime.transitions.apply(g.id, lambda now: now.submitting(clock()))
        assert sent is not None
        await runtime.connections.fal.submit(arguments(sent))

    once_away(Status.QUEUED, another_worker_submits, written=True)
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.SUBMITTING, "its answer is still to come"
    for _ in range(3):
        clock.advance(timedelta(minutes=1))
        await process_due(runtime, WorkQueue.DISPATCH)
    assert len(await oracle(sandbox_url)) == 1


async def test_fence_repeated_requeue_spares_unconfirmed_submit(
    runtime: Runtime, clock: Clock, owner: Tenant, once_away: Callable[..., None]
) -> None:
    g = await created(runtime, owner)
    runtime.queues.dispatch.max_intent_age = timedelta(-1)  # as if the process had been stopped after its intent

    async def another_worker_hears_nothing() -> None:
        clock.advance(timedelta(minutes=1))
        for move in (lambda now: now.submitting(clock()), lambda now: now.unconfirmed()):
            await runtime.transitions.apply(g.id, move)

    once_away(Status.QUEUED, another_worker_hears_nothing, written=True)
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED


@pytest.mark.parametrize(
    ("prompt", "status"), [("sandbox:503=1", Status.QUEUED), ("sandbox:422-submit", Status.FAILED)]
)
async def test_outcome_not_submitted_written_late_costs_nothing(
    runtime: Runtime,
    clock: Clock,
    settings: Settings,
    owner: Tenant,
    sandbox_url: str,
    once_away: Callable[..., None],
    prompt: str,
    status: Status,
) -> None:
    g = await created(runtime, owner, prompt)

    async def it_is_given_up_as_lost() -> None:
        clock.advance(settings.fal_timeout + timedelta(minutes=1))
        await process_due(runtime, WorkQueue.SWEEP)
        assert (await stored(runtime, g)).status is Status.UNCONFIRMED

    once_away(status, it_is_given_up_as_lost, written=False)
    await process_due(runtime, WorkQueue.DISPATCH)
    ended = await stored(runtime, g)
    assert (ended.status, ended.actual_cost) == (Status.FAILED, 0)
    assert await runtime.stores.queue.slots_used() == 0
    assert await oracle(sandbox_url) == []
    assert (await runtime.operations.audit.run()).differences == []
