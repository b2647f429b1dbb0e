"""Generations of every model: the endpoint that receives the submit, the URLs of its requests, and its settled cost."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.models import registry
from service.domain.models.model import Model
from service.domain.pricing import Rates
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime, open_runtime
from tests.support import factories
from tests.support.factories import Clock
from tests.support.unconfirmed import polled_to_the_end
from tests.support.waiting import process_due, stored

SERVED = registry.build(enabled=["*"]).creatable


class Fal:
    """A fal whose jobs are all completed. It bills the most units that a job can have."""

    def __init__(self) -> None:
        self.submits: list[tuple[str, dict[str, Any]]] = []
        self.reads: set[str] = set()
        self.units = Decimal(0)

    async def submit(self, request: web.Request) -> web.Response:
        self.submits.append((request.path.removeprefix("/queue/"), await request.json()))
        return web.json_response({"status": "IN_QUEUE", "request_id": f"request-{len(self.submits)}"})

    async def respond(self, request: web.Request) -> web.Response:
        self.reads.add(request.path.removeprefix("/queue/").partition("/requests/")[0])
        if request.path.endswith("/status"):
            return web.json_response({"status": "COMPLETED", "logs": None})
        body = {"video": {"url": "https://v3b.fal.media/x.mp4"}, "seed": 1}
        return web.json_response(body, headers={"x-fal-billable-units": f"{self.units:f}"})


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
    resolutions = ("480p", "720p", "1080p", "4k")
    return factories.settings(redis_url, fal_queue_url=fal_url, models=("*",), resolutions=resolutions, preflight=False)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme", Limits())


async def created(runtime: Runtime, owner: Tenant, model: Model, **changes: Any) -> Generation:
    body: dict[str, Any] = {"prompt": "a cat", "duration": model.durations[-1], **changes}
    if "image_url" in model.fields:
        body["image_url"] = "https://example.com/a.png"
    request = runtime.generations.forms.of(model).check(body, owner.limits)
    return (await runtime.generations.creator.create(owner, request)).generation


async def ended(runtime: Runtime, clock: Clock, g: Generation) -> Generation:
    await process_due(runtime, WorkQueue.DISPATCH)
    clock.advance(timedelta(seconds=60))
    return await polled_to_the_end(runtime, clock, await stored(runtime, g))


async def test_every_model_is_submitted_to_its_endpoint(
    runtime: Runtime, owner: Tenant, clock: Clock, fal: Fal
) -> None:
    for model in SERVED.values():
        fal.reads.clear()
        g = await ended(runtime, clock, await created(runtime, owner, model))
        endpoint, body = fal.submits[-1]
        assert (endpoint, g.status) == (model.id, Status.SUCCEEDED)
        assert body.pop("end_user_id") == g.end_user
        assert body == g.input
        assert set(body) <= set(model.fields)
        assert fal.reads == {"/".join(model.id.split("/")[:2])}
    assert len(fal.submits) == len(SERVED)


async def test_every_model_settles_the_billed_units_within_the_hold(
    runtime: Runtime, owner: Tenant, clock: Clock, fal: Fal
) -> None:
    for model in SERVED.values():
        for changes in ({}, {"generate_audio": False} if "generate_audio" in model.fields else {"seed": 1}):
            rates, resolution = Rates.of(model), model.resolutions[-1]
            fal.units = round(rates.expected_units(resolution, model.durations[-1])[1], 6)
            g = await created(runtime, owner, model, resolution=resolution, **changes)
            done = await ended(runtime, clock, g)
            audio = changes.get("generate_audio", True)
            price = rates.per_thousand_tokens[resolution] * (1 if audio else rates.silent_factor)
            billed = fal.units * rates.unit_tokens / 1000 * price * 1_000_000
            assert done.actual_cost is not None
            assert abs(done.actual_cost - billed) <= 1, model.id
            assert done.actual_cost <= g.estimated_cost * Decimal("1.1")


async def test_model_that_is_not_enabled_any_more_is_still_settled(
    runtime: Runtime, owner: Tenant, clock: Clock, fal: Fal
) -> None:
    model = SERVED["bytedance/seedance-2.0/fast/text-to-video"]
    g = await created(runtime, owner, model)
    await process_due(runtime, WorkQueue.DISPATCH)
    clock.advance(timedelta(seconds=60))
    fal.units = Decimal(100)
    narrow = runtime.settings.model_copy(update={"models": None})
    async with open_runtime(narrow, clock=clock) as other:
        done = await polled_to_the_end(other, clock, await stored(other, g))

    assert (done.status, done.actual_cost) == (Status.SUCCEEDED, 1_120_000)
