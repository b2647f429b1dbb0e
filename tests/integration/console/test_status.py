"""The status page: each alert whose state Redis has is a line with its page and its section of the runbook."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import pytest
import redis as redis_py
from fastapi import FastAPI

from monitoring.alerts import every
from service.config.settings import Settings
from service.console.documents import runbook_section
from service.domain.budgets import day
from service.domain.operator import Role
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.usecases.operations.budget_sampler import BudgetSampler
from tests.support import factories
from tests.support.console import Browser, browser_of, operator_subject
from tests.support.factories import Clock

#: Commands that Redis may run for the page, those within scripts included.
MOST_COMMANDS: Final = 30
_MINUTE: Final = timedelta(minutes=1)
Arrange = Callable[[Runtime, Tenant, Clock], Awaitable[Any]]


async def _set(runtime: Runtime, *command: str | int) -> None:
    await runtime.connections.redis.execute(*command)


async def _unconfirmed(runtime: Runtime, _: Tenant, clock: Clock) -> None:
    await _set(runtime, "ZADD", keys.UNCONFIRMED, _ms(clock, hours=-1), "gen_x")


async def _held(runtime: Runtime, tenant: Tenant, clock: Clock) -> None:
    await _set(runtime, "ZADD", keys.CLOSED_GATES, _ms(clock), tenant.id)
    other = await runtime.tenants.service.create("other")
    await _set(runtime, "ZADD", keys.ACTIVE_TENANTS, 1, other.id)


async def _waiting(runtime: Runtime, tenant: Tenant, clock: Clock) -> None:
    await runtime.generations.creator.create(tenant, factories.create_request())
    await BudgetSampler(runtime.stores.budget_shares, clock=clock, waiting=runtime.stores.waiting_tenants).sample()
    clock.advance(timedelta(minutes=45))


async def _budget(runtime: Runtime, tenant: Tenant, clock: Clock) -> None:
    await _set(runtime, "ZADD", keys.BUDGET_SHARES, 900, tenant.id)
    clock.advance(_MINUTE)


async def _slow(runtime: Runtime, clock: Clock, *command: str | int) -> None:
    await _set(runtime, *command)
    clock.advance(_MINUTE)


def _ms(clock: Clock, **back: float) -> int:
    return int((clock() + timedelta(**back)).timestamp() * 1000)


#: Alert -> the check of the page, and how its condition comes about.
LINES: dict[str, tuple[str, Arrange]] = {
    "SubmitsUnconfirmed": ("unconfirmed submits", _unconfirmed),
    "PaidAndLost": ("paid and lost", lambda r, _, c: _set(r, "ZADD", keys.PAID_AND_LOST, _ms(c), "gen_x")),
    "DispatchPaused": ("dispatch", lambda r, _, __: r.operations.gate.pause("a drill")),
    "AccountLocked": ("dispatch", lambda r, _, __: r.operations.gate.locked("Exhausted balance")),
    "SubmitsFailing": (
        "dispatch",
        lambda r, _, c: _set(r, "HSET", keys.GATE, "cause", "failing", "reason", "500", "since", _ms(c)),
    ),
    "TenantSubmitsFailing": ("dispatch", _held),
    "TenantPaused": ("tenants", lambda r, t, _: r.tenants.service.pause(t.id, "a loop")),
    "QueueAgeHigh": ("oldest waiting work", _waiting),
    "WorkQueueLagging": (
        "work queues",
        lambda r, _, c: _set(r, "ZADD", keys.due(WorkQueue.DELIVER), _ms(c, minutes=-5), "ten_x"),
    ),
    "WebhookDeadLetters": ("dead letters", lambda r, _, __: _set(r, "ZADD", keys.DEAD_LETTERS, 0, "del_x")),
    "WebhookReceiverFailing": (
        "webhook receivers",
        lambda r, t, c: _set(r, "ZADD", keys.FAILING_RECEIVERS, _ms(c, hours=-2), f"{t.id}:end_x"),
    ),
    "BudgetNearlySpent": ("budgets", _budget),
    "PriceChanged": ("prices", lambda r, _, c: _slow(r, c, "HSET", keys.PRICE_MISMATCHES, "720p", 5)),
    "TenantStorageHigh": (
        "storage of tenants",
        lambda r, t, c: _slow(r, c, "ZADD", keys.STORED_BYTES, 10**14, t.id),
    ),
    "AuditTrailBroken": ("audit trail", lambda r, _, c: _slow(r, c, "HSET", keys.TRAIL_CHECK, "last_breaks", 2)),
}
#: Alert -> the check that other tests cover, since its condition is of the server or of processes.
COVERED: Final = {
    "RedisUnavailable": "the page that says so: test_unavailable_redis_shows_a_page",
    "RedisNotDurable": "redis durability: the doctor's tests",
    "RedisMemoryHigh": "redis memory: the doctor's tests",
    "RedisMemoryFull": "redis memory: the doctor's tests",
    "BeatDead": "beat: the doctor's tests",
    "ClockWrong": "worker clocks: the doctor's tests",
    "WorkersMissing": "workers of each queue: the doctor's tests",
}
#: Alert -> why the page has no line.
ONLY_IN_PROMETHEUS: Final = {
    "TenantReadsFlooding": "a rate compared with the usual one",
    "WebhookBacklogGrowing": "Redis has it by tenant only; a late queue shows as 'work queues'",
    "TenantSpendingUnusual": "a sum of an hour compared with the usual one",
    "SettledAtEstimate": "an increase in an hour",
    "OperatorCallsRefused": "an increase in 15 minutes; the audit trail lists them",
    "ConsoleLoginsRefused": "an increase in 15 minutes; the log has each with its address",
    "KeySetsUnavailable": "an increase in 15 minutes; the log has the host and the error",
    "GatewayMissing": "without a gateway there is no page",
    "AcceptSloBurning": "a share of the requests of days",
    "CompletionSloBurning": "a share of the generations of days",
}


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, redis_memory_limit=10**12)


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


def test_every_alert_has_a_line_or_a_reason() -> None:
    assert {alert.name for alert in every()} == {*LINES, *COVERED, *ONLY_IN_PROMETHEUS}


@pytest.mark.parametrize("alert", sorted(LINES))
async def test_condition_of_an_alert_is_a_line(
    admin: Browser, runtime: Runtime, tenant: Tenant, clock: Clock, alert: str
) -> None:
    check, arrange = LINES[alert]
    assert f"</span> {check}</h3>" not in (await admin.get("/console/oncall")).text

    await arrange(runtime, tenant, clock)

    page = (await admin.get("/console/oncall")).text
    (line,) = re.findall(
        rf'<section class="finding \w+">\s*<h3>[^\n]*</span> {check}</h3>.*?</section>', page, re.DOTALL
    )
    section = re.search(r"/console/runbook/([\w-]+)", line)
    assert section
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()
    assert section[1] == name
    assert runbook_section(name, path="")
    links = [path for path in re.findall(r'class="button" href="([^"]+)"', line) if not path.endswith("/resume")]
    assert links
    for path in links:
        assert (await admin.get(path.replace("&amp;", "&"))).status_code == 200, path


async def test_tenants_that_wait_longest_are_listed(
    admin: Browser, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    assert "No tenant has queued generations." in (await admin.get("/console/oncall")).text
    others = [await runtime.tenants.service.create(f"shop {number}") for number in range(7)]
    for each in (tenant, *others):
        await runtime.generations.creator.create(each, factories.create_request())
        clock.advance(_MINUTE)
    sampler = BudgetSampler(runtime.stores.budget_shares, clock=clock, waiting=runtime.stores.waiting_tenants)
    await sampler.sample()

    page = (await admin.get("/console/oncall")).text

    listed = re.findall(r'queued&amp;tenant_id=(ten_\w+)"', page)
    assert listed == [each.id for each in (tenant, *others[:4])]
    assert ">8 min<" in page
    for g in (await runtime.operations.generations.page(await _queued(runtime), limit=10)).items:
        await runtime.operations.generations.cancel(g.generation.id, reason="x")
    await sampler.sample()
    assert "No tenant has queued generations." in (await admin.get("/console/oncall")).text


async def _queued(runtime: Runtime) -> Any:
    return await runtime.operations.generations.filter()


async def test_deleted_tenant_leaves_the_list(runtime: Runtime, tenant: Tenant) -> None:
    await _set(runtime, "ZADD", keys.WAITING_TENANTS, 1, tenant.id)

    await runtime.tenants.service.delete(tenant.id, drain=False)

    assert await runtime.stores.waiting_tenants.oldest(10) == []


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("User is locked. Reason: Exhausted balance. Top up at fal.ai/dashboard/billing.", "Top up the balance"),
        ("fal answered 401", "valid key in GATEWAY_FAL_KEY"),
        ("Invalid API key", "valid key in GATEWAY_FAL_KEY"),
        ("User is locked.", "Ask fal why"),
        ("fal answered 403", "Ask fal why"),
    ],
)
async def test_remedy_of_a_lock_is_that_of_its_cause(
    admin: Browser, runtime: Runtime, reason: str, remedy: str
) -> None:
    await runtime.operations.gate.locked(reason)

    page = (await admin.get("/console/oncall")).text

    remedies = [text for text in ("Top up the balance", "valid key in GATEWAY_FAL_KEY", "Ask fal why") if text in page]
    assert remedies == [remedy]


async def test_account_near_its_budget_of_the_day_is_a_line(redis_url: str, clock: Clock, app: FastAPI) -> None:
    runtime: Runtime = app.state.runtime
    await _slow(runtime, clock, "HSET", keys.money_of_account(day(clock())), "held", 0, "spent", 95)
    runtime.operations.status._account_budget = 100

    found = await runtime.operations.status.read()

    (line,) = [each.finding for each in found.wrong if each.finding.check == "budgets"]
    assert "the account today 95%" in line.detail


@pytest.mark.parametrize("who", ["operator", "first read"])
async def test_page_costs_few_commands_of_redis(
    app: FastAPI, runtime: Runtime, tenant: Tenant, clock: Clock, redis_url: str, who: str
) -> None:
    """Also while much is wrong, with ten tenants that are near their budget and wait."""
    for number in range(10):
        made = await runtime.tenants.service.create(f"shop {number}", Limits(monthly_budget=1))
        await _set(runtime, "ZADD", keys.BUDGET_SHARES, 990, made.id)
        await _set(runtime, "ZADD", keys.WAITING_TENANTS, _ms(clock, hours=-number), made.id)
    for arrange in (_unconfirmed, LINES["AuditTrailBroken"][1], LINES["AccountLocked"][1]):
        await arrange(runtime, tenant, clock)
    async with browser_of(app, await operator_subject(app, Role.VIEWER)) as browser:
        await browser.get("/console/oncall")
        if who == "first read":
            clock.advance(_MINUTE)
        with redis_py.Redis.from_url(redis_url) as client:
            before = _commands(client)
            await browser.get("/console/oncall")
            ran = _commands(client) - before - 1  # the count itself

    # Once in 30 s a process also reads what changes within minutes.
    assert ran <= MOST_COMMANDS + (2 if who == "first read" else 0)


def _commands(client: redis_py.Redis) -> int:
    stats: Any = client.info("commandstats")
    return sum(int(each["calls"]) for each in stats.values())
