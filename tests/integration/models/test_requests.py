"""Every model that can be enabled, from the request of a caller to the bill of the sandbox.

The requests are derived from the data of the models, and the holds from prices that a test has written a second time.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import httpx
import jsonschema
import pytest

from sandbox.dimensions import SIZES
from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.models.model import Model
from service.domain.status import Status
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.support import factories
from tests.support.factories import Clock
from tests.support.model_requests import LIMITS, SERVED, bare, cheapest, largest, smallest, wrong_bodies
from tests.support.waiting import Patience, process_due
from tests.unit.domain.models.test_registry import TABLE


class Published(NamedTuple):
    """What fal publishes of a model: US dollars per billed unit and per second, by resolution."""

    rates: Mapping[str, str]
    per_second: Mapping[str, str]
    unit_tokens: int
    silent_factor: Fraction


def published(model: Model) -> Published:
    """Return the prices of the table that test_registry.py compares with the files of models."""
    start, kind = model.id.rpartition("/")[0] + "/", model.id.rpartition("/")[2]
    (row,) = (row for row in TABLE if row[0] == start and kind in row[1])
    resolutions, rates, per_second = (text.split() for text in row[3:])
    return Published(
        dict(zip(resolutions, rates, strict=False)),  # the last resolution is the default
        {name: price for name, price in zip(resolutions, per_second, strict=False) if price != "?"},
        unit_tokens=1_000_000 if start.startswith("fal-ai/") else 1000,
        silent_factor=Fraction("0.5") if "/v1.5/" in start else Fraction(1),
    )


#: Most seconds of input videos, by the start of the endpoint id, and the factor of the price with one of them.
LONGEST_INPUT = {"bytedance/seedance-2.0/": Fraction(15), "bytedance/seedance-2.5/": Fraction("30.2")}
VIDEO_INPUT_FACTOR = Fraction("0.6")


def held(model: Model, given: dict[str, Any]) -> int:
    """Return the micro-USD that the published prices demand: of the formula with one more frame, or per second."""
    prices = published(model)
    resolution, duration = given["resolution"], given["duration"]
    seconds = model.longest_seconds if duration == "auto" else int(duration)
    pixels = max(width * height for width, height in SIZES[resolution].values())
    rate, per_second = Fraction(prices.rates[resolution]), Fraction(prices.per_second.get(resolution, "0"))
    if given.get("generate_audio") is False:
        rate *= prices.silent_factor
    billed = Fraction(seconds)
    if given.get("video_urls"):  # of unknown length
        billed += next(longest for start, longest in LONGEST_INPUT.items() if model.id.startswith(start))
        rate, per_second = rate * VIDEO_INPUT_FACTOR, per_second * VIDEO_INPUT_FACTOR
    tokens = pixels * (24 * billed + 1) / 1024
    formula = math.ceil(tokens / prices.unit_tokens * rate * 1_000_000)
    return max(formula, math.ceil(per_second * billed * 1_000_000))


def usd(micro: int) -> str:
    return f"{Decimal(micro) / 1_000_000:.6f}"


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(
        redis_url,
        sandbox_url,
        models=("*",),
        resolutions=LIMITS.resolutions,
        bitrate_modes=LIMITS.bitrate_modes,
    )


@pytest.fixture
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Key {factories.FAL_KEY}"}
    async with httpx.AsyncClient(base_url=sandbox_url, headers=headers, timeout=60) as client:
        yield client


async def test_every_model_accepts_its_required_fields(api: httpx.AsyncClient) -> None:
    for model in SERVED:
        answer = await api.post("/v1/generations/estimate", json=bare(model))
        assert answer.status_code == 200, (model.id, answer.text)


async def test_every_model_refuses_one_beyond_each_limit(api: httpx.AsyncClient) -> None:
    """All faults of a body have one pointer, and name the model."""
    different = {}
    for model in SERVED:
        for wrong in wrong_bodies(model):
            answer = await api.post("/v1/generations", json=wrong.body)
            errors = answer.json().get("errors", [])
            named = [fault["detail"].endswith(f" ({model.id})") for fault in errors]
            is_exact = [fault["pointer"] for fault in errors] == [wrong.pointer]
            if answer.status_code != 422 or not is_exact or all(named) == (model is SERVED[0]):
                different[model.id, wrong.title] = (answer.status_code, errors)

    assert different == {}


async def test_every_model_is_quoted_held_submitted_and_settled(
    runtime: Runtime, api: httpx.AsyncClient, clock: Clock, fal: httpx.AsyncClient
) -> None:
    orders = [(model, body) for model in SERVED for body in (smallest(model), largest(model), cheapest(model))]
    created = [await quoted_and_created(api, model, body) for model, body in orders]
    done = await ended(runtime, clock, created)
    schemas = {model.id: await published_schema(fal, model) for model in SERVED}

    assert len(done) == len(orders)
    found = await asyncio.gather(*(sent_and_billed(fal, g) for g in done))
    for (model, body), g, (job, bill) in zip(orders, done, found, strict=True):
        assert (g.status, g.model, job["endpoint"]) == (Status.SUCCEEDED, model.id, model.id), g.id
        sent = job["input"]
        assert sent.pop("end_user_id") == g.end_user
        schemas[model.id].validate(sent)
        assert sent == g.input
        assert {name: sent[name] for name in body if name != "model"} == {
            name: value for name, value in body.items() if name != "model"
        }
        assert g.actual_cost == pytest.approx(bill["cost_estimate_nano_usd"] / 1000, abs=1), model.id
        assert g.actual_cost is not None
        assert 0 < g.actual_cost <= g.estimated_cost == held(model, sent), model.id
        assert g.billable_units == Decimal(str(bill["output_units"]))


async def quoted_and_created(api: httpx.AsyncClient, model: Model, body: dict[str, Any]) -> str:
    """Create a generation whose hold is its quote, and the published price. Return its id."""
    quote = await api.post("/v1/generations/estimate", json=body)
    answer = await api.post("/v1/generations", json=body)
    assert answer.status_code == 202, (model.id, answer.text)
    made = answer.json()
    assert made["cost"]["estimated"] == quote.json()["estimated"] == usd(held(model, made["input"])), model.id
    assert (made["model"], quote.json()["model"]) == (model.id, model.id)
    return str(made["id"])


async def ended(runtime: Runtime, clock: Clock, names: list[str]) -> list[Generation]:
    """Submit and poll until all generations have ended. Return them in the same order."""
    patience = Patience()
    async with asyncio.timeout(600):
        while True:
            await process_due(runtime, WorkQueue.DISPATCH)  # as many as have slots
            await process_due(runtime, WorkQueue.POLL)
            clock.advance(timedelta(seconds=20))
            found = [await runtime.stores.generations.load(name) for name in names]
            if all(g is not None and g.is_terminal for g in found):
                return [g for g in found if g is not None]
            await patience.pause()


async def published_schema(fal: httpx.AsyncClient, model: Model) -> jsonschema.Draft4Validator:
    """Return fal's published schema of the input, without fields that it does not name: fal ignores those."""
    answer = await fal.get("/api/openapi/queue/openapi.json", params={"endpoint_id": model.upstream})
    schema = answer.raise_for_status().json()["components"]["schemas"]["Input"]
    return jsonschema.Draft4Validator({**schema, "additionalProperties": False})


async def sent_and_billed(fal: httpx.AsyncClient, g: Generation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the submit that the sandbox received, and its bill."""
    job = await fal.get(f"/_sandbox/requests/{g.request_id}")
    answer = await fal.get("/api/v1/models/billing-events", params={"request_id": g.request_id})
    (event,) = answer.raise_for_status().json()["billing_events"]
    return job.raise_for_status().json(), event
