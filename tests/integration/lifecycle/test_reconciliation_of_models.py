"""Reconciliation of every model by the bill of its own endpoint, against real Redis and the sandbox."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.models.model import Model
from service.domain.models.registry import SEED
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.support import factories
from tests.support.factories import Clock
from tests.support.model_requests import SERVED, cheapest
from tests.support.unconfirmed import finished
from tests.support.waiting import process_due, stored

TWIN = "acme/seedance-2.0/image-to-video"
#: A second model of the operator at the endpoint of the default one.
FILE = f'[models."{TWIN}"]\nextends = "{SEED}"\ntitle = "Twin"\nendpoint = "{SEED}"\n'


@pytest.fixture
def settings(redis_url: str, sandbox_url: str, tmp_path: Path) -> Settings:
    file = tmp_path / "models.toml"
    file.write_text(FILE)
    return factories.sandbox_settings(
        redis_url,
        sandbox_url,
        fal_admin_key="admin:key",
        models=(*(model.id for model in SERVED), TWIN),
        models_file=file,
        resolutions=("480p", "720p", "1080p", "4k"),
        upstream_concurrency=200,
        submit_failures=1000,
    )


@pytest.fixture(autouse=True)
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A new sandbox: the shared one bills jobs of other tests."""
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        (await client.post("/_sandbox/reset")).raise_for_status()
        yield client


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme", Limits())


async def lost(runtime: Runtime, owner: Tenant, clock: Clock, model: Model, **changes: Any) -> Generation:
    """Return a generation of a model whose submit has an unknown outcome. No request reaches the sandbox."""
    fields = cheapest(SERVED[0] if model.id == TWIN else model)
    body = {key: value for key, value in fields.items() if key != "model"} | changes
    request = runtime.generations.forms.of(runtime.generations.models.enabled[model.id]).check(body, owner.limits)
    g = (await runtime.generations.creator.create(owner, request)).generation
    for move in (lambda g: g.submitting(clock()), lambda g: g.unconfirmed()):
        moved = await runtime.transitions.apply(g.id, move)
        assert moved is not None
        g = moved
    return g


async def accepted(runtime: Runtime, g: Generation, **changes: Any) -> str:
    """Send the submit of a generation to the sandbox, whose response is lost; return fal's request id."""
    wire: Any = await runtime.connections.fal.submit({**g.input, **changes}, model=g.model)
    request_id: str = wire.body["request_id"]
    return request_id


async def swept(runtime: Runtime, clock: Clock, after: Any) -> None:
    clock.advance(after)
    await process_due(runtime, WorkQueue.SWEEP)


async def test_reconciliation_adopts_the_job_of_every_model(
    runtime: Runtime, owner: Tenant, clock: Clock, settings: Settings, sandbox_url: str
) -> None:
    """All at the same time, with the same prompt: the endpoint alone tells most of them apart."""
    jobs = {}
    for model in SERVED:
        g = await lost(runtime, owner, clock, model)
        jobs[g.id] = (model.id, await accepted(runtime, g))
    await finished(sandbox_url, len(jobs))
    await swept(runtime, clock, settings.reconcile_every * 2)
    found = {name: await runtime.stores.generations.load(name) for name in jobs}
    assert {name: g and (g.model, g.request_id) for name, g in found.items()} == jobs
    assert (await runtime.operations.audit.run()).clean


async def test_reconciliation_proves_every_model_unbilled(
    runtime: Runtime, owner: Tenant, clock: Clock, settings: Settings, sandbox_url: str
) -> None:
    """The default model's bill has a job that would fit most of them, at another endpoint."""
    of_default = await lost(runtime, owner, clock, SERVED[0])
    request_id = await accepted(runtime, of_default)
    others = [await lost(runtime, owner, clock, model) for model in SERVED[1:]]
    await finished(sandbox_url)
    await swept(runtime, clock, settings.unconfirmed_deadline)
    assert (await stored(runtime, of_default)).request_id == request_id
    ended = [await stored(runtime, g) for g in others]
    assert {(g.model, g.status, g.actual_cost) for g in ended} == {(model.id, Status.FAILED, 0) for model in SERVED[1:]}
    assert (await runtime.operations.audit.run()).clean


async def test_reconciliation_of_models_with_one_endpoint_shares_its_bill(
    runtime: Runtime, owner: Tenant, clock: Clock, settings: Settings, sandbox_url: str
) -> None:
    """A job of the shared endpoint may belong to either model, unless its units decide."""
    twin = runtime.generations.models.enabled[TWIN]
    one, two = await lost(runtime, owner, clock, SERVED[0]), await lost(runtime, owner, clock, twin)
    longer = await lost(runtime, owner, clock, twin, duration="15")
    await accepted(runtime, one)
    request_id = await accepted(runtime, longer)
    await finished(sandbox_url, 2)
    await swept(runtime, clock, settings.reconcile_every * 2)
    assert [(await stored(runtime, g)).status for g in (one, two)] == [Status.UNCONFIRMED] * 2
    assert (await stored(runtime, longer)).request_id == request_id


async def test_reconciliation_unreadable_bill_of_one_endpoint_delays_its_models_only(
    runtime: Runtime, owner: Tenant, clock: Clock, settings: Settings, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = runtime.connections.fal_billing
    assert read is not None
    page = type(read)._page

    async def broken(self: Any, query: Any) -> Any:
        return await page(self, {**query, "start": "no time"} if query["endpoint_id"] == SERVED[1].id else query)

    monkeypatch.setattr(type(read), "_page", broken)
    first, second = [await lost(runtime, owner, clock, model) for model in SERVED[:2]]
    await swept(runtime, clock, settings.unconfirmed_deadline)
    assert (await stored(runtime, first)).actual_cost == 0
    assert (await stored(runtime, second)).status is Status.UNCONFIRMED


async def test_reconciliation_forgotten_given_up_generation_is_a_rival_at_every_endpoint(
    runtime: Runtime, owner: Tenant, clock: Clock, settings: Settings, sandbox_url: str
) -> None:
    other = await lost(runtime, owner, clock, SERVED[0])
    assert await runtime.stores.generations.purge(await runtime.operations.unconfirmed.dismiss(other.id, "I think so"))
    g = await lost(runtime, owner, clock, SERVED[1])
    await accepted(runtime, g)
    await finished(sandbox_url)
    await swept(runtime, clock, settings.reconcile_every * 2)
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED, json.dumps(g.input)


async def test_reconciliation_given_up_generation_of_other_endpoint_is_no_rival(
    runtime: Runtime, owner: Tenant, clock: Clock, settings: Settings, sandbox_url: str
) -> None:
    await runtime.operations.unconfirmed.dismiss((await lost(runtime, owner, clock, SERVED[0])).id, "I think so")
    g = await lost(runtime, owner, clock, SERVED[1])
    request_id = await accepted(runtime, g)
    await finished(sandbox_url)
    await swept(runtime, clock, settings.reconcile_every * 2)
    assert (await stored(runtime, g)).request_id == request_id
