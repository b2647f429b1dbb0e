"""Usage reports: the list of end users of a long period, computed by the sweep and read in pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.domain.end_user import pseudonym
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.money import usage_reports as store
from service.store.redis.client import Redis
from service.usecases.tenants import usage_reports
from tests.conftest import Connect
from tests.support.factories import Clock
from tests.support.waiting import process_due

PATH = "/v1/usage-reports"
PERIOD = {"start": "2025-11-01", "end": "2026-03-01"}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 2, 12, tzinfo=UTC), ahead=timedelta())


@pytest.fixture
async def spent(redis: Redis, tenant: Tenant) -> None:
    """Book the spending of ``a`` to ``e`` on three days; ``b`` and ``c`` on two of them."""
    for day, names in (("2025-11-01", "ab"), ("2025-12-15", "cbd"), ("2026-03-01", "ec"), ("2026-03-02", "a")):
        for position, name in enumerate(names, 1):
            await book(redis, tenant, day, name, position * 1_000_000)


async def book(redis: Redis, tenant: Tenant, day: str, name: str, amount: int) -> None:
    who = pseudonym(tenant, name)
    await redis.execute("HINCRBY", keys.usage(tenant.id, day), "spent", amount)
    await redis.execute("ZINCRBY", keys.usage_of_end_users(tenant.id, day), amount, who)
    await redis.execute("HSET", keys.end_user(tenant.id, who), "id", name)


async def created(api: httpx.AsyncClient, **changes: str) -> dict[str, Any]:
    answer = await api.post(PATH, json={**PERIOD, **changes})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{PATH}/{found['id']}"
    return found


async def rows(api: httpx.AsyncClient, report: dict[str, Any], *, limit: int = 2) -> list[tuple[str | None, str]]:
    query: dict[str, Any] = {"limit": limit}
    found = []
    while True:
        page = (await api.get(f"{PATH}/{report['id']}/end-users", params=query)).raise_for_status().json()
        found += [(row["end_user_id"], row["spent"]) for row in page["data"]]
        if not page["has_more"]:
            return found
        query["cursor"] = page["next_cursor"]


SUMS = [("c", "3.000000"), ("b", "4.000000"), ("d", "3.000000"), ("a", "1.000000"), ("e", "1.000000")]


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize("part", [1, 2, 200])
async def test_report_adds_up_every_day_of_the_period(
    api: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(store, "PART", part)
    report = await created(api)
    assert (report["state"], report["days"], report["finished_at"]) == ("running", 121, None)
    assert await rows(api, report) == []
    await process_due(runtime, WorkQueue.SWEEP)
    done = (await api.get(f"{PATH}/{report['id']}")).json()
    assert (done["state"], done["days_done"], done["end_users"]) == ("done", 121, 5)
    found = await rows(api, report)
    assert sorted(found) == sorted(SUMS)
    assert [spent for _, spent in found] == ["4.000000", "3.000000", "3.000000", "1.000000", "1.000000"]
    assert await runtime.redis.execute("ZCARD", keys.due(WorkQueue.SWEEP)) == 0


@pytest.mark.usefixtures("spent")
async def test_report_in_slices_ends(api: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """No claim has time for a part: nothing is lost, and the next claim continues."""
    monkeypatch.setattr(usage_reports, "_CLAIM_SECONDS", 0.0)
    report = await created(api)
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await api.get(f"{PATH}/{report['id']}")).json()["days_done"] == 0
    monkeypatch.setattr(usage_reports, "_CLAIM_SECONDS", 60.0)
    await process_due(runtime, WorkQueue.SWEEP)
    assert sorted(await rows(api, report)) == sorted(SUMS)


@pytest.mark.usefixtures("spent")
async def test_booking_between_two_parts_restarts_the_report(
    api: httpx.AsyncClient, runtime: Runtime, redis: Redis, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The booking moves an end user from the part that is not read yet to the part that was read."""
    monkeypatch.setattr(store, "PART", 2)
    report = await created(api, start="2025-12-15", end="2025-12-15")
    reports = runtime.stores.usage_reports
    running = await reports.load(tenant.id)
    assert running is not None
    await reports.extend(running, now=runtime.clock())
    await reports.extend(running, now=runtime.clock())  # another worker at the same position: adds nothing
    await book(redis, tenant, "2025-12-15", "c", 9_000_000)
    await process_due(runtime, WorkQueue.SWEEP)
    assert await rows(api, report) == [("c", "10.000000"), ("d", "3.000000"), ("b", "2.000000")]


@pytest.mark.usefixtures("spent")
async def test_report_of_another_tenant_returns_404(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, runtime: Runtime
) -> None:
    report = await created(api)
    own = await created(other_api)
    for path in (f"{PATH}/{report['id']}", f"{PATH}/{report['id']}/end-users"):
        assert (await other_api.get(path)).status_code == 404
    await process_due(runtime, WorkQueue.SWEEP)
    assert await rows(other_api, own) == []


@pytest.mark.usefixtures("spent")
async def test_second_report_joins_waits_or_replaces(
    api: httpx.AsyncClient, runtime: Runtime, redis: Redis, tenant: Tenant
) -> None:
    report = await created(api)
    assert (await created(api))["id"] == report["id"]
    busy = await api.post(PATH, json={**PERIOD, "start": "2025-12-01"})
    assert (busy.status_code, busy.json()["code"]) == (409, "conflict")
    await process_due(runtime, WorkQueue.SWEEP)
    assert await redis.execute("EXISTS", keys.usage_report_end_users(tenant.id, report["id"])) == 1
    second = await created(api, start="2025-12-01")
    assert second["id"] != report["id"]
    assert await redis.execute("EXISTS", keys.usage_report_end_users(tenant.id, report["id"])) == 0
    assert (await api.get(f"{PATH}/{report['id']}")).status_code == 404


@pytest.mark.usefixtures("spent")
async def test_report_expires_after_a_day(
    api: httpx.AsyncClient, runtime: Runtime, redis: Redis, tenant: Tenant
) -> None:
    report = await created(api)
    await process_due(runtime, WorkQueue.SWEEP)
    for key in (keys.usage_report(tenant.id), keys.usage_report_end_users(tenant.id, report["id"])):
        assert 0 < await redis.execute("TTL", key) <= keys.USAGE_REPORT_RETENTION_SECONDS


async def test_job_of_an_expired_report_ends(
    api: httpx.AsyncClient, runtime: Runtime, redis: Redis, tenant: Tenant
) -> None:
    await created(api)
    await redis.execute("DEL", keys.usage_report(tenant.id))
    await process_due(runtime, WorkQueue.SWEEP)
    assert await redis.execute("ZCARD", keys.due(WorkQueue.SWEEP)) == 0


@pytest.mark.usefixtures("spent")
async def test_erased_end_user_keeps_its_sum_without_a_name(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    report = await created(api)
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await api.delete("/v1/end-users/b")).status_code == 200
    assert (None, "4.000000") in await rows(api, report)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"end": "2026-03-02"}, "/end"),
        ({"start": "2026-03-02"}, "/start"),
        ({"start": "2025-01-01"}, "/end"),
        ({"start": "yesterday"}, "/start"),
    ],
)
async def test_report_invalid_period_returns_422(api: httpx.AsyncClient, changes: dict[str, str], pointer: str) -> None:
    answer = await api.post(PATH, json={**PERIOD, **changes})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_report_needs_the_scope_read(connect: Connect, tenant: Tenant) -> None:
    from service.domain.tenant import Scope

    creator = await connect(tenant, scopes=(Scope.GENERATE,))
    assert (await creator.post(PATH, json=PERIOD)).status_code == 403
