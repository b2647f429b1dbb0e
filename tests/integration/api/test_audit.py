"""The audit over HTTP: small data in the request, large data as a job of the workers with progress."""

from datetime import timedelta

import httpx
import pytest

from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.money.audits import JOB
from service.store.redis.client import Redis
from service.usecases.operations import audit, audit_jobs
from service.usecases.operations.audit import Audit
from tests.support import factories
from tests.support.factories import Clock

PATH = "/admin/v1/audit"


async def swept(runtime: Runtime) -> None:
    await runtime.queues.run(WorkQueue.SWEEP)
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()


@pytest.fixture
async def large(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set limits so that three generations are too large for one request, and each entry is recorded."""
    monkeypatch.setattr(audit_jobs, "CALL_LIMIT", 2)
    monkeypatch.setattr(audit, "_ENTRIES_PER_REPORT", 1)
    owner = await runtime.tenants.service.create("acme")
    for _ in range(3):
        await runtime.generations.creator.create(owner, factories.create_request())


async def test_audit_of_small_data_runs_in_request(operator: httpx.AsyncClient) -> None:
    shown = (await operator.get(PATH)).json()
    assert (shown["state"], shown["clean"], shown["entries"], shown["progress"]) == ("done", True, 0, None)


@pytest.mark.usefixtures("large")
async def test_audit_of_large_data_runs_in_workers(operator: httpx.AsyncClient, runtime: Runtime) -> None:
    assert (await operator.get(PATH)).status_code == 404
    answer = await operator.post(PATH)
    assert (answer.status_code, answer.json()["state"], answer.json()["clean"]) == (202, "running", None)
    assert (await operator.get(PATH)).json()["state"] == "running"
    await swept(runtime)
    shown = (await operator.get(PATH)).json()
    assert (shown["state"], shown["clean"], shown["entries"]) == ("done", True, 3)
    assert shown["finished_at"] is not None
    assert await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.SWEEP), JOB) is None


@pytest.mark.usefixtures("large")
async def test_audit_job_has_first_differences_and_count(
    operator: httpx.AsyncClient, runtime: Runtime, redis: Redis
) -> None:
    for number in range(audit.LIST_LIMIT + 1):
        await redis.execute("SADD", keys.SLOTS, f"gen_{number:026}")
    await operator.post(PATH)
    await swept(runtime)
    shown = (await operator.get(PATH)).json()
    assert (shown["clean"], len(shown["differences"])) == (False, audit.LIST_LIMIT)
    assert shown["difference_count"] == 2 * (audit.LIST_LIMIT + 1), "each is missing in a tenant's set too"


@pytest.mark.usefixtures("large")
async def test_audit_job_shows_progress_and_survives_worker_death(
    operator: httpx.AsyncClient, runtime: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies before the windows; another one repeats the step after the lease has expired, not earlier."""
    await operator.post(PATH)

    async def die(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(Audit, "_windows", die)
        await swept(runtime)
    shown = (await operator.get(PATH)).json()
    assert (shown["state"], shown["progress"]) == ("running", {"step": "ledger", "done": 3, "total": 3})
    assert (await operator.post(PATH)).json()["progress"] == shown["progress"], "the run continues"
    await swept(runtime)
    assert (await operator.get(PATH)).json()["state"] == "running"
    clock.advance(timedelta(seconds=61))
    await swept(runtime)
    assert (await operator.get(PATH)).json()["clean"] is True


async def test_audit_needs_admin_token(api: httpx.AsyncClient) -> None:
    assert [(await api.request(method, PATH)).status_code for method in ("GET", "POST")] == [401, 401]
