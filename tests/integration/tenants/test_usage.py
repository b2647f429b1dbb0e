"""The usage of a tenant: by day, by outcome, by end user; as JSON and as CSV."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.domain.end_user import pseudonym
from service.domain.models.registry import SEED
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store.money import usage
from tests.support import factories
from tests.support.factories import Clock, create_body

CSV = {"Accept": "text/csv"}
COUNTS = ("created", "succeeded", "failed", "canceled", "refused")
#: What the queued generation of ``three_days`` holds.
HELD = "4.577266"


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 2, 12, tzinfo=UTC), ahead=timedelta())


@pytest.fixture
def ended(api: httpx.AsyncClient, runtime: Runtime) -> Any:
    """``await ended("succeeded", 500, end_user_id=...)``: a generation with this end and cost; ``None``: queued."""

    async def made(outcome: str | None, cost: int = 0, **changes: Any) -> None:
        answer = await api.post("/v1/generations", json=create_body(**changes))
        assert answer.status_code == 202, answer.text
        now = factories.NOW
        ends = {
            "succeeded": lambda g: g.succeeded(factories.output(), cost, now),
            "canceled": lambda g: g.canceled(cost, now),
        }
        if outcome is not None:
            fails = lambda g: g.failed(factories.failure(code=outcome), cost, now)  # noqa: E731
            for verb in (lambda g: g.submitting(now), lambda g: g.submitted("r"), ends.get(outcome, fails)):
                await runtime.transitions.apply(answer.json()["id"], verb)

    return made


@pytest.fixture
async def three_days(ended: Any, clock: Clock) -> None:
    """Create generations on two days, and none today."""
    clock.now = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
    await ended("succeeded", 1_000_000, end_user_id="=1+1")
    await ended("content_policy", end_user_id="b")
    await ended("upstream_timeout", 250_000, end_user_id="b")
    clock.now = datetime(2026, 3, 1, tzinfo=UTC)
    await ended("canceled", 5)
    await ended("succeeded", 2_000_000, end_user_id="b")
    await ended(None)
    clock.advance(timedelta(days=1))


async def read(api: httpx.AsyncClient, **query: str) -> Any:
    answer = await api.get("/v1/usage", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def table(api: httpx.AsyncClient, **query: str) -> list[list[str]]:
    answer = await api.get("/v1/usage", params=query, headers=CSV)
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.text)))


async def test_usage_by_day_outcome_and_end_user(api: httpx.AsyncClient, tenant: Tenant, three_days: None) -> None:
    assert await read(api, start="2026-02-28") == {
        "object": "usage",
        "currency": "USD",
        "start": "2026-02-28",
        "end": "2026-03-02",
        "spent": "3.250005",
        "drafts": {"direct": "0.000000", "spent": "0.000000", "saved": "0.000000"},
        "days": [
            {
                "date": "2026-02-28",
                "created": 3,
                "spent": "1.250000",
                "outcomes": {"failed:content_policy": 1, "failed:upstream_timeout": 1, "succeeded": 1},
                "refusals": {},
            },
            {
                "date": "2026-03-01",
                "created": 3,
                "spent": "2.000005",
                "outcomes": {"canceled": 1, "succeeded": 1},
                "refusals": {},
            },
            {"date": "2026-03-02", "created": 0, "spent": "0.000000", "outcomes": {}, "refusals": {}},
        ],
        "end_users": [
            {"end_user_id": "b", "pseudonym": pseudonym(tenant, "b"), "spent": "2.250000"},
            {"end_user_id": "=1+1", "pseudonym": pseudonym(tenant, "=1+1"), "spent": "1.000000"},
            {"end_user_id": None, "pseudonym": pseudonym(tenant, None), "spent": "0.000005"},
        ],
    }


async def test_usage_default_is_current_month(api: httpx.AsyncClient, three_days: None) -> None:
    report = await read(api)
    assert [day["date"] for day in report["days"]] == ["2026-03-01", "2026-03-02"]
    assert report["spent"] == "2.000005"
    assert [user["end_user_id"] for user in report["end_users"]] == ["b", None]
    february = await read(api, end="2026-02-28")
    assert (february["start"], len(february["days"]), february["spent"]) == ("2026-02-01", 28, "1.250000")


async def test_usage_is_per_tenant(other_api: httpx.AsyncClient, three_days: None) -> None:
    report = await read(other_api, start="2026-02-01")
    assert (report["spent"], report["end_users"]) == ("0.000000", [])
    assert {day["created"] for day in report["days"]} == {0}


async def test_usage_range_limit(api: httpx.AsyncClient) -> None:
    assert len((await read(api, start="2026-01-01", end="2026-04-02"))["days"]) == 92
    answer = await api.get("/v1/usage", params={"start": "2026-01-01", "end": "2026-04-03"})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/query/end"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"start": "2026-03-03"}, "/query/start"),
        ({"start": "2026-02-02", "end": "2026-02-01"}, "/query/start"),
        ({"start": "0001-01-01"}, "/query/end"),
        ({"start": "2026-02-30"}, "/query/start"),
        ({"end": "yesterday"}, "/query/end"),
        ({"end": ""}, "/query/end"),
    ],
)
async def test_usage_invalid_range_returns_422(api: httpx.AsyncClient, query: dict[str, str], pointer: str) -> None:
    answer = await api.get("/v1/usage", params=query)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_usage_first_and_last_date(api: httpx.AsyncClient) -> None:
    assert len((await read(api, start="9999-12-01", end="9999-12-31"))["days"]) == 31
    assert (await read(api, start="0001-01-01", end="0001-01-01"))["start"] == "0001-01-01"


async def test_usage_csv_by_day(api: httpx.AsyncClient, three_days: None) -> None:
    assert await table(api, start="2026-02-28") == [
        ["date", "created", "succeeded", "failed", "canceled", "spent_usd"],
        ["2026-02-28", "3", "1", "2", "0", "1.250000"],
        ["2026-03-01", "3", "1", "0", "1", "2.000005"],
        ["2026-03-02", "0", "0", "0", "0", "0.000000"],
    ]


async def test_usage_csv_by_end_user(api: httpx.AsyncClient, tenant: Tenant, three_days: None) -> None:
    assert await table(api, start="2026-02-28", by="end_user") == [
        ["end_user_id", "pseudonym", "spent_usd", "end_user", *COUNTS, "held_usd"],
        ["b", pseudonym(tenant, "b"), "2.250000", "named", "3", "1", "2", "0", "0", "0.000000"],
        ["'=1+1", pseudonym(tenant, "=1+1"), "1.000000", "named", "1", "1", "0", "0", "0", "0.000000"],
        ["", pseudonym(tenant, None), "0.000005", "none", "2", "0", "0", "1", "0", HELD],
    ]


async def test_usage_csv_by_model_and_by_code(api: httpx.AsyncClient, three_days: None) -> None:
    assert await table(api, start="2026-02-28", by="model") == [
        ["model", *COUNTS, "spent_usd", "held_usd"],
        [SEED, "6", "2", "2", "1", "0", "3.250005", HELD],
    ]
    assert await table(api, start="2026-02-28", by="code") == [
        ["code", *COUNTS, "spent_usd", "held_usd"],
        ["", "4", "2", "0", "1", "0", "3.000005", HELD],
        ["upstream_timeout", "1", "0", "1", "0", "0", "0.250000", "0.000000"],
        ["content_policy", "1", "0", "1", "0", "0", "0.000000", "0.000000"],
    ]


async def test_usage_tells_erased_end_users_apart(api: httpx.AsyncClient, tenant: Tenant, three_days: None) -> None:
    assert (await api.delete("/v1/end-users/b")).status_code in (200, 202, 204)
    rows = (await read(api, start="2026-02-28", by="end_user"))["end_users"]
    assert {row["pseudonym"]: (row["end_user"], row["created"], row["failed"]) for row in rows} == {
        pseudonym(tenant, "b"): ("erased", 3, 2),
        pseudonym(tenant, "=1+1"): ("named", 1, 0),
        pseudonym(tenant, None): ("none", 2, 0),
    }


@pytest.mark.parametrize("period", ["2026-02-28", "2026-03", None])
async def test_list_of_end_users_in_pages(api: httpx.AsyncClient, three_days: None, period: str | None) -> None:
    """Of a day, of a month, and by default of this month: the same rows as in the report of these days."""
    days = {"start": "2026-02-28", "end": "2026-02-28"} if period == "2026-02-28" else {}
    whole = (await read(api, **days))["end_users"]
    query: dict[str, Any] = {"limit": 1} if period is None else {"limit": 1, "period": period}
    rows = []
    while True:
        page = (await api.get("/v1/usage/end-users", params=query)).json()
        rows += page["data"]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert rows == whole
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"period": "2026"}, "/query/period"),
        ({"period": "2026-02-30"}, "/query/period"),
        ({"period": "0000-01"}, "/query/period"),
        ({"cursor": "Z2VuXzA"}, "/query/cursor"),
        ({"limit": "1001"}, "/query/limit"),
    ],
)
async def test_list_of_end_users_invalid_query(api: httpx.AsyncClient, query: dict[str, str], pointer: str) -> None:
    answer = await api.get("/v1/usage/end-users", params=query)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_usage_above_the_read_limit_is_marked(
    api: httpx.AsyncClient, three_days: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each day the highest entries only: the sums of days stay exact."""
    monkeypatch.setattr(usage, "_MOST_ENTRIES", 3)
    report = await read(api, start="2026-02-28")
    assert report["end_users_incomplete"] is True
    assert [row["spent"] for row in report["end_users"]] == ["2.000000", "1.000000"]
    assert report["spent"] == "3.250005"
    assert "end_users_incomplete" not in await read(api)


@pytest.mark.parametrize("name", ['=cmd|"/c calc"!A1', "+1", "-1", "@SUM(A1)", 'a,"b"', "ü"])
async def test_usage_csv_escapes_formulas(api: httpx.AsyncClient, ended: Any, name: str) -> None:
    await ended("succeeded", 1, end_user_id=name)
    _, (shown, *_) = await table(api, by="end_user")
    assert shown == (f"'{name}" if name[0] in "=+-@" else name)
