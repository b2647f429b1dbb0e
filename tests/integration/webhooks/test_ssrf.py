"""Forbidden webhook addresses: refused at registration, and again at each attempt, whatever DNS returns by then."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.runtime import Runtime
from tests.support import factories
from tests.support.factories import Clock, create_body
from tests.support.nameserver import NameServer, Stub
from tests.support.webhooks import ENDPOINTS, deliveries, drained, ended, endpoint
from tests.unit.net.test_ssrf import ALLOWED_URLS, REFUSED_URLS

PUBLIC = "93.184.215.14"
TRUSTED = "receivers.internal"


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Return the settings of an operator who allows one name only."""
    schedule = (timedelta(0), timedelta(hours=1), timedelta(hours=1))
    return factories.settings(
        redis_url, webhook_allowed_networks=(), webhook_allowed_hosts=(TRUSTED,), webhook_schedule=schedule
    )


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer([[PUBLIC]]) as running:
        yield running


@pytest.fixture(autouse=True)
def _name_server_of_test(app: FastAPI, runtime: Runtime, names: NameServer) -> None:
    for each in (app.state.runtime, runtime):
        stub = Stub(names)
        each.connections.sender._resolver = each.connections.sender._sessions._resolver = stub


@pytest.fixture
async def inside() -> AsyncIterator[tuple[int, list[Any]]]:
    """Listen on a port of this machine, and record connections."""
    came: list[Any] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("sockname"))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], came


async def test_ssrf_hostile_url_returns_422(api: httpx.AsyncClient) -> None:
    assert len(REFUSED_URLS) >= 60
    for url, _ in REFUSED_URLS:
        for path, body in ((ENDPOINTS, {"url": url}), ("/v1/generations", create_body(webhook_url=url))):
            answer = await api.post(path, json=body)
            assert answer.status_code == 422, url
            (fault,) = answer.json()["errors"]
            assert fault["pointer"] == ("/url" if path == ENDPOINTS else "/webhook_url"), url
    assert (await api.get(ENDPOINTS)).json()["data"] == []
    assert (await api.get("/v1/generations")).json()["data"] == []


async def test_ssrf_valid_url_is_accepted(api: httpx.AsyncClient) -> None:
    for url in ALLOWED_URLS[:15]:
        made = await endpoint(api, url)
        assert made["url"] == url
        await api.delete(f"{ENDPOINTS}/{made['id']}")


@pytest.mark.parametrize(
    "addresses",
    [
        *(["127.0.0.1"], ["10.0.0.7"], ["169.254.169.254"], ["100.64.0.1"], ["0.0.0.0"], ["224.0.0.1"]),  # noqa: S104
        *(["::1"], ["fe80::1"], ["fd00:ec2::254"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::"]),
        *([PUBLIC, "10.0.0.7"], ["10.0.0.7", PUBLIC], [PUBLIC, "::1"]),
    ],
)
async def test_ssrf_name_with_one_forbidden_address_is_refused(
    api: httpx.AsyncClient, names: NameServer, addresses: list[str]
) -> None:
    names.answers[:] = [addresses]
    answer = await api.post(ENDPOINTS, json={"url": "https://receiver.example/"})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == "/url"
    assert not [address for address in addresses if address in answer.text], (
        "the response does not reveal the addresses"
    )


async def test_ssrf_rebinding_after_create_connects_nowhere(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, names: NameServer, inside: tuple[int, list[Any]]
) -> None:
    """Rebinding, by a real name server: the name is public at the check, and this machine at the connect."""
    port, came = inside
    names.answers[:] = [[PUBLIC], ["127.0.0.1"]]
    await endpoint(api, f"https://rebind.example:{port}/")
    await ended(api)
    for attempts in (1, 2, 3):
        await drained(runtime)
        clock.advance(timedelta(hours=2))
        (delivery,) = await deliveries(api)
        assert delivery["attempt_count"] == attempts
        assert delivery["last_attempt"]["error"] == "refused_address"
        assert "127.0.0" not in str(delivery["last_attempt"])
    assert came == []
    assert names.queries >= 2


async def test_ssrf_trusted_name_may_be_internal_and_plain(
    api: httpx.AsyncClient, runtime: Runtime, names: NameServer
) -> None:
    names.answers[:] = [["10.20.30.40"]]
    for url in (f"http://{TRUSTED}/", f"http://a.b.{TRUSTED}:8080/hook", f"https://{TRUSTED}/"):
        await endpoint(api, url)
    for url in (f"http://not{TRUSTED}/", "http://internal/", f"http://{TRUSTED}.example/", "http://10.20.30.40/"):
        assert (await api.post(ENDPOINTS, json={"url": url})).status_code == 422, url


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "::1", "fe80::1", "fd00:ec2::254", "224.0.0.1"])
async def test_ssrf_trusted_name_local_or_metadata_is_refused(
    api: httpx.AsyncClient,
    runtime: Runtime,
    names: NameServer,
    inside: tuple[int, list[Any]],
    address: str,
) -> None:
    port, came = inside
    names.answers[:] = [[address]]
    assert (await api.post(ENDPOINTS, json={"url": f"http://{TRUSTED}:{port}/"})).status_code == 422
    names.answers[:] = [["10.20.30.40"], [address]]
    await endpoint(api, f"http://{TRUSTED}:{port}/")
    await ended(api)
    await drained(runtime)
    (delivery,) = await deliveries(api)
    assert delivery["last_attempt"]["error"] == "refused_address"
    assert came == []


async def test_silent_name_server_does_not_block_endpoint_create(
    api: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.webhooks.sender._LOOK_UP_SECONDS", 0.05)
    with NameServer(silent=".example") as server:
        app.state.runtime.connections.sender._resolver = Stub(server, seconds=0.5)
        await endpoint(api, "https://receiver.example/")
