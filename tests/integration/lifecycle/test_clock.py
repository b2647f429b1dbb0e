"""A process on a machine with a wrong clock: other processes see no effect of it."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from service.config.settings import Settings
from service.domain.outcomes import NotSubmitted
from service.domain.status import Status
from service.domain.tenant import Limits, Scope, Tenant
from service.domain.work_queue import WorkQueue
from service.observability import metrics
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.store.redis.client import Redis
from service.tasks import QUEUES
from service.usecases.generations.create import CreateOptions
from service.usecases.operations.doctor import CheckStatus
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.support import factories
from tests.support.factories import Clock
from tests.support.metric_values import value
from tests.support.waiting import process_due

SHIFTS: Final = {"+3h": timedelta(hours=3), "-1h": timedelta(hours=-1), "+31d": timedelta(days=31)}
LONG: Final = {**SHIFTS, "+500d": timedelta(days=500)}
MOMENT: Final = re.compile(rb"(?<![\w.])1[6-9]\d{11}(?![\w.])")  # not thirteen digits of a random hash
WRITTEN: Final = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")

HOOK: Final = "http://127.0.0.1:65009/hook"

Act = Callable[[Runtime, Tenant], Awaitable[object]]


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url)


def ahead(clock: Clock, by: timedelta) -> Clock:
    return Clock(clock.now + by, ahead=by)


async def tenant_of(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme", Limits(requests_per_minute=60, burst=3))


async def created(runtime: Runtime, owner: Tenant, **changes: Any) -> str:
    body = {"prompt": "sandbox:hang sandbox:no-video", "webhook_url": HOOK, "end_user_id": "one", **changes}
    request = factories.create_request(**body)
    return (await runtime.generations.creator.create(owner, request)).generation.id


# --- claims -----------------------------------------------------------------------------------------------------------


async def everything(redis: Redis) -> dict[bytes, bytes]:
    """Return all keys except the flags of hints, which a thread of the runtime sets at any time."""
    found = await redis.execute("KEYS", "*")
    hints = (b":broker:", b":nudged:")
    return {key: await redis.execute("DUMP", key) for key in sorted(found) if not any(part in key for part in hints)}


async def work_of_every_kind(runtime: Runtime, clock: Clock) -> None:
    """Create work for each queue: to dispatch, to poll, to deliver and to purge."""
    owner = await tenant_of(runtime)
    await created(runtime, owner)
    await process_due(runtime, WorkQueue.DISPATCH)
    clock.advance(timedelta(minutes=1))
    await runtime.generations.canceller.cancel(owner, await created(runtime, owner))
    await created(runtime, owner)
    await runtime.connections.nudger.idle()  # it marks its hints as sent


@pytest.mark.parametrize("work_queue", WorkQueue)
@pytest.mark.parametrize("by", SHIFTS.values(), ids=SHIFTS)
async def test_clock_wrong_work_queue_changes_nothing(
    runtime: Runtime, clock: Clock, by: timedelta, work_queue: WorkQueue
) -> None:
    await work_of_every_kind(runtime, clock)
    before = await everything(runtime.redis)
    async with open_runtime(runtime.settings, clock=ahead(clock, by)) as wrong:
        await process_due(wrong, work_queue)
        wrong.queues.serve(work_queue)
        await wrong.queues.consumers[work_queue].idle()
    assert await everything(runtime.redis) == before


@pytest.mark.parametrize("work_queue", [WorkQueue.DISPATCH, WorkQueue.POLL, WorkQueue.DELIVER])
async def test_clock_right_work_queue_works(runtime: Runtime, clock: Clock, work_queue: WorkQueue) -> None:
    """The same work is processed with a right clock, so that the test above can fail."""
    await work_of_every_kind(runtime, clock)
    before = await everything(runtime.redis)
    async with open_runtime(runtime.settings, clock=Clock(clock.now, ahead=timedelta())) as right:
        await process_due(right, work_queue)
    assert await everything(runtime.redis) != before


async def test_clock_set_right_claims_again(runtime: Runtime, clock: Clock) -> None:
    own = ahead(clock, timedelta(hours=3))
    async with open_runtime(runtime.settings, clock=own) as late:
        owner = await tenant_of(runtime)
        g = await created(runtime, owner)
        await process_due(late, WorkQueue.DISPATCH)
        assert (await runtime.generations.reader.get(owner, g)).status is Status.QUEUED
        own.now, own.ahead = clock.now, timedelta()
        await late.clock.measure()
        await process_due(late, WorkQueue.DISPATCH)
        assert (await runtime.generations.reader.get(owner, g)).status is Status.SUBMITTED


# --- writes -----------------------------------------------------------------------------------------------------------


async def moments(redis: Redis, now: datetime) -> list[float]:
    """Return every stored time, in seconds from now."""
    found: list[float] = []
    for key in await redis.execute("KEYS", "*"):
        if b":broker:" in key:
            continue
        for text in await _texts(redis, key):
            found += [int(match) / 1000 - now.timestamp() for match in MOMENT.findall(text)]
            found += [
                (datetime.fromisoformat(match.decode()).astimezone(UTC) - now).total_seconds()
                for match in WRITTEN.findall(text)
            ]
    return sorted(round(seconds, 2) for seconds in found)


async def _texts(redis: Redis, key: bytes) -> list[bytes]:
    kind = await redis.execute("TYPE", key)
    match kind:
        case b"string":
            return [await redis.execute("GET", key)]
        case b"hash":
            return list(await redis.execute("HVALS", key))
        case b"zset":
            return list(await redis.execute("ZRANGE", key, 0, -1, "WITHSCORES"))[1::2]
    return []


async def creates(by: Runtime, owner: Tenant) -> None:
    await created(by, owner)


async def creates_with_a_key(by: Runtime, owner: Tenant) -> None:
    for _ in range(2):
        await by.generations.creator.create(
            owner, factories.create_request(), CreateOptions(idempotency_key="the same")
        )


async def resends_a_submit(by: Runtime, owner: Tenant) -> None:
    made = await by.generations.resends.create(
        owner, factories.create_request(), CreateOptions(), digest="d", require_client=factories.connected
    )
    await made.receipt.prolong()


async def cancels(by: Runtime, owner: Tenant) -> None:
    await by.generations.canceller.cancel(owner, await created(by, owner))


async def locks_the_gate(by: Runtime, _: Tenant) -> None:
    await by.operations.gate.locked("one 403")


async def fails_submits(by: Runtime, owner: Tenant) -> None:
    for _ in range(by.settings.submit_failures):
        await by.operations.gate.note(NotSubmitted("HTTP 503", refused=True), factories.generation(tenant_id=owner.id))


async def pauses(by: Runtime, owner: Tenant) -> None:
    await by.operations.gate.pause("by hand")
    await by.tenants.service.pause(owner.id, "by hand")


async def blocks_an_end_user(by: Runtime, owner: Tenant) -> None:
    await created(by, owner)
    await by.tenants.end_users.block(owner, "one")


async def rotates_an_endpoint(by: Runtime, owner: Tenant) -> None:
    wanted = EndpointSpec(HOOK, events=(), description="", headers=None, ed25519=False, enabled=True)
    endpoint = await by.webhooks.endpoints.create(owner, wanted)
    await by.webhooks.endpoints.rotate(owner, endpoint.id, overlap=timedelta(days=1))
    await by.webhooks.endpoints.test(owner, endpoint.id)


ACTS: Final = (
    creates,
    creates_with_a_key,
    resends_a_submit,
    cancels,
    locks_the_gate,
    fails_submits,
    pauses,
    blocks_an_end_user,
    rotates_an_endpoint,
)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
@pytest.mark.parametrize("by", SHIFTS.values(), ids=SHIFTS)
async def test_clock_wrong_writes_right_moments(runtime: Runtime, clock: Clock, by: timedelta, act: Act) -> None:
    written = []
    for own in (clock, ahead(clock, by)):
        await runtime.redis.execute("FLUSHALL")
        owner = await tenant_of(runtime)
        async with open_runtime(runtime.settings, clock=own) as other:
            await act(other, owner)
        written.append(await moments(runtime.redis, clock.now))
    assert written[0] == written[1]
    assert len(written[0]) > 2, "something is dated"


@pytest.mark.parametrize("by", SHIFTS.values(), ids=SHIFTS)
async def test_clock_wrong_counts_calls_as_right(runtime: Runtime, clock: Clock, by: timedelta) -> None:
    """Three requests at once, then one a second, whichever process receives them."""
    owner = await tenant_of(runtime)
    made = await runtime.tenants.api_keys.create(owner.id)
    own = ahead(clock, by)
    async with open_runtime(runtime.settings, clock=own) as wrong:
        caller = await runtime.tenants.authenticator.authenticate(made.text, Scope.READ)
        taken = [
            await by_one.tenants.authenticator.count(caller.tenant)
            for by_one in (wrong, runtime, wrong, runtime, wrong)
        ]
        assert [verdict is not None and verdict.allowed for verdict in taken] == [True, True, True, False, False]
        for each in (clock, own):
            each.advance(timedelta(seconds=1))
        later = [await by_one.tenants.authenticator.count(caller.tenant) for by_one in (runtime, wrong)]
        assert [verdict is not None and verdict.allowed for verdict in later] == [True, False]


@pytest.mark.parametrize("by", LONG.values(), ids=LONG)
async def test_clock_wrong_keeps_ledger_and_records(runtime: Runtime, clock: Clock, by: timedelta) -> None:
    owner = await tenant_of(runtime)
    done = await created(runtime, owner, webhook_url=...)  # a pending webhook would keep it
    await runtime.generations.canceller.cancel(owner, done)
    async with open_runtime(runtime.settings, clock=ahead(clock, by)) as wrong:
        for n in range(300):  # MINID with ~ trims whole nodes only
            await created(wrong, owner, prompt=f"sandbox:no-video {n}")
        await process_due(wrong, WorkQueue.SWEEP)
    assert await runtime.redis.execute("XLEN", keys.LEDGER) == 302
    assert (await runtime.operations.audit.run()).clean
    assert (await runtime.generations.reader.get(owner, done)).status is Status.CANCELED
    clock.advance(runtime.settings.retention + timedelta(minutes=1))
    await process_due(runtime, WorkQueue.SWEEP)
    assert await runtime.stores.generations.load(done) is None, "purged by the right clock, in its time"


# --- what is said of it -----------------------------------------------------------------------------------------------


async def test_clock_wrong_is_reported(runtime: Runtime, clock: Clock) -> None:
    async with open_runtime(runtime.settings, clock=ahead(clock, timedelta(hours=3))) as wrong:
        assert wrong.clock() == clock.now, "its use cases have the right time"
        assert wrong.clock.state() == "This machine's clock is 10800.0 s ahead of Redis'."
        assert (await wrong.operations.readiness.check())["clock"] == "failing"
        assert value(metrics.CLOCK_SKEW) == 10_800
        assert {f.check: f.status for f in await wrong.operations.doctor.run()}["clock"] is CheckStatus.FAIL
        await wrong.stores.heartbeats.note_worker("far:1", QUEUES, wrong.clock(), skew=wrong.clock.skew)
        await runtime.stores.heartbeats.note_worker("near:1", QUEUES, clock(), skew=runtime.clock.skew)
    assert (await runtime.operations.readiness.check())["clock"] == "ok"
    (found,) = [f for f in await runtime.operations.doctor.run() if f.check == "worker clocks"]
    assert (found.status, found.detail) == (CheckStatus.FAIL, "far:1: +10800.0 s")
