"""The area Money: figures, links, empty states, rights, escaping, and the number of commands of each page."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from service.domain.adjustment import Correction
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.tenant import Limits, Tenant
from service.runtime import Runtime
from service.store import keys
from service.usecases.operations.budget_sampler import BudgetSampler
from tests.integration.console.test_tenant_changes import hidden
from tests.integration.console.test_trail import entries
from tests.support import factories
from tests.support.console import Browser
from tests.support.factories import Clock

NAME = '=<script>alert("x")</script>'
#: The most commands of Redis that a page may send.
MOST_COMMANDS = 30


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    """The gateway's own."""
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
async def shop(runtime: Runtime, clock: Clock) -> Tenant:
    """A tenant with a name of markup, one generation of 9 of its 10 dollars, and one that holds money."""
    tenant = await runtime.tenants.service.create(NAME, Limits(monthly_budget=20_000_000))
    g = (await runtime.generations.creator.create(tenant, factories.create_request(end_user_id=NAME))).generation
    for move in (
        lambda g: g.submitting(clock()),
        lambda g: g.submitted(factories.request_id()),
        lambda g: g.succeeded(factories.output(), 15_000_000, clock()),
    ):
        assert await runtime.transitions.apply(g.id, move) is not None
    await runtime.generations.creator.create(tenant, factories.create_request())
    await BudgetSampler(runtime.stores.budget_shares, clock=clock).sample()
    return tenant


