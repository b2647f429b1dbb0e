"""Starters of bulk jobs: a job has the rights that its starter has now, and takes no more than its share."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from service.domain.actor import Actor, ActorKind
from service.domain.bulk import BulkKind, Selection
from service.domain.operator import Operator, Role
from service.domain.tenant import Tenant
from service.domain.webhook import DeliveryFilter
from service.runtime import Runtime
from service.store import keys
from service.store.bulk import bulk_jobs
from service.store.bulk.bulk_jobs import MOST_OF_OPERATOR
from service.usecases.operations.bulk.jobs import STEP
from tests.conftest import client_of
from tests.integration.operations.test_bulk import BULK, counts, finished, queued, start, started, touched
from tests.support.factories import Clock


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@dataclass(frozen=True, slots=True)
class Person:
    operator: Operator
    token_id: str
    client: httpx.AsyncClient


@pytest.fixture
async def ada(app: FastAPI, runtime: Runtime) -> AsyncIterator[Person]:
    service = runtime.operators.service
    made = await service.create("Ada", Role.OPERATOR)
    token = await service.create_token(made.id)
    async with client_of(app, token.text) as client:
        yield Person(made, token.token.id, client)


# --- rights -----------------------------------------------------------------------------------------------------------


async def _loses_role(runtime: Runtime, ada: Person) -> None:
    await runtime.operators.service.change(ada.operator.id, role=Role.VIEWER)


async def _is_disabled(runtime: Runtime, ada: Person) -> None:
    await runtime.operators.service.disable(ada.operator.id)


async def _loses_token(runtime: Runtime, ada: Person) -> None:
    await runtime.operators.service.revoke_token(ada.operator.id, ada.token_id)


async def _is_renamed(runtime: Runtime, ada: Person) -> None:
    await runtime.operators.service.change(ada.operator.id, name="Ada L.")


LOSSES = {
    "role": (_loses_role, "does not have the role operator"),
    "operator": (_is_disabled, "is disabled"),
    "token": (_loses_token, "not valid any more"),
}


@pytest.mark.parametrize("loss", sorted(LOSSES))
async def test_bulk_job_stops_when_its_starter_loses_the_right(
    loss: str, ada: Person, runtime: Runtime, tenant: Tenant
) -> None:
    names = await queued(runtime, tenant, STEP + 3)
    job_id = await started(ada.client, {"tenant_id": tenant.id})
    for _ in range(2):  # it has collected all, and processed one step
        assert await runtime.operations.bulk_jobs.continue_step(job_id)
    lose, why = LOSSES[loss]
    await lose(runtime, ada)

    job = await finished(runtime, job_id)

    assert counts(job) == ("stopped", STEP + 3, STEP, 0, 0)
    assert why in (job.note or "")
    assert len(await touched(runtime, {name: name for name in names})) == STEP


async def test_bulk_job_of_a_renamed_starter_continues(ada: Person, runtime: Runtime, tenant: Tenant) -> None:
    await queued(runtime, tenant, 2)
    job_id = await started(ada.client, {"tenant_id": tenant.id})
    await _is_renamed(runtime, ada)

    assert counts(await finished(runtime, job_id)) == ("done", 2, 2, 0, 0)


# --- shares -----------------------------------------------------------------------------------------------------------


async def test_bulk_jobs_of_one_operator_leave_a_share(
    ada: Person, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    filters = [{"tenant_id": tenant.id, "model": f"model-{n}"} for n in range(MOST_OF_OPERATOR + 1)]
    jobs = [(await start(ada.client, wanted)).json()["id"] for wanted in filters[:-1]]
    refused = await start(ada.client, filters[-1])
    other = await start(operator, filters[-1])

    assert (refused.status_code, refused.json()["code"], other.status_code) == (409, "conflict", 202)
    await finished(runtime, jobs[0])
    assert (await start(ada.client, {"tenant_id": tenant.id, "model": "next"})).status_code == 202
    for job_id in (*jobs, other.json()["id"]):
        await finished(runtime, job_id)
    left = await runtime.redis.execute("HGETALL", keys.BULK_JOB_STARTERS)
    assert list(left.values() if isinstance(left, dict) else left[1::2]) == [b"1"]


async def test_bulk_jobs_beyond_the_list_are_deleted(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest job that has ended is deleted; one that runs stays in the list, however old it is."""
    share_of = bulk_jobs._share_of
    monkeypatch.setattr(bulk_jobs, "_share_of", lambda actor: replace(share_of(actor), most_listed=2))
    jobs = []
    for n in range(4):
        jobs.append(await started(operator, {"tenant_id": tenant.id, "model": f"model-{n}"}))
        if n:
            await finished(runtime, jobs[-1])
        clock.advance(timedelta(seconds=1))  # ids of one millisecond are in no order

    listed = [job["id"] for job in (await operator.get(BULK)).json()["data"]]
    assert listed == [jobs[3], jobs[0]]
    assert await runtime.redis.execute("EXISTS", *map(keys.bulk_job, jobs)) == 2


# --- tenants ----------------------------------------------------------------------------------------------------------


def _of_tenant(tenant: Tenant) -> Actor:
    return Actor(kind=ActorKind.SERVICE, id="svc", name="a service", tenant_id=tenant.id)


async def _begun(runtime: Runtime, tenant: Tenant, event: str) -> str:
    begun = await runtime.stores.bulk_jobs.begin(
        BulkKind.REPLAY,
        Selection(filter=DeliveryFilter(tenant_id=tenant.id, event=event)),
        previewed_at=runtime.clock(),
        reason="again",
        actor=_of_tenant(tenant),
        now=runtime.clock(),
    )
    return f"{begun.result} {begun.job_id}"


async def test_bulk_jobs_of_tenants_take_no_share_of_operators(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    other = await runtime.tenants.service.create("other")
    first = await _begun(runtime, tenant, "a")

    assert first.startswith("begun ")
    assert await _begun(runtime, tenant, "a") == first.replace("begun", "joined")
    assert await _begun(runtime, tenant, "b") == "busy "
    assert (await _begun(runtime, other, "b")).startswith("begun ")
    assert (await operator.get(BULK)).json()["data"] == []
    page = await runtime.operations.bulk_jobs.page(limit=5, after=None, tenant_id=tenant.id)
    assert [job.id for job in page.items] == [first.split()[1]]
    assert (await start(operator, {"tenant_id": tenant.id})).status_code == 202
    await finished(runtime, first.split()[1])
    assert (await _begun(runtime, tenant, "b")).startswith("begun ")
