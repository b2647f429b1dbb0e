"""Erasures as jobs: durable, continued by the sweep, including generations created meanwhile; found by the index."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.errors import NotFound
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from service.usecases.tenants import erasure
from service.usecases.tenants.erasure import ErasureJobs
from tests.support import factories
from tests.support.factories import Clock

PATH = "/v1/end-users/anna"


async def created(runtime: Runtime, owner: Tenant, **changes: Any) -> Generation:
    request = factories.create_request(**{"end_user_id": "anna", **changes})
    return (await runtime.generations.creator.create(owner, request)).generation


async def swept(runtime: Runtime) -> None:
    await runtime.queues.run(WorkQueue.SWEEP)
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()


async def stored_generations(runtime: Runtime, owner: Tenant) -> int:
    """Return the number of stored generations of the tenant."""
    return int(await runtime.redis.execute("ZCARD", keys.generations_of_tenant(owner.id)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the limit of one call to two generations."""
    monkeypatch.setattr(erasure, "CALL_LIMIT", 2)
    monkeypatch.setattr(erasure, "_PAGE", 2)


@pytest.mark.usefixtures("small")
async def test_large_erasure_returns_202_and_sweep_continues(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    for _ in range(5):
        await created(runtime, tenant)

    answer = await api.delete(PATH)

    shown = answer.json()
    assert (answer.status_code, shown["state"], shown["finished_at"]) == (202, "running", None)
    assert (shown["generations"], shown["remaining"]) == (2, 3)
    assert (await api.get(f"{PATH}/erasure")).json() == shown
    await swept(runtime)
    done = (await api.get(f"{PATH}/erasure")).json()
    assert (done["state"], done["generations"], done["remaining"]) == ("done", 5, 0)
    assert await stored_generations(runtime, tenant) == 0
    assert (await api.get(PATH)).status_code == 404
    assert await runtime.redis.execute("ZCARD", keys.due(WorkQueue.SWEEP)) == 0
    assert (await runtime.operations.audit.run()).clean


@pytest.mark.usefixtures("small")
async def test_erasure_in_slices_ends(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each claim has time for one page; the next claim continues."""
    for _ in range(6):
        await created(runtime, tenant)
    await api.delete(PATH)
    monkeypatch.setattr(erasure, "_CLAIM_SECONDS", 0.0)
    await swept(runtime)
    assert await stored_generations(runtime, tenant) == 4, "no time: no progress, still due"
    monkeypatch.setattr(erasure, "_CLAIM_SECONDS", 60.0)
    await swept(runtime)
    assert await stored_generations(runtime, tenant) == 0


async def test_erasure_continues_after_process_death(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await created(runtime, tenant)

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(ErasureJobs, "erase_some", die)
        with pytest.raises(asyncio.CancelledError):
            await runtime.tenants.end_users.erase(tenant, "anna")
    assert await stored_generations(runtime, tenant) == 1
    await swept(runtime)
    assert await stored_generations(runtime, tenant) == 1, "the call may still be running"
    clock.advance(timedelta(minutes=1))
    await swept(runtime)
    assert await stored_generations(runtime, tenant) == 0
    assert (await api.get(f"{PATH}/erasure")).json()["state"] == "done"


#: Points of a running erasure at which a create can occur: the called method and its class.
MOMENTS: dict[str, tuple[Callable[[Runtime], Any], str]] = {
    "after the begin": (lambda runtime: runtime.stores.erasures, "begin"),
    "before a page": (lambda runtime: runtime.stores.erasures, "generations"),
    "before a move": (lambda runtime: runtime.transitions, "apply"),
    "before a purge": (lambda runtime: runtime.stores.generations, "purge"),
    "before the name goes": (lambda runtime: runtime.stores.end_users, "forget"),
    "before the end": (lambda runtime: runtime.stores.erasures, "end"),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_generation_created_during_erasure_is_erased(
    runtime: Runtime, redis: Redis, tenant: Tenant, moment: str
) -> None:
    await created(runtime, tenant)
    part, name = MOMENTS[moment][0](runtime), MOMENTS[moment][1]
    original, late = getattr(part, name), list[Generation]()

    async def slow(*arguments: Any, **options: Any) -> Any:
        if name == "begin":
            answer = await original(*arguments, **options)
        if not late:
            late.append(await created(runtime, tenant, prompt="late"))
        return answer if name == "begin" else await original(*arguments, **options)

    setattr(part, name, slow)
    erasure = await runtime.tenants.end_users.erase(tenant, "anna")
    setattr(part, name, original)

    assert (erasure.state, erasure.generations) == ("done", 2)
    assert await runtime.stores.generations.load(late[0].id) is None
    assert await redis.execute("EXISTS", keys.end_user(tenant.id, erasure.pseudonym)) == 0
    with pytest.raises(NotFound):
        await runtime.tenants.end_users.erase(tenant, "anna")


async def test_creates_race_erasure(runtime: Runtime, tenant: Tenant) -> None:
    """The remaining generation was created after the end, with its id record, and can be erased."""
    for _ in range(5):
        await created(runtime, tenant)
        erasing_now = asyncio.create_task(runtime.tenants.end_users.erase(tenant, "anna"))
        await asyncio.gather(erasing_now, *(created(runtime, tenant) for _ in range(10)))
        assert erasing_now.result().state == "done"
        if await stored_generations(runtime, tenant):
            assert (await runtime.tenants.end_users.get(tenant, "anna")).record.end_user_id == "anna"
            await runtime.tenants.end_users.erase(tenant, "anna")
        assert await stored_generations(runtime, tenant) == 0


async def test_erasure_without_id_record(runtime: Runtime, redis: Redis, tenant: Tenant) -> None:
    """The id record expires 400 days after the last create; a tenant may have a longer retention."""
    g = await created(runtime, tenant)
    await redis.execute("DEL", keys.end_user(tenant.id, g.end_user))
    erasure = await runtime.tenants.end_users.erase(tenant, "anna")
    assert (erasure.state, erasure.generations) == ("done", 1)
    assert await runtime.stores.generations.load(g.id) is None


async def test_end_user_may_return_after_erasure(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    await created(runtime, tenant)
    await api.delete(PATH)
    g = await created(runtime, tenant)
    assert (await api.get(f"/v1/generations/{g.id}")).json()["end_user_id"] == "anna"
    assert (await api.delete(PATH)).json()["generations"] == 1


async def test_erasure_of_missing_record_ends(runtime: Runtime, redis: Redis, tenant: Tenant) -> None:
    """The index has an id without a record."""
    g = await created(runtime, tenant)
    await redis.execute("DEL", keys.generation(g.id))
    assert (await runtime.tenants.end_users.erase(tenant, "anna")).state == "done"


async def test_erasure_record_expires_after_a_week(runtime: Runtime, redis: Redis, tenant: Tenant) -> None:
    await created(runtime, tenant)
    erasure = await runtime.tenants.end_users.erase(tenant, "anna")
    ttl = await redis.execute("TTL", keys.erasure(tenant.id, erasure.pseudonym))
    assert 0 < ttl <= keys.ERASURE_RETENTION_SECONDS


async def test_erasure_of_unknown_end_user_returns_404(api: httpx.AsyncClient) -> None:
    assert (await api.delete("/v1/end-users/nobody")).status_code == 404
    assert (await api.get("/v1/end-users/nobody/erasure")).status_code == 404