async def shown(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    assert "<script>alert" not in answer.text
    return answer.text


async def test_overview_shows_days_and_tenants_near_their_budget(admin: Browser, shop: Tenant, clock: Clock) -> None:
    text = await shown(admin, "/console/money")
    assert "$15.00" in text
    assert "<svg" in text
    assert clock().date().isoformat() in text, "the figures of the chart are a table too"
    assert "&lt;script&gt;" in text, "the tenant is near its budget"
    assert "97.9 %" in text


async def test_money_pages_without_data_say_what_to_do(admin: Browser) -> None:
    assert "No tenant has used 80 %" in await shown(admin, "/console/money")
    assert "seedance-gateway tenants update" in await shown(admin, "/console/money/budgets")
    assert "Choose another month" in await shown(admin, "/console/money/usage?month=2020-01")
    assert "Enter the id of a tenant" in await shown(admin, "/console/money/usage?by=end_user")
    assert "Start an audit" in await shown(admin, "/console/money/audit")
    assert "Enter the id of a generation" in await shown(admin, "/console/money/ledger")


@pytest.mark.parametrize("by", ["tenant", "day", "model", "code", "end_user"])
async def test_usage_page_and_csv_have_the_same_rows(admin: Browser, shop: Tenant, by: str) -> None:
    query = f"by={by}&tenant_id={shop.id}"
    text = await shown(admin, f"/console/money/usage?{query}")
    assert "$15.00" in text
    answer = await admin.get(f"/console/money/usage.csv?{query}")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    head, *rows = list(csv.reader(io.StringIO(answer.text)))
    spent = [float(row[head.index("spent_usd")]) for row in rows]
    if by != "end_user":  # this list has no total
        assert "Total of these days" in text
        assert (rows.pop()[0], spent.pop()) == ("total", 15.0)
    assert sum(spent) == 15.0
    assert all(cell[:1] != "=" for row in rows for cell in row)


async def test_usage_page_leads_to_the_next_one(
    admin: Browser, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.console.money import usage

    monkeypatch.setattr(usage, "ROWS", 2)
    for number in range(3):
        tenant = await runtime.tenants.service.create(f"tenant-{number}")
        await runtime.generations.creator.create(tenant, factories.create_request())
    text = await shown(admin, "/console/money/usage")
    (target,) = [part.split('"')[0] for part in text.split('rel="next" href="')[1:]]
    following = await shown(admin, target.replace("&amp;", "&"))
    names = [name for name in ("tenant-0", "tenant-1", "tenant-2") if name in text or name in following]
    assert len(names) == 3
    assert 'rel="next"' not in following


async def test_usage_page_continues_with_earlier_days(
    admin: Browser, runtime: Runtime, shop: Tenant, clock: Clock
) -> None:
    """Each day of a month is on one page of its own report."""
    clock.now = clock.now.replace(day=28)
    created = clock().date().replace(day=2).isoformat()
    await runtime.redis.execute("HSET", keys.usage(shop.id, created), "created", 7, "spent", 2_000_000)
    target, pages = f"/console/money/usage?by=day&month={created[:7]}&tenant_id={shop.id}", list[str]()
    while target:
        pages.append(await shown(admin, target))
        target = "".join(part.split('"')[0] for part in pages[-1].split('rel="next" href="')[1:]).replace("&amp;", "&")
    assert [created in text for text in pages] == [False, True]
    assert "$2.00" in pages[1]
    for bad in ("MTAwMA", "OTk5OTk5OTk5OTk5", "LTE"):  # 1000, 999999999999 and -1 days before the end
        answer = await admin.get(f"/console/money/usage?by=day&month={created[:7]}&tenant_id={shop.id}&cursor={bad}")
        assert answer.status_code == 422


@pytest.mark.parametrize(
    "query", ["start=2026-01-01&end=2026-01-05", "by=end_user&tenant_id=ten_x&start=2026-01-01&end=2026-01-05"]
)
async def test_usage_page_of_a_list_needs_a_kept_period(admin: Browser, query: str) -> None:
    """Lists of tenants and of end users are kept for months and for days, not for other periods."""
    assert "are shown for a month" in await shown(admin, f"/console/money/usage?{query}")
    assert (await admin.get(f"/console/money/usage.csv?{query}")).status_code == 422


@pytest.mark.parametrize(
    "query", ["by=x", "month=2026-13", "start=x", "cursor=%3F%3F", "tenant_id=x", "month=2026-01&start=2026-01-01"]
)
async def test_usage_page_with_a_bad_query_is_an_error_page(admin: Browser, query: str) -> None:
    for path in ("/console/money/usage", "/console/money/usage.csv"):
        answer = await admin.get(f"{path}?{query}")
        assert answer.status_code in (404, 422)
        assert "text/html" in answer.headers["content-type"]


async def test_ledger_of_a_generation(admin: Browser, runtime: Runtime, shop: Tenant, clock: Clock) -> None:
    ended, _ = [g.id for g in await generations(runtime, shop)]
    text = await shown(admin, f"/console/money/ledger?id={ended}")
    assert text.index("hold") < text.index("settle")
    assert "do not add up" not in text
    correction = Correction(-1_000_000, "jane", "<b>credit</b>")
    await runtime.operations.adjustments.of_generation(ended, correction, expected=15_000_000)
    text = await shown(admin, f"/console/money/ledger?id={ended}")
    assert ("&lt;b&gt;credit" in text) or ("do not add up" in text)
    assert (await admin.get("/console/money/ledger?id=gen_x")).status_code == 404


async def generations(runtime: Runtime, tenant: Tenant) -> list[Any]:
    names = await runtime.redis.execute("ZRANGE", f"{{sg}}:tenant:{tenant.id}:generations", 0, -1)
    found = [await runtime.stores.generations.load(name.decode()) for name in names]
    return sorted((g for g in found if g is not None), key=lambda g: g.finished_at is None)


async def test_audit_is_started_and_shown(admin: Browser, runtime: Runtime, shop: Tenant) -> None:
    assert "changes nothing" in await shown(admin, "/console/money/audit/start")
    answer = await admin.post("/console/money/audit/start", reason="end of month")
    assert answer.status_code == 303
    assert "running" in await shown(admin, "/console/money/audit")
    await runtime.operations.audit_jobs.continue_job()
    assert "agree with the records" in await shown(admin, "/console/money/audit")


@pytest.mark.parametrize(
    "path",
    [
        "/console/money",
        "/console/money/budgets",
        "/console/money/audit",
        *(f"/console/money/usage?by={by}" for by in ("tenant", "day", "model", "code")),
        "/console/money/usage?by=end_user&tenant_id={tenant}",
        "/console/money/ledger?id={generation}",
    ],
)
async def test_money_page_sends_few_commands(
    admin: Browser, runtime: Runtime, shop: Tenant, clock: Clock, path: str
) -> None:
    """With a full page of tenants and of end users, on the last day of a month."""
    clock.advance(timedelta(days=31))
    clock.now = clock.now.replace(day=28)
    many = await runtime.tenants.service.create("many")
    for number in range(60):
        tenant = await runtime.tenants.service.create(f"t{number}", Limits(monthly_budget=1_000_000_000))
        await runtime.generations.creator.create(tenant, factories.create_request())
        await runtime.generations.creator.create(many, factories.create_request(end_user_id=f"user-{number}"))
    await BudgetSampler(runtime.stores.budget_shares, clock=clock).sample()
    (g, *_) = await generations(runtime, shop)
    target = path.format(tenant=many.id, generation=g.id)
    await shown(admin, target)
    before = await commands(runtime)
    await shown(admin, target)
    assert await commands(runtime) - before <= MOST_COMMANDS + 1  # the second reading itself


async def commands(runtime: Runtime) -> int:
    """Commands that clients have sent: those of scripts are not counted."""
    stats = (await runtime.redis.execute("INFO", "commandstats")).decode().splitlines()
    calls = {
        line.partition(":")[0]: int(line.partition("calls=")[2].partition(",")[0]) for line in stats if "calls=" in line
    }
    scripts = calls.get("cmdstat_evalsha", 0) + calls.get("cmdstat_eval", 0)
    return scripts + sum(calls.get(f"cmdstat_{name}", 0) for name in ("mget", "zrevrange", "xrange", "smembers"))


async def test_cost_is_adjusted_after_a_preview(admin: Browser, app: FastAPI, runtime: Runtime, shop: Tenant) -> None:
    ended = next(g for g in await _generations(runtime, shop) if g.is_terminal)
    assert f"adjust?generation_id={ended.id}" in await shown(admin, f"/console/money/ledger?id={ended.id}")
    assert f'value="{ended.id}"' in await shown(admin, f"/console/money/adjust?generation_id={ended.id}")

    preview = await admin.post("/console/money/adjust/preview", generation_id=ended.id, amount_usd="-1.5")
    assert "$15.00" in preview.text
    assert "$13.50" in preview.text
    body = hidden(preview.text)["body"]
    answers = [(await admin.post("/console/money/adjust", reason="billed less", body=body)) for _ in range(2)]

    assert [each.status_code for each in answers] == [303, 409], "a form that is sent twice adjusts once"
    assert next(g for g in await _generations(runtime, shop) if g.id == ended.id).actual_cost == 13_500_000
    entry = next(each for each in await entries(app) if each.action == "adjust_cost" and not each.error)
    assert entry.changes == {"cost_micro_usd": (15_000_000, 13_500_000)}
    assert (entry.reason, entry.target, entry.tenant_id) == ("billed less", ended.id, shop.id)


async def test_refused_adjustment_marks_its_field(admin: Browser, shop: Tenant) -> None:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("amount_usd", {"generation_id": "gen_x", "amount_usd": "much", "expected_usd": "1"}),
        ("generation_id", {"generation_id": "gen_x", "amount_usd": "1"}),
        ("day", {"tenant_id": shop.id, "end_user": f"eu_{'0' * 32}", "day": "May", "amount_usd": "1"}),
    ]
    for field, given in cases:
        page = await admin.post("/console/money/adjust/preview", **given)
        assert page.status_code == 422
        assert f'id="fault-{field}"' in page.text
    for body in ("", "[]", "{", "{}"):
        assert (await admin.post("/console/money/adjust", reason="x", body=body)).status_code in (400, 422)


async def _generations(runtime: Runtime, tenant: Tenant) -> list[Generation]:
    return (await runtime.generations.reader.list(tenant, Filter(tenant_id=tenant.id), limit=10, after=None)).items
