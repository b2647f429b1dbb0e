"""Images inside the request: uploaded like uploads, and fingerprinted by what the caller sent."""

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.store.redis.client import Redis
from service.upstream.storage import UploadTarget
from service.usecases.generations.byte_limits import ByteLimiter
from tests.support import factories, pictures
from tests.support.factories import create_body

LIMIT = 300_000
MIB = 1024 * 1024


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, max_body_bytes=1024, max_inline_bytes=LIMIT)


@pytest.fixture
def uploads(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the URLs of uploaded images."""
    storage, seen = app.state.runtime.generations.fal_storage, []
    original = storage.put

    async def put(place: UploadTarget, *arguments: Any, **options: Any) -> None:
        await original(place, *arguments, **options)
        seen.append(place.file_url)

    monkeypatch.setattr(storage, "put", put)
    return seen


def uri(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


PNG = uri(pictures.encoded("png"))


async def test_data_uris_are_uploaded_and_replaced_by_urls(api: httpx.AsyncClient, uploads: list[str]) -> None:
    photo = pictures.encoded("jpeg", exif=pictures.exif())

    answer = await api.post("/v1/generations", json=create_body(image_url=uri(photo, "jpeg"), end_image_url=PNG))

    assert answer.status_code == 202, answer.text
    assert [answer.json()["input"][name] for name in ("image_url", "end_image_url")] == uploads
    async with httpx.AsyncClient(trust_env=False) as client:
        stored = (await client.get(uploads[0])).content
    assert pictures.opened(stored).size == (60, 40)
    assert pictures.SECRET.encode() not in stored


async def test_idempotency_replay_uploads_nothing(api: httpx.AsyncClient, uploads: list[str]) -> None:
    body, headers = create_body(image_url=PNG), {"Idempotency-Key": "once"}

    first = await api.post("/v1/generations", json=body, headers=headers)
    again = await api.post("/v1/generations", json=body, headers=headers)
    other = await api.post("/v1/generations", json={**body, "seed": 1}, headers=headers)

    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first.json()["id"], "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert len(uploads) == 1


@pytest.mark.parametrize("name", ["image_url", "end_image_url"])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("data:image/png;base64,AAAA", "image_format"),
        ("data:;base64,AA AA", "image_format"),
        ("data:image/png;base64,AA-_", "image_unreadable"),
        ("data:image/png;base64,A", "image_unreadable"),
        (uri(pictures.png_header(40_000, 40_000)), "image_too_many_pixels"),
        (uri(pictures.encoded("png")[:-20]), "image_truncated"),
        (uri(pictures.encoded("png") + b"PK\x03\x04"), "image_trailing_data"),
        (uri(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "image_format"),
    ],
)
async def test_data_uri_bad_image_returns_422_with_field(
    api: httpx.AsyncClient, redis: Redis, uploads: list[str], name: str, value: str, code: str
) -> None:
    answer = await api.post("/v1/generations", json=create_body(**{name: value}))

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code), problem
    assert [(fault["pointer"], fault["type"]) for fault in problem["errors"]] == [(f"/{name}", code)]
    assert await redis.execute("KEYS", "*generation*") == []
    assert uploads == []


async def test_data_uri_empty_returns_400(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/generations", json=create_body(image_url="data:image/png;base64,"))

    assert answer.status_code == 400


async def test_body_limit_is_larger_for_data_uris_only(api: httpx.AsyncClient) -> None:
    plain = await api.post("/v1/generations", json=create_body(prompt="x" * 1500))
    inline = await api.post("/v1/generations", json=create_body(image_url=PNG, prompt="x" * 1500))
    vast = json.dumps(create_body(image_url=uri(pictures.encoded("png", pictures.noise(300, 300)))))
    beyond = await api.post("/v1/generations", content=vast, headers={"content-type": "application/json"})

    assert (plain.status_code, plain.json()["code"]) == (413, "too_large")
    assert "1024" in plain.json()["detail"]
    assert inline.status_code == 202
    assert len(vast) > LIMIT
    assert (beyond.status_code, beyond.json()["code"]) == (413, "too_large")


async def test_body_of_many_fields_has_small_limit(api: httpx.AsyncClient) -> None:
    """Endless fields would take seconds to parse and to report, while all other calls wait."""
    fields = {**create_body(image_url=PNG), **{f"{number:x}": 0 for number in range(1024)}}

    answer = await api.post("/v1/generations", json=fields)

    assert (answer.status_code, "1024 bytes" in answer.text) == (413, True)


async def test_data_uri_of_refused_create_is_not_uploaded(api: httpx.AsyncClient, uploads: list[str]) -> None:
    answer = await api.post("/v1/generations", json=create_body(image_url=PNG, max_cost_usd="0.01"))

    assert answer.status_code == 402
    assert uploads == []


async def test_estimate_decodes_no_data_uri(api: httpx.AsyncClient, uploads: list[str]) -> None:
    answer = await api.post("/v1/generations/estimate", json=create_body(image_url=PNG))

    assert answer.status_code == 200
    assert uploads == []


@dataclass(frozen=True)
class Hanging:
    """fal's storage, which accepts nothing until it is released."""

    arrived: asyncio.Event
    going_on: asyncio.Event


@pytest.fixture
def hanging(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Hanging:
    storage, state = app.state.runtime.generations.fal_storage, Hanging(asyncio.Event(), asyncio.Event())
    original = storage.put

    async def put(*arguments: Any, **options: Any) -> None:
        state.arrived.set()
        await state.going_on.wait()
        await original(*arguments, **options)

    monkeypatch.setattr(storage, "put", put)
    return state


async def test_data_uri_limit_per_tenant(
    app: FastAPI,
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    hanging: Hanging,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app.state.runtime.generations.images, "_disk", ByteLimiter("disk", total=3 * MIB, tenant=MIB))
    body = create_body(image_url=PNG)
    waiting = [asyncio.create_task(api.post("/v1/generations", json=body))]
    await hanging.arrived.wait()

    refused = await api.post("/v1/generations", json=body)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_bytes")
    waiting.append(asyncio.create_task(other_api.post("/v1/generations", json=body)))
    await asyncio.sleep(0)
    hanging.going_on.set()

    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [202, 202]


@pytest.mark.parametrize("first", ["answered", "gone"])
async def test_data_uri_total_limit_returns_503(
    app: FastAPI, api: httpx.AsyncClient, hanging: Hanging, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """When fal's storage hangs, each request waits with its image on disk, also after its caller has disconnected."""
    monkeypatch.setattr(
        app.state.runtime.generations.images, "_disk", ByteLimiter("disk", total=2 * MIB, tenant=3 * MIB)
    )
    body = create_body(image_url=PNG)
    waiting = [asyncio.create_task(api.post("/v1/generations", json=body)) for _ in range(2)]
    await hanging.arrived.wait()

    refused = await api.post("/v1/generations", json=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    if first == "gone":
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    hanging.going_on.set()

    if first == "answered":
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [202, 202]
    assert (await api.post("/v1/generations", json=body)).status_code == 202
