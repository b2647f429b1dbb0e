"""Every model that can be enabled, from the request of a caller to the bill of the sandbox.

The requests are derived from the data of the models. What fal publishes is written here a second time.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import jsonschema
import pytest

from sandbox.app import create_app
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

S20, S25, S1 = "bytedance/seedance-2.0", "bytedance/seedance-2.5", "fal-ai/bytedance/seedance"


class Published(NamedTuple):
    """What fal publishes of a variant: US dollars per billed unit and per second, by resolution."""

    rates: Mapping[str, str]
    per_second: Mapping[str, str] = MappingProxyType({})
    unit_tokens: int = 1000
    silent_rates: Mapping[str, str] = MappingProxyType({})


#: By the start of the endpoint id. A new variant needs a row.
PUBLISHED: dict[str, Published] = {
    f"{S20}/": Published(
        {"480p": "0.014", "720p": "0.014", "1080p": "0.014", "4k": "0.008"},
        {"720p": "0.3034", "1080p": "0.682", "4k": "1.56"},
    ),
    f"{S20}/fast/": Published({"480p": "0.0112", "720p": "0.0112"}, {"720p": "0.2419"}),
    f"{S20}/mini/": Published({"480p": "0.007", "720p": "0.007"}, {"480p": "0.0721", "720p": "0.1547"}),
    f"{S20}/us/": Published({"480p": "0.0168", "720p": "0.0168"}, {"480p": "0.1731", "720p": "0.37"}),
    f"{S25}/": Published(
        {"480p": "0.0214", "720p": "0.0214", "1080p": "0.0234"},
        {"480p": "0.2205", "720p": "0.4730", "1080p": "1.164"},
    ),
    f"{S25}/us/": Published(
        {"480p": "0.02568", "720p": "0.02568", "1080p": "0.02808"},
        {"480p": "0.2646", "720p": "0.5676", "1080p": "1.396"},
    ),
    f"{S25}/flash/": Published({"480p": "0.014", "720p": "0.014"}, {"480p": "0.1442", "720p": "0.3094"}),
    f"{S1}/v1.5/pro/": Published(
        dict.fromkeys(("480p", "720p", "1080p"), "2.4"),
        unit_tokens=1_000_000,
        silent_rates=dict.fromkeys(("480p", "720p", "1080p"), "1.2"),
    ),
    f"{S1}/v1/pro/": Published(dict.fromkeys(("480p", "720p", "1080p"), "2.5"), unit_tokens=1_000_000),
    f"{S1}/v1/pro/fast/": Published(dict.fromkeys(("480p", "720p", "1080p"), "1.0"), unit_tokens=1_000_000),
}


#: Most seconds of input videos, by the start of the endpoint id, and the factor of the price with one of them.
LONGEST_INPUT = {S20: Fraction(15), S25: Fraction("30.2")}
VIDEO_INPUT_FACTOR = Fraction("0.6")


def held(model: Model, given: dict[str, Any]) -> int:
    """Return the micro-USD that the published prices demand: of the formula with one more frame, or per second."""
    published = PUBLISHED[model.id.rpartition("/")[0] + "/"]
    resolution, duration = given["resolution"], given["duration"]
    seconds = model.longest_seconds if duration == "auto" else int(duration)
    pixels = max(width * height for width, height in SIZES[resolution].values())
    silent = published.silent_rates and given.get("generate_audio") is False
    rate = Fraction((published.silent_rates if silent else published.rates)[resolution])
    per_second = Fraction(published.per_second.get(resolution, "0"))
    billed = Fraction(seconds)
    if given.get("video_urls"):  # of unknown length
        billed += next(longest for start, longest in LONGEST_INPUT.items() if model.id.startswith(start))
        rate, per_second = rate * VIDEO_INPUT_FACTOR, per_second * VIDEO_INPUT_FACTOR
    tokens = pixels * (24 * billed + 1) / 1024
    formula = math.ceil(tokens / published.unit_tokens * rate * 1_000_000)
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


def test_every_variant_has_its_published_prices() -> None:
    assert {model.id.rpartition("/")[0] + "/" for model in SERVED} == set(PUBLISHED)
    for model in SERVED:
        assert set(model.resolutions) == set(PUBLISHED[model.id.rpartition("/")[0] + "/"].rates), model.id


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
    schemas = {model.id: await published_schema(model) for model in SERVED}

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


async def published_schema(model: Model) -> jsonschema.Draft4Validator:
    """Return fal's published schema of the input, without fields that it does not name: fal ignores those."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app()), base_url="http://sandbox") as client:
        answer = await client.get("/api/openapi/queue/openapi.json", params={"endpoint_id": model.upstream})
    schema = answer.raise_for_status().json()["components"]["schemas"]["Input"]
    return jsonschema.Draft4Validator({**schema, "additionalProperties": False})


async def sent_and_billed(fal: httpx.AsyncClient, g: Generation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the submit that the sandbox received, and its bill."""
    job = await fal.get(f"/_sandbox/requests/{g.request_id}")
    answer = await fal.get("/api/v1/models/billing-events", params={"request_id": g.request_id})
    (event,) = answer.raise_for_status().json()["billing_events"]
    return job.raise_for_status().json(), event
