"""Keys of a generation that stay for 400 days after its purge: few bytes, readable by the audit."""

import asyncio
import re
from collections import Counter
from datetime import timedelta

import pytest

from service.domain import end_user, ids
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from service.usecases.generations.create import CreateOptions
from tests.support import factories
from tests.support.factories import Clock

GENERATIONS = 2_000
END_USERS = 200
#: Valkey 9.1: 241, Redis 7.0: 286.
MOST_BYTES = 300
#: Of an end user and day: a window of money, the name in its record and in two indexes, an entry of the usage. Valkey
#: 9.1: 699, Redis 7.0: 881.
MOST_OF_AN_END_USER = 900


async def purged(runtime: Runtime, owner: Tenant, clock: Clock, number: int) -> None:
    """Create generations, let them succeed at fal, and purge them."""
    moves = runtime.transitions

    async def one(n: int) -> None:
        request = factories.create_request(end_user_id=f"customer-{n % END_USERS}")
        g = (
            await runtime.generations.creator.create(owner, request, CreateOptions(idempotency_key=f"order-{n}"))
        ).generation
        for verb in (
            lambda g: g.submitting(clock()),
            lambda g: g.submitted(factories.request_id()),
            lambda g: g.started(clock()),
            lambda g: g.succeeded(factories.output(), 512_345, clock()),
        ):
            assert await moves.apply(g.id, verb)

    for start in range(0, number, 100):
        clock.advance(timedelta(milliseconds=50))
        await asyncio.gather(*map(one, range(start, start + 100)))
    clock.advance(runtime.settings.retention)
    while await runtime.redis.execute("ZCARD", keys.due(WorkQueue.SWEEP)):
        await runtime.queues.run(WorkQueue.SWEEP)
        await runtime.queues.consumers[WorkQueue.SWEEP].idle()


async def weighed(redis: Redis) -> Counter[str]:
    """Bytes by kind of key."""
    found: Counter[str] = Counter()
    for name in await redis.execute("KEYS", "*"):
        kind = re.sub(r"(ten|eu|gen)_\w+|\d{4}-\d\d(-\d\d)?", "*", name.decode())
        found[kind] += await redis.execute("MEMORY", "USAGE", name, "SAMPLES", 0)
    return found


async def test_purge_leaves_few_bytes(runtime: Runtime, redis: Redis, clock: Clock) -> None:
    owner = await runtime.tenants.service.create("acme")
    before = (await weighed(redis)).total()
    await purged(runtime, owner, clock, GENERATIONS)
    after = await weighed(redis)
    assert not [name for name in after if ":generation" in name or name.endswith((":submitted", ":idempotency"))]
    assert (after.total() - before) / GENERATIONS <= MOST_BYTES, after.most_common(6)
    of_end_users = sum(size for name, size in after.items() if "end_user" in name)
    assert of_end_users / END_USERS <= MOST_OF_AN_END_USER
    assert (await runtime.operations.audit.run()).differences == []


async def test_ledger_of_earlier_release_passes_audit(runtime: Runtime, redis: Redis, clock: Clock) -> None:
    """Holds with ids as text; settlements with tenant and end user, and without."""
    owner = await runtime.tenants.service.create("acme")
    for _ in range(3):
        g = (await runtime.generations.creator.create(owner, factories.create_request())).generation
        await runtime.generations.canceller.cancel(owner, g.id)
    rows = await redis.execute("XRANGE", keys.LEDGER, "-", "+")
    await redis.execute("DEL", keys.LEDGER)
    for number, (_, fields) in enumerate(rows):
        row = dict(zip(fields[::2], fields[1::2], strict=True))
        old = row | ({b"t": owner.id.encode(), b"u": g.end_user.encode()} if number % 4 < 3 else {})
        if row[b"k"] == b"hold":
            del old[b"s"]
        await redis.execute("XADD", keys.LEDGER, "*", *(word for pair in old.items() for word in pair))
    findings = await runtime.operations.audit.run()
    assert (findings.differences, findings.entries) == ([], 6)


async def test_settlement_without_hold_is_a_difference(runtime: Runtime, redis: Redis, clock: Clock) -> None:
    owner = await runtime.tenants.service.create("acme")
    g = (await runtime.generations.creator.create(owner, factories.create_request())).generation
    await runtime.generations.canceller.cancel(owner, g.id)
    ((hold, _), _) = await redis.execute("XRANGE", keys.LEDGER, "-", "+")
    await redis.execute("XDEL", keys.LEDGER, hold)
    assert f"settlement of {g.id}" in [
        difference.what for difference in (await runtime.operations.audit.run()).differences
    ]


@pytest.mark.parametrize("g", [factories.generation() for _ in range(5)])
def test_packed_ids_unpack_to_the_same_ids(g: Generation) -> None:
    assert ids.unpacked(ids.TENANT, ids.packed(g.tenant_id)) == g.tenant_id
    assert end_user.unpacked(end_user.packed(g.end_user)) == g.end_user
