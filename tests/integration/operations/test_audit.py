"""The books agree whatever happens to generations, in whatever order; what was tampered with is found."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.domain.adjustment import Correction
from service.domain.budgets import day
from service.domain.generation import Due, Generation
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.errors import CostChanged, GatewayError
from service.runtime import Runtime
from service.store import keys
from tests.support import factories
from tests.support.factories import Clock

#: What may happen to one of the generations there are.
Step = Callable[[Runtime, Generation, Clock], Awaitable[None]]


async def _save(runtime: Runtime, after: Generation) -> None:
    await runtime.stores.generations.save(after, Due(sweep=after.expires_at))


async def _finish(runtime: Runtime, after: Generation, clock: Clock) -> None:
    await runtime.stores.generations.finish(after, Due(sweep=clock()), [], now=clock())


async def submit(runtime: Runtime, g: Generation, clock: Clock) -> None:
    if g.status is Status.QUEUED:
        await _save(runtime, g.submitting(clock()))


async def accept(runtime: Runtime, g: Generation, clock: Clock) -> None:
    if g.status in (Status.SUBMITTING, Status.UNCONFIRMED):
        await _save(runtime, g.submitted(factories.request_id()))


async def requeue(runtime: Runtime, g: Generation, clock: Clock) -> None:
    if g.status is Status.SUBMITTING:
        await _save(runtime, g.requeued())


async def lose(runtime: Runtime, g: Generation, clock: Clock) -> None:
    if g.status is Status.SUBMITTING:
        await _save(runtime, g.unconfirmed())


async def succeed(runtime: Runtime, g: Generation, clock: Clock) -> None:
    if g.status is Status.SUBMITTED:
        await _finish(runtime, g.succeeded(factories.output(), g.estimated_cost - 7, clock()), clock)


async def fail(runtime: Runtime, g: Generation, clock: Clock) -> None:
    if not g.is_terminal:
        await _finish(runtime, g.failed(factories.failure(), 0, clock()), clock)


async def cancel(runtime: Runtime, g: Generation, clock: Clock) -> None:
    if g.status in (Status.QUEUED, Status.SUBMITTED, Status.UNCONFIRMED):
        await _finish(runtime, g.canceled(0, clock()), clock)


async def settle_late(runtime: Runtime, g: Generation, clock: Clock) -> None:
    """In another day and month than it was held in, and above its estimate."""
    if g.status in (Status.SUBMITTED, Status.UNCONFIRMED):
        clock.advance(timedelta(days=33))
        await _finish(runtime, g.succeeded(factories.output(), g.estimated_cost + 5, clock()), clock)


async def settle_stale(runtime: Runtime, g: Generation, clock: Clock) -> None:
    """From a version that is gone: changes nothing."""
    if not g.is_terminal:
        await _finish(runtime, replace(g, version=g.version + 3).failed(factories.failure(), 9, clock()), clock)


async def adjust(runtime: Runtime, g: Generation, clock: Clock) -> None:
    """Down to nothing where there was a cost, and up."""
    if g.is_terminal:
        cost = g.actual_cost or 0
        await runtime.operations.adjustments.of_generation(g.id, Correction(-cost or 9, "jane", "x"), expected=cost)


async def adjust_day(runtime: Runtime, g: Generation, clock: Clock) -> None:
    with contextlib.suppress(CostChanged):  # another generation of that day has a cost too
        await runtime.operations.adjustments.of_day(
            g.tenant_id, g.end_user, day(g.created_at), Correction(7, "jane", "x"), expected=g.actual_cost or 0
        )


STEPS: tuple[Step, ...] = (
    submit,
    accept,
    requeue,
    lose,
    succeed,
    fail,
    cancel,
    settle_late,
    settle_stale,
    adjust,
    adjust_day,
)
histories = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.integers(0, 2), st.sampled_from(["480p", "720p"])),
        st.tuples(st.just("step"), st.integers(0, 7), st.sampled_from(STEPS)),
    ),
    min_size=5,
    max_size=40,
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=histories)
async def test_audit_of_any_history_is_clean(runtime: Runtime, clock: Clock, history: list[tuple]) -> None:  # type: ignore[type-arg]
    await runtime.redis.execute("FLUSHALL")
    tenants = [
        await runtime.tenants.service.create("acme", Limits(monthly_budget=9_000_000)),
        await runtime.tenants.service.create("shop", Limits(end_user_daily_budget=5_000_000, end_user_daily_count=3)),
        await runtime.tenants.service.create("free"),
    ]
    names: list[str] = []
    for kind, number, what in history:
        if kind == "create":
            if name := await _created(runtime, tenants[number], what):
                names.append(name)
        elif names:
            g = await runtime.stores.generations.load(names[number % len(names)])
            assert g is not None
            await what(runtime, g, clock)
        clock.advance(timedelta(milliseconds=1))
    findings = await runtime.operations.audit.run()
    assert findings.differences == []
    assert findings.entries >= len(names)


async def _created(runtime: Runtime, tenant: Tenant, resolution: str) -> str | None:
    request = factories.create_request(resolution=resolution, duration=5, end_user_id="customer-7")
    try:
        return (await runtime.generations.creator.create(tenant, request)).generation.id
    except GatewayError:
        return None


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (("HINCRBY", "window", "held", 1), "{sg}:money:tenant:"),
        (("HINCRBY", "window", "spent", -1), "{sg}:money:tenant:"),
        (("SADD", keys.SLOTS, "gen_00000000000000000000000000"), "slot of gen_0"),
        (("DEL", keys.LEDGER), "{sg}:money:account:"),
        (("HSET", "record", "d", "terminal"), "hold of gen_"),
        (("SADD", "slotless", "gen_00000000000000000000000000"), "mark as slotless of gen_0"),
        (("HSET", "record", "d", "copying"), "mark as slotless of gen_"),
        (("SADD", "pending", "msg_00000000000000000000000000"), "entry of msg_0"),
    ],
)
async def test_audit_reports_inconsistencies(
    runtime: Runtime, clock: Clock, tamper: tuple[str | int, ...], told: str
) -> None:
    tenant = await runtime.tenants.service.create("acme")
    name = await _created(runtime, tenant, "480p")
    assert name is not None
    g = await runtime.stores.generations.load(name)
    assert g is not None
    from service.store.generations.records import dump

    real: dict[str | int, str | bytes] = {
        "window": keys.money_of_tenant(tenant.id, clock().strftime("%Y-%m")),
        "record": keys.generation(name),
        "terminal": dump(g.canceled(0, clock())),
        "copying": dump(g.submitting(clock()).submitted("r").copying_started(factories.output(), 1, clock())),
        "slotless": keys.slotless_of_tenant(tenant.id),
        "pending": keys.pending_deliveries_of_tenant(tenant.id),
    }
    await runtime.redis.execute(*(real.get(word, word) for word in tamper))
    findings = await runtime.operations.audit.run()
    assert not findings.clean
    assert any(difference.what.startswith(told) for difference in findings.differences)


async def test_audit_ignores_expired_windows(runtime: Runtime, clock: Clock) -> None:
    """Windows go 400 days after they were opened; the ledger goes by and by, a settlement later than its hold."""
    tenant = await runtime.tenants.service.create("acme")
    now = clock()
    clock.now = now - timedelta(days=401)
    await _ended(runtime, tenant, clock)
    (hold, _), (settlement, _) = await runtime.redis.execute("XRANGE", keys.LEDGER, "-", "+")
    for window in await runtime.redis.execute("KEYS", keys.MONEY):
        await runtime.redis.execute("DEL", window)
    clock.now = now
    await _ended(runtime, tenant, clock)
    assert (await runtime.operations.audit.run()).differences == []
    for entry in (hold, settlement):
        await runtime.redis.execute("XDEL", keys.LEDGER, entry)
        assert (await runtime.operations.audit.run()).differences == []


async def _ended(runtime: Runtime, tenant: Tenant, clock: Clock) -> None:
    name = await _created(runtime, tenant, "480p")
    assert name is not None
    for step in (submit, accept, succeed):
        g = await runtime.stores.generations.load(name)
        assert g is not None
        await step(runtime, g, clock)
