"""``seedance-gateway usage`` and ``budgets``, as the document for finance has them."""

import asyncio
import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.config.settings import Settings
from service.domain.tenant import Limits
from service.runtime import Runtime, open_runtime
from service.usecases.operations.budget_sampler import BudgetSampler
from tests.support import factories

Run = Callable[..., Result]
MONTH = datetime.now(UTC).strftime("%Y-%m")


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def invoked(*arguments: str, exits: int = 0) -> Result:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == exits, result.output + repr(result.exception)
        return result

    return invoked


@pytest.fixture
def tenant_id(settings: Settings) -> str:
    """A tenant with one queued generation of an end user, and a budget."""

    async def made(runtime: Runtime) -> str:
        tenant = await runtime.tenants.service.create("=acme", Limits(monthly_budget=10_000_000))
        await runtime.generations.creator.create(tenant, factories.create_request(end_user_id="anna"))
        await BudgetSampler(runtime.stores.budget_shares, clock=runtime.clock).sample()
        return tenant.id

    async def opened() -> str:
        async with open_runtime(settings) as runtime:
            return await made(runtime)

    return asyncio.run(opened())


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_usage_prints_rows_and_the_total(run: Run, tenant_id: str) -> None:
    row, total = lines(run("usage", "--month", MONTH))
    assert (row["tenant_id"], row["tenant_name"], row["created"]) == (tenant_id, "=acme", 1)
    assert (total["tenant_id"], total["created"], total["held"]) == ("total", 1, row["held"])
    for by in ("day", "model", "code"):
        *rows, total = lines(run("usage", "--by", by, "--month", MONTH))
        assert sum(each["created"] for each in rows) == total["created"] == 1
    named, _ = lines(run("usage", "--by", "end_user", "--tenant", tenant_id))
    assert (named["end_user_id"], named["end_user"]) == ("anna", "named")


def test_usage_csv_is_safe_for_spreadsheets(run: Run, tenant_id: str) -> None:
    rows = list(csv.reader(io.StringIO(run("usage", "--csv").stdout)))
    assert [row[:2] for row in rows] == [["tenant_id", "tenant_name"], [tenant_id, "'=acme"], ["total", ""]]


def test_budgets_prints_shares(run: Run, tenant_id: str) -> None:
    (use,) = lines(run("budgets"))
    assert (use["tenant_id"], use["monthly_budget_usd"]) == (tenant_id, "10.000000")
    assert use["share"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--by", "end_user"), "/query/tenant_id: is required with by=end_user"),
        (("--month", "2026-13"), "/query/month: must be a month like 2026-01"),
        (("--start", "yesterday"), "--start: must be a day like 2026-01-31"),
    ],
)
def test_usage_refuses_wrong_options(run: Run, arguments: tuple[str, ...], message: str) -> None:
    assert message in run("usage", *arguments, exits=2).stderr


def test_tenant_list_has_the_month(run: Run, tenant_id: str) -> None:
    (listed,) = lines(run("tenants", "list"))
    assert (listed["id"], listed["month"]["spent"], listed["month"]["over"]) == (tenant_id, "0.000000", False)
