"""Text-to-video and image-to-video of every model, from the request of a caller to the bill of the sandbox."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.models import registry
from service.domain.models.model import Model
from service.domain.status import Status
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.support import factories
from tests.support.factories import Clock
from tests.support.unconfirmed import polled_to_the_end
from tests.support.waiting import process_due

SERVED = registry.build(enabled=["*"]).creatable


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    resolutions = ("480p", "720p", "1080p", "4k")
    return factories.sandbox_settings(redis_url, sandbox_url, models=("*",), resolutions=resolutions)


async def created(api: httpx.AsyncClient, model: Model) -> str:
    """Create the longest video of a model in its largest resolution, without sound where that is cheaper."""
    body: dict[str, Any] = {"model": model.id, "prompt": "sandbox:no-video", "resolution": model.resolutions[-1]}
    body["duration"] = model.durations[-1]
    if "image_url" in model.fields:
        body["image_url"] = "https://v3b.fal.media/a.jpg"
    if "generate_audio" in model.fields:
        body["generate_audio"] = False
    answer = await api.post("/v1/generations", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def bill(sandbox_url: str, request_id: str) -> dict[str, Any]:
    async with httpx.AsyncClient(headers={"authorization": f"Key {factories.FAL_KEY}"}) as client:
        address = f"{sandbox_url}/api/v1/models/billing-events"
        answer = await client.get(address, params={"request_id": request_id})
    (event,) = answer.raise_for_status().json()["billing_events"]
    found: dict[str, Any] = event
    return found


async def test_settled_cost_is_the_bill_of_the_sandbox(
    runtime: Runtime, api: httpx.AsyncClient, clock: Clock, sandbox_url: str
) -> None:
    ids = {await created(api, model): model for model in SERVED.values()}
    await process_due(runtime, WorkQueue.DISPATCH)

    waiting = [await runtime.stores.generations.load(name) for name in ids]
    done = [await polled_to_the_end(runtime, clock, g) for g in waiting if g is not None]
    bills = await asyncio.gather(*(bill(sandbox_url, g.request_id or "") for g in done))

    assert len(done) == len(SERVED)
    for g, billed in zip(done, bills, strict=True):
        assert (g.status, billed["endpoint_id"], g.model) == (Status.SUCCEEDED, ids[g.id].id, ids[g.id].id)
        assert g.actual_cost == pytest.approx(billed["cost_estimate_nano_usd"] / 1000, abs=1)
        assert g.actual_cost is not None
        assert 0 < g.actual_cost <= g.estimated_cost
        assert g.billable_units == Decimal(str(billed["output_units"]))
