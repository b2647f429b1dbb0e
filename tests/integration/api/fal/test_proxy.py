"""``/fal/proxy``: the single URL of the JavaScript client reaches the gateway's own routes and no other host."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.http import compression
from tests.conftest import client_of
from tests.integration.api.fal.conftest import HEAD, MODEL, UNKNOWN, ConnectFal, as_fal, submitted
from tests.support.factories import create_body

METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]


async def proxied(client: httpx.AsyncClient, method: str, target: str, **options: Any) -> httpx.Response:
    headers = {"x-fal-target-url": target, **options.pop("headers", {})}
    return await client.request(method, "/fal/proxy", headers=headers, **options)


async def test_proxy_every_queue_call(fal: httpx.AsyncClient) -> None:
    made = await proxied(fal, "POST", f"https://queue.fal.run/{MODEL}", json=create_body())
    assert made.status_code == 200, made.text
    request = f"https://queue.fal.run/{HEAD}/requests/{made.json()['request_id']}"
    assert (await proxied(fal, "GET", f"{request}/status?logs=1")).json()["logs"] == []
    assert (await proxied(fal, "GET", request)).status_code == 400
    assert (await proxied(fal, "PUT", f"{request}/cancel")).status_code == 202
    assert (await proxied(fal, "GET", f"{request}/status/")).status_code == 200
    assert (await proxied(fal, "GET", request)).status_code == 499
    stream = await proxied(fal, "GET", f"{request}/status/stream")
    assert '"COMPLETED"' in stream.text


async def test_proxy_compresses_large_json(fal: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "SMALLEST", 1)
    request_id = await submitted(fal)
    request = f"https://queue.fal.run/{HEAD}/requests/{request_id}"
    assert (await proxied(fal, "PUT", f"{request}/cancel")).status_code == 202

    answer = await proxied(fal, "GET", f"{request}/status")

    assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
    assert answer.json()["request_id"] == request_id


async def test_proxy_query_is_of_the_target(fal: httpx.AsyncClient) -> None:
    hook = "https%3A%2F%2F10.0.0.1%2Fhook"
    answer = await proxied(fal, "POST", f"https://queue.fal.run/{MODEL}?fal_webhook={hook}", json=create_body())
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "fal_webhook"])
    answer = await fal.post(
        f"/fal/proxy?fal_webhook={hook}",
        json=create_body(),
        headers={"x-fal-target-url": f"https://queue.fal.run/{MODEL}"},
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("https://evil.example/x", 400),
        (f"http://queue.fal.run/{MODEL}", 400),
        (f"https://user:pw@queue.fal.run/{MODEL}", 400),
        ("https://169.254.169.254/latest/meta-data/", 400),
        ("https://127.0.0.1:6379/", 400),
        ("file:///etc/passwd", 400),
        (f"https://queue.fal.run/{HEAD}/requests/../../../admin/v1/tenants", 400),
        ("https://api.fal.ai/v1/models/pricing", 400),
        ("https://queue.fal.run/fal-ai/flux/dev", 404),
        (f"https://fal.run/{HEAD}/text-to-video", 404),
    ],
)
async def test_proxy_other_target_is_refused(fal: httpx.AsyncClient, method: str, target: str, status: int) -> None:
    answer = await proxied(fal, method, target)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], str)


async def test_proxy_fetches_nothing_from_target(fal: httpx.AsyncClient) -> None:
    """A listener on the target would receive the connection."""
    called = asyncio.Event()
    server = await asyncio.start_server(lambda *_: called.set(), "127.0.0.1", 0)
    async with server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for target in (f"https://{host}/", f"http://{host}/{MODEL}", f"https://queue.fal.run@{host}/{MODEL}"):
            assert (await proxied(fal, "GET", target)).status_code == 400
    assert not called.is_set()


@pytest.mark.parametrize("method", METHODS)
async def test_proxy_without_target_is_refused(fal: httpx.AsyncClient, method: str) -> None:
    answer = await fal.request(method, "/fal/proxy")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")


@pytest.mark.parametrize("target", ["https://evil.example/", f"https://queue.fal.run/{HEAD}/requests/{UNKNOWN}"])
async def test_proxy_without_key_returns_401(app: FastAPI, target: str) -> None:
    async with client_of(app, "sgk_wrong") as client:
        assert (await proxied(as_fal(client), "GET", target)).status_code == 401
    async with client_of(app) as client:
        assert (await proxied(client, "GET", target)).status_code == 401


async def test_proxy_method_not_of_target_returns_405(fal: httpx.AsyncClient) -> None:
    request = f"https://queue.fal.run/{HEAD}/requests/{await submitted(fal)}"
    answer = await proxied(fal, "DELETE", f"{request}/status")
    assert (answer.status_code, isinstance(answer.json()["detail"], str)) == (405, True)


async def test_proxy_call_is_counted_once(connect_fal: ConnectFal) -> None:
    client = await connect_fal(requests_per_minute=60, burst=2)
    target = f"https://queue.fal.run/{MODEL}"
    answers = [await proxied(client, "POST", target, json=create_body(prompt=f"boat {n}")) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
