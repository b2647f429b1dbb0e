"""A model that no release has: one TOML file adds it to the gateway and to the sandbox."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from sandbox import models_file
from sandbox.endpoints import ENDPOINTS
from sandbox.outcome import Outcome
from service.config.settings import Settings
from service.domain.models.loader import packaged
from service.domain.status import Status
from service.runtime import Runtime
from tests.conftest import PACKAGED_MODELS, running_sandbox
from tests.integration.models.test_requests import ended
from tests.support import factories
from tests.support.factories import Clock
from tests.support.model_requests import PROMPT

INVENTED: Final = "example/seedance-3.0/text-to-video"
FILE: Final = f"""\
family = "seedance-3.0"

[models."{INVENTED}"]
extends = "bytedance/seedance-2.5/text-to-video"
title = "Seedance 3.0, text to video"
aliases = ["seedance-3"]
output = ["video", "seed"]
fields.draft = "-"
fields.duration = {{ seconds = [4, 60] }}
fields.style = {{ type = "choice", values = ["film", "anime"], default = "film", description = "Style of the video." }}
price.rates = {{ 480p = "0.03", 720p = "0.03", 1080p = "0.04" }}
price.per_second = {{ 480p = "0.3", 720p = "0.6", 1080p = "2.0" }}
"""
ORDER: Final[dict[str, Any]] = {
    "prompt": PROMPT,
    "resolution": "480p",
    "duration": 60,
    "aspect_ratio": "16:9",
    "style": "anime",
}
#: Micro-USD of 864 x 496 pixels, 24 * 60 + 1 frames, at 0.03 US dollars per 1,000 tokens. 60 seconds at 0.3 are less.
COST: Final = 18_091_755
LONGEST: Final = 60
PUBLIC: Final = "https://gateway.example"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "models.toml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def sandbox_server(file: Path) -> Iterator[str]:
    """Return a sandbox that has read the file too."""
    yield from running_sandbox(file.parent, file)


@pytest.fixture
def settings(redis_url: str, sandbox_url: str, file: Path) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, models=(INVENTED,), models_file=file, public_url=PUBLIC)


@pytest.fixture
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Key {factories.FAL_KEY}"}
    async with httpx.AsyncClient(base_url=sandbox_url, headers=headers, timeout=60) as client:
        yield client


async def test_added_model_is_listed_with_schema_and_prices(api: httpx.AsyncClient) -> None:
    (_, listed) = (await api.get("/v1/models")).json()["data"]
    read = (await api.get(f"/v1/models/{INVENTED}")).json()

    assert (listed["id"], listed["family"], listed["longest_seconds"]) == (INVENTED, "seedance-3.0", LONGEST)
    assert listed["prices"][0] == {
        "resolution": "480p",
        "unit_usd": "0.03",
        "unit_tokens": 1000,
        "second_usd": "0.3",
        "held_second_usd": "0.304459",  # 428,544 pixels x 97 frames / 1,024,000 x 0.03 / 4 seconds
    }
    assert read["input_schema"]["properties"]["style"]["enum"] == ["film", "anime"]


async def test_added_model_is_quoted_made_and_settled(
    runtime: Runtime, api: httpx.AsyncClient, clock: Clock, fal: httpx.AsyncClient
) -> None:
    quote = (await api.post("/v1/generations/estimate", json={**ORDER, "model": "seedance-3"})).json()
    made = (await api.post("/v1/generations", json={**ORDER, "model": "seedance-3"})).json()
    submitted = await api.post(f"/fal/queue/{INVENTED}", json={**ORDER, "duration": "60s"})
    assert submitted.status_code == 200, submitted.text

    done = await ended(runtime, clock, [made["id"], submitted.json()["request_id"]])

    assert made["model"] == quote["model"] == INVENTED
    assert made["cost"]["estimated"] == quote["estimated"] == f"{COST / 1_000_000:.6f}"
    for g in done:
        assert (g.status, g.actual_cost, g.estimated_cost) == (Status.SUCCEEDED, COST, COST)
        job = (await fal.get(f"/_sandbox/requests/{g.request_id}")).json()
        assert (job["endpoint"], job["input"]["style"], job["input"]["duration"]) == (INVENTED, "anime", "60")
    result = await api.get(f"/fal/queue/example/seedance-3.0/requests/{done[1].id}")
    assert (result.status_code, set(result.json())) == (200, {"video", "seed"})


async def test_added_model_has_faults_of_its_own(api: httpx.AsyncClient, fal: httpx.AsyncClient) -> None:
    wrong = {**ORDER, "model": INVENTED, "duration": LONGEST + 1, "style": "noir", "draft": True}
    refused = await api.post("/v1/generations", json=wrong)

    assert {fault["pointer"] for fault in refused.json()["errors"]} == {"/duration", "/style", "/draft"}
    document = (await fal.get("/api/openapi/queue/openapi.json", params={"endpoint_id": INVENTED})).json()
    assert document["components"]["schemas"]["Input"]["properties"]["style"]["enum"] == ["film", "anime"]


def test_sandbox_reads_files_as_its_own_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of this release give the endpoints that the sandbox has without them."""
    from_files = dict(ENDPOINTS)
    monkeypatch.setattr(models_file, "ENDPOINTS", {})

    read = models_file.read([PACKAGED_MODELS])

    assert set(read) == set(packaged())
    for name, own in from_files.items():
        if packaged()[name].kind == "completion":  # the gateway has its duration, which is the draft's
            continue
        body = {"prompt": "a cat", "image_url": "https://example.com/a.png", "duration": "5", "draft_id": "x"}
        for changes in ({}, {"duration": "auto"}, {"duration": "31"}, {"resolution": "4k"}, {"image_urls": ["x"] * 10}):
            answers = [endpoint.check({**body, **changes}) for endpoint in (own, read[name])]
            assert isinstance(answers[0], Outcome) == isinstance(answers[1], Outcome), (name, changes)
        assert (read[name].price.rates, read[name].price.unit_tokens) == (own.price.rates, own.price.unit_tokens)
