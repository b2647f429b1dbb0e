"""Hints: at most one per work queue waits in the broker, whatever process sends it, and losing all delays little."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.beat import Scheduler as CeleryScheduler

from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.store.redis.client import Redis
from service.tasks import QUEUE_OF, QUEUES, beat_schedule, celery_app
from tests.support import factories
from tests.support.factories import Clock

#: Two work queues share the Celery queue ``dispatch``.
MOST = {"dispatch": 2, "webhooks": 1, "maintenance": 1}


async def depths(redis: Redis) -> dict[str, int]:
    found = await redis.gather(("LLEN", f"{{sg}}:broker:{queue}") for queue in QUEUES)
    return dict(zip(QUEUES, found, strict=True))


async def published(runtime: Runtime) -> None:
    """Wait until all requested hints are sent or found unnecessary."""
    async with asyncio.timeout(30):
        await runtime.connections.nudger.idle()


def scheduler_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return beat's scheduler. Its package reads the settings from the environment at its first import."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    from workers.beat import Scheduler

    app = celery_app(settings)
    app.conf.update(beat_schedule=beat_schedule(), beat_max_loop_interval=1)
    return Scheduler(app=app, lazy=False)


@pytest.fixture
def scheduler(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made = scheduler_of(settings, monkeypatch)
    yield made
    made.close()
    made.app.close()


async def test_hints_of_beat_leave_one_per_work_queue(runtime: Runtime, scheduler: Any) -> None:
    for _ in range(200):
        for entry in list(scheduler.schedule.values()):
            scheduler.apply_async(entry, advance=False)
    assert await depths(runtime.redis) == MOST


async def test_hints_of_all_senders_leave_one_per_work_queue(runtime: Runtime, scheduler: Any) -> None:
    owner = await runtime.tenants.service.create("acme")
    for n in range(30):
        made = await runtime.generations.creator.create(
            owner, factories.create_request(prompt=f"{n}", webhook_url="http://127.0.0.1:65009/hook")
        )
        await runtime.generations.canceller.cancel(owner, made.generation.id)
        await runtime.operations.gate.resume()
        for work_queue in WorkQueue:
            runtime.connections.nudger.nudge(work_queue)
        for entry in list(scheduler.schedule.values()):
            scheduler.apply_async(entry, advance=False)
        await published(runtime)
    assert await depths(runtime.redis) == MOST


@pytest.mark.parametrize("work_queue", WorkQueue)
async def test_hint_after_claim_is_sent_again(runtime: Runtime, work_queue: WorkQueue) -> None:
    for expected in (1, 2, 3):
        runtime.connections.nudger.nudge(work_queue)
        runtime.connections.nudger.nudge(work_queue)
        await published(runtime)
        assert (await depths(runtime.redis))[QUEUE_OF[work_queue]] == expected
        await runtime.queues.run(work_queue)


async def test_hint_of_dead_sender_is_sent_by_the_next(runtime: Runtime, scheduler: Any) -> None:
    """A script has requested a hint, and its process has died before it sent the hint."""
    await runtime.redis.execute("SET", keys.nudged(WorkQueue.DISPATCH), 1)
    for _ in range(3):
        scheduler.apply_async(scheduler.schedule["dispatch"], advance=False)
    assert (await depths(runtime.redis))["dispatch"] == 1


async def test_hint_has_no_expiry(runtime: Runtime, scheduler: Any) -> None:
    scheduler.apply_async(scheduler.schedule["dispatch"], advance=False)
    runtime.connections.nudger.nudge(WorkQueue.POLL)
    await published(runtime)
    found = await runtime.redis.execute("LRANGE", "{sg}:broker:dispatch", 0, -1)
    assert len(found) == 2
    assert all(b'"expires": null' in message for message in found)


async def test_hint_without_redis_is_not_sent(
    runtime: Runtime, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the flag cannot be set, neither beat nor a gateway writes to the broker."""
    without_redis = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0", "broker_url": settings.redis_url})
    beat = scheduler_of(without_redis, monkeypatch)
    async with open_runtime(without_redis) as cut_off:
        for work_queue in WorkQueue:
            beat.apply_async(beat.schedule[work_queue.value], advance=False)
            cut_off.connections.nudger.nudge(work_queue)
        await published(cut_off)
    beat.close()
    beat.app.close()
    assert await depths(runtime.redis) == dict.fromkeys(QUEUES, 0)


async def test_beat_heartbeat_uses_redis_time(
    runtime: Runtime, scheduler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    scheduler.tick()
    monkeypatch.undo()
    noted = int(await runtime.redis.execute("GET", keys.BEAT)) / 1000
    assert abs(noted - datetime.now(UTC).timestamp()) < 300


# --- beat's schedule and a wall clock that is set ---------------------------------------------------------------------


class Counting(CeleryScheduler):  # type: ignore[misc]  # Celery is not annotated
    """Celery's scheduler on a test's clock. It counts hints and sends none."""

    def __init__(self, app: Celery, wall: Clock) -> None:
        self.sent = dict.fromkeys(WorkQueue, 0)
        super().__init__(app=app, lazy=False)
        for entry in self.schedule.values():
            entry.schedule.nowfun = wall
            entry.last_run_at = wall()

    @property
    def producer(self) -> None:
        return None

    def apply_async(self, entry: Any, *_: Any, **__: Any) -> None:
        self.sent[WorkQueue(entry.name)] += 1


@pytest.mark.parametrize("step", [-3600, -86_400, -3, 3, 3600, 86_400])
def test_beat_clock_step_stops_no_entry(step: int) -> None:
    app = celery_app(factories.settings("redis://127.0.0.1:9/0"))
    app.conf.update(beat_schedule=beat_schedule(), beat_max_loop_interval=1)
    wall = Clock(datetime.now(UTC))
    scheduler = Counting(app, wall)
    for by in (0, step, -step):
        wall.advance(timedelta(seconds=by))
        scheduler.sent = dict.fromkeys(WorkQueue, 0)
        for _ in range(600):  # a minute
            scheduler.tick()
            wall.advance(timedelta(seconds=0.1))
        assert all(50 <= sent <= 65 for sent in scheduler.sent.values()), (by, scheduler.sent)


def test_beat_last_run_in_the_future_is_due() -> None:
    schedule = beat_schedule()["dispatch"]["schedule"]
    now = datetime.now(UTC)
    assert schedule.is_due(now + timedelta(hours=1)).is_due
    assert schedule.is_due(now - timedelta(hours=1)).is_due
    assert not schedule.is_due(datetime.now(UTC)).is_due
