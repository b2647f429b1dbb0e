"""Bills of fal: a cost inside the bounds of the hold, counted outside of them, compared with the price formula."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.pricing import EstimateReason
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.observability import log, metrics
from service.runtime import Runtime
from service.usecases.lifecycle.price_monitor import MISMATCHES
from tests.support import factories
from tests.support.factories import Clock
from tests.support.metric_values import value
from tests.support.unconfirmed import created, polled_to_the_end
from tests.support.waiting import process_due, stored

#: 480p, 5 seconds: 708,939 micro-USD are held, at most 50.64 units are billed.
HELD = 708_939
EXPECTED = "50.22"
REASONS: tuple[EstimateReason, ...] = get_args(EstimateReason)


class Fal:
    """A fal whose jobs are all completed, with this status and this header of billed units. None: no header."""

    status = 200
    units: str | None = EXPECTED

    def __init__(self) -> None:
        self.submitted = 0

    async def submit(self, _: web.Request) -> web.Response:
        self.submitted += 1
        return web.json_response({"status": "IN_QUEUE", "request_id": f"request-{self.submitted}"})

    async def respond(self, request: web.Request) -> web.Response:
        if request.path.endswith("/status"):
            return web.json_response({"status": "COMPLETED", "logs": None})
        headers = {} if self.units is None else {"x-fal-billable-units": self.units}
        body = {"video": {"url": "https://v3b.fal.media/x.mp4"}, "seed": 1} if self.status == 200 else {"detail": []}
        return web.json_response(body, status=self.status, headers=headers)


@pytest.fixture
def fal() -> Fal:
    return Fal()


@pytest.fixture
async def fal_url(fal: Fal) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{tail:.*}", fal.submit)
    app.router.add_get("/{tail:.*}", fal.respond)
    async with TestServer(app) as server:
        yield str(server.make_url("/queue"))


@pytest.fixture
def settings(redis_url: str, fal_url: str) -> Settings:
    return factories.settings(redis_url, fal_queue_url=fal_url)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme", Limits(monthly_budget=100_000_000))


@pytest.fixture
def lines() -> Iterator[io.BytesIO]:
    """Return the log lines."""
    stream = io.BytesIO()
    log.configure("INFO", stream=stream)
    yield stream
    log.configure("INFO")


def events(lines: io.BytesIO, name: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == name]


async def ended(runtime: Runtime, owner: Tenant, clock: Clock, **wanted: Any) -> Generation:
    g = await created(runtime, owner, "a cat", **wanted)
    await process_due(runtime, WorkQueue.DISPATCH)
    clock.advance(timedelta(seconds=60))
    return await polled_to_the_end(runtime, clock, await stored(runtime, g))


def settled_at_estimate(reason: EstimateReason) -> float:
    return value(metrics.SETTLED_AT_ESTIMATE.labels(reason))


@pytest.mark.parametrize(
    ("status", "units", "cost", "reason"),
    [
        (200, EXPECTED, 703_080, None),
        (200, "0", 0, None),
        (200, "50220", HELD, "above_hold"),
        (200, "-5", HELD, "negative"),
        (200, "1e400", HELD, "above_hold"),
        (200, "NaN", HELD, "missing"),
        (200, None, HELD, "missing"),
        (422, "50220", HELD, "above_hold"),
        (422, "0", 0, None),
        (422, None, 0, None),
        (422, "NaN", 0, None),
        (499, "50220", HELD, "above_hold"),
        (499, None, 0, None),
    ],
)
async def test_bill_inside_bounds_is_cost_else_estimate(
    runtime: Runtime,
    owner: Tenant,
    clock: Clock,
    fal: Fal,
    lines: io.BytesIO,
    status: int,
    units: str | None,
    cost: int,
    reason: EstimateReason | None,
) -> None:
    fal.status, fal.units = status, units
    before = {each: settled_at_estimate(each) for each in REASONS}

    g = await ended(runtime, owner, clock)

    assert g.actual_cost == cost
    assert g.billable_units == (None if units in (None, "NaN") else Decimal(units))
    assert (await runtime.tenants.usage.month(owner.id)).spent == cost
    assert (await runtime.operations.audit.run()).differences == []
    assert {each: settled_at_estimate(each) - n for each, n in before.items()} == {
        each: float(each == reason) for each in before
    }
    reported = events(lines, "billed_units_out_of_bounds")
    assert [(line["generation_id"], line["units"], line["reason"]) for line in reported] == (
        [(g.id, str(Decimal(units or "")), reason)] if reason in ("negative", "above_hold") else []
    )


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    status=st.sampled_from([200, 422, 499]),
    units=st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs", "Cc"]))
    | st.decimals().map(str)
    | st.decimals("-100", "100", places=6).map(str),
)
@example(200, "1e400")
@example(200, "1e-400")
@example(200, "1e999999999")
@example(200, "\u0661\u0660\u0668")
@example(200, "Infinity")
async def test_bill_of_any_units_keeps_bounds_and_audit(
    runtime: Runtime, owner: Tenant, clock: Clock, fal: Fal, status: int, units: str
) -> None:
    fal.status, fal.units = status, units
    before = (await runtime.tenants.usage.month(owner.id)).spent

    g = await ended(runtime, owner, clock)

    spent = (await runtime.tenants.usage.month(owner.id)).spent - before
    assert spent == g.actual_cost
    assert 0 <= spent * 10 <= g.estimated_cost * 11
    assert (await runtime.operations.audit.run()).differences == []


# --- the price -------------------------------------------------------------------------------------------------------


async def price_changed(runtime: Runtime) -> dict[str, float]:
    runtime.operations.account_metrics.forget()
    families = text_string_to_metric_families((await runtime.operations.account_metrics.text()).decode())
    return {
        sample.labels["resolution"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "gateway_price_changed"
    }


UNCHANGED = {"480p": 0, "720p": 0, "1080p": 0, "4k": 0}


@pytest.mark.parametrize("units", ["0", "5", "46.5", "51.7", "54", "50220", "-1"])
async def test_price_changed_is_reported_once_at_the_nth_mismatch(
    runtime: Runtime, owner: Tenant, clock: Clock, fal: Fal, lines: io.BytesIO, units: str
) -> None:
    fal.units = units
    for _ in range(MISMATCHES - 1):
        await ended(runtime, owner, clock)
    assert await price_changed(runtime) == UNCHANGED
    assert events(lines, "price_changed") == []

    for _ in range(2):
        last = await ended(runtime, owner, clock)

    assert await price_changed(runtime) == {**UNCHANGED, "480p": 1}
    (line,) = events(lines, "price_changed")
    assert line["resolution"] == "480p"
    assert line["generation_id"] != last.id

    fal.units = EXPECTED
    await ended(runtime, owner, clock)
    assert await price_changed(runtime) == UNCHANGED


async def test_price_mismatches_count_by_resolution_and_in_a_row(
    runtime: Runtime, owner: Tenant, clock: Clock, fal: Fal
) -> None:
    for units in ["5"] * (MISMATCHES - 1) + [EXPECTED] + ["5"] * (MISMATCHES - 1):
        fal.units = units
        await ended(runtime, owner, clock)
    await ended(runtime, owner, clock, resolution="720p")

    assert await price_changed(runtime) == UNCHANGED


@pytest.mark.parametrize(("status", "units"), [(422, "0"), (422, "5"), (499, "5"), (200, None)])
async def test_price_is_not_compared_without_a_billed_success(
    runtime: Runtime, owner: Tenant, clock: Clock, fal: Fal, status: int, units: str | None
) -> None:
    fal.status, fal.units = status, units
    for _ in range(MISMATCHES + 1):
        await ended(runtime, owner, clock)

    assert await price_changed(runtime) == UNCHANGED


async def test_price_of_auto_duration_may_be_that_of_any_duration(
    runtime: Runtime, owner: Tenant, clock: Clock, fal: Fal
) -> None:
    for units in ("40", "60", "80", "120", "150"):
        fal.units = units
        assert (await ended(runtime, owner, clock, duration="auto")).status is Status.SUCCEEDED
    assert await price_changed(runtime) == UNCHANGED

    fal.units = "35"
    for _ in range(MISMATCHES):
        await ended(runtime, owner, clock, duration="auto")
    assert await price_changed(runtime) == {**UNCHANGED, "480p": 1}
