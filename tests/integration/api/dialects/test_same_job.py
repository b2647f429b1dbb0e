"""One job in every API: created by each, read by all; the same id, the same state, the same cost."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.generation import Generation
from service.runtime import Runtime
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import NOW

HEAD = "bytedance/seedance-2.0"
MODEL = f"{HEAD}/image-to-video"
PROMPT = "a rocket"
IMAGE = "https://v3b.fal.media/files/b/x/rocket.jpg"
UNITS = Decimal("36.144")
COST = 1_512_000
DOLLARS = "1.512000"


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url="https://gateway.example")


class Seen(NamedTuple):
    id: str
    state: str
    cost: str | None
    """As the API has it. fal has no dollars: its units."""


Read = Callable[[httpx.AsyncClient, str], Awaitable[Seen]]


async def by_v1(api: httpx.AsyncClient, job: str) -> Seen:
    found = (await api.get(f"/v1/generations/{job}")).json()
    return Seen(found["id"], found["status"], found["cost"]["actual"])


async def by_fal(api: httpx.AsyncClient, job: str) -> Seen:
    path = f"/fal/queue/{HEAD}/requests/{job}"
    found = (await api.get(f"{path}/status")).json()
    result = await api.get(path)
    state = found["error_type"] if "error_type" in found else found["status"]
    return Seen(found["request_id"], state, result.headers.get("x-fal-billable-units"))


async def by_openai(api: httpx.AsyncClient, job: str) -> Seen:
    found = (await api.get(f"/openai/v1/videos/{job}")).json()
    return Seen(found["id"], found["status"], found["cost"]["actual"])


async def by_openrouter(api: httpx.AsyncClient, job: str) -> Seen:
    found = (await api.get(f"/openrouter/api/v1/videos/{job}")).json()
    cost = f"{found['usage']['cost']:.6f}" if "usage" in found else None
    return Seen(found["id"], found["status"], cost)


async def by_vercel(api: httpx.AsyncClient, job: str) -> Seen:
    found = (await api.post("/vercel/video-model/status", json={"operation": {"id": job}})).json()
    gateway = found["providerMetadata"]["gateway"]
    return Seen(gateway["generationId"], found["status"], gateway["cost"])


READERS: dict[str, Read] = {
    "v1": by_v1,
    "fal": by_fal,
    "openai": by_openai,
    "openrouter": by_openrouter,
    "vercel": by_vercel,
}
#: By the state on ``/v1``: that of each other API.
STATES = {
    "queued": {"fal": "IN_QUEUE", "openai": "queued", "openrouter": "pending", "vercel": "pending"},
    "unconfirmed": {"fal": "IN_PROGRESS", "openai": "in_progress", "openrouter": "in_progress", "vercel": "pending"},
    "in_progress": {"fal": "IN_PROGRESS", "openai": "in_progress", "openrouter": "in_progress", "vercel": "pending"},
    "succeeded": {"fal": "COMPLETED", "openai": "completed", "openrouter": "completed", "vercel": "completed"},
    "failed": {"fal": "content_policy_violation", "openai": "failed", "openrouter": "failed", "vercel": "error"},
    "canceled": {"fal": "client_cancelled", "openai": "failed", "openrouter": "cancelled", "vercel": "cancelled"},
}


async def _id(answer: httpx.Response, *path: str) -> str:
    assert answer.status_code in (200, 202), answer.text
    found = answer.json()
    for name in path:
        found = found[name]
    return str(found)


async def created(api: httpx.AsyncClient, name: str) -> str:
    """Create the same job by one API. Return its id."""
    fields: dict[str, Any] = {"prompt": PROMPT, "image_url": IMAGE, "resolution": "480p", "duration": "4"}
    frame = {"type": "image_url", "image_url": {"url": IMAGE}, "frame_type": "first_frame"}
    match name:
        case "fal":
            return await _id(await api.post(f"/fal/queue/{MODEL}", json=fields), "request_id")
        case "openai":
            body = {"prompt": PROMPT, "model": MODEL, "seconds": "4", "size": "854x480"}
            body["input_reference"] = {"image_url": IMAGE}  # type: ignore[assignment]
            return await _id(await api.post("/openai/v1/videos", json=body), "id")
        case "openrouter":
            body = {"prompt": PROMPT, "model": HEAD, "duration": 4, "resolution": "480p", "frame_images": [frame]}  # type: ignore[dict-item]
            return await _id(await api.post("/openrouter/api/v1/videos", json=body), "id")
        case "vercel":
            call = {"prompt": PROMPT, "image": {"type": "url", "url": IMAGE}, "resolution": "480p", "duration": 4}
            answer = await api.post("/vercel/video-model/start", json=call, headers={"ai-model-id": HEAD})
            return await _id(answer, "operation", "id")
    return await _id(await api.post("/v1/generations", json=fields), "id")


MOVES: dict[str, tuple[Callable[[Generation], Generation], ...]] = {
    "queued": (),
    "unconfirmed": (lambda g: g.submitting(NOW), Generation.unconfirmed),
    "in_progress": (lambda g: g.submitting(NOW), lambda g: g.submitted("request-1"), lambda g: g.started(NOW)),
}
ENDS: dict[str, Callable[[Generation], Generation]] = {
    "succeeded": lambda g: g.succeeded(factories.output(), COST, NOW, units=UNITS),
    "failed": lambda g: g.failed(factories.failure(), COST, NOW, units=UNITS),
    "canceled": lambda g: g.canceled(COST, NOW, units=UNITS),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", READERS)
async def test_same_job_is_read_by_every_api(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, name: str, state: str
) -> None:
    job = await created(api, name)
    moves = MOVES[state] if state in MOVES else (*MOVES["in_progress"], ENDS[state])
    for move in moves:
        assert await runtime.transitions.apply(job, move) is not None

    seen = {other: await read(api, job) for other, read in READERS.items()}
    costs = {"fal": str(UNITS)} if state in ENDS else {}
    usual = DOLLARS if state in ENDS else None
    states = {"v1": state, **STATES[state]}
    assert seen == {other: Seen(job, states[other], costs.get(other, usual)) for other in READERS}


@pytest.mark.parametrize("name", READERS)
async def test_same_job_of_another_tenant_is_read_by_none(api: httpx.AsyncClient, connect: Connect, name: str) -> None:
    job, other = await created(api, name), await connect()
    paths = (
        f"/v1/generations/{job}",
        f"/fal/queue/{HEAD}/requests/{job}/status",
        f"/openai/v1/videos/{job}",
        f"/openrouter/api/v1/videos/{job}",
    )
    answers = [await other.get(path) for path in paths]
    answers.append(await other.post("/vercel/video-model/status", json={"operation": {"id": job}}))

    assert [answer.status_code for answer in answers] == [404] * 5
