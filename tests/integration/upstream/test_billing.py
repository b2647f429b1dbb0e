"""Reads of fal's billing events: all of them or none, from a server with any response."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.domain.billing import BillingEvent
from service.errors import UpstreamUnavailable
from service.upstream import billing
from service.upstream.billing import FalBilling
from tests.support.factories import NOW

ENDPOINT = "bytedance/seedance-2.0/image-to-video"
KEY = "hush-admin:key"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fal:
    """A platform API that responds as configured and records its requests."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answer: Answer = _answering({"billing_events": []})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.answer(request)


def _answering(body: Any = None, *, status: int = 200, **options: Any) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return (
            web.Response(body=body, status=status, **options)
            if isinstance(body, bytes)
            else (web.json_response(body, status=status, **options))
        )

    return answer


@pytest.fixture
def fal() -> Fal:
    return Fal()


@pytest.fixture
async def client(fal: Fal) -> AsyncIterator[FalBilling]:
    app = web.Application()
    app.router.add_get("/v1/models/billing-events", fal.handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/v1"))
        async with FalBilling(api_url=url, key=KEY, timeout=1.0, patience=3.0) as opened:
            yield opened


async def events(client: FalBilling) -> list[BillingEvent]:
    return await client.events(ENDPOINT, start=NOW - timedelta(hours=1), end=NOW)


async def test_billing_request_parameters(fal: Fal, client: FalBilling) -> None:
    assert await events(client) == []

    (request,) = fal.requests
    assert dict(request.query) == {
        "endpoint_id": ENDPOINT,
        "start": "2026-01-31T08:30:00.000Z",
        "end": "2026-01-31T09:30:00.000Z",
        "limit": "2000",
    }
    assert request.headers["authorization"] == f"Key {KEY}"


AT = "2026-01-31T09:00:00Z"
MOMENT = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("entry", "event"),
    [
        (
            {"request_id": "r-1", "endpoint_id": ENDPOINT, "timestamp": AT, "output_units": 50.22, "new": [1]},
            BillingEvent("r-1", MOMENT, Decimal("50.22")),
        ),
        ({"request_id": "r-1"}, BillingEvent("r-1")),
        ({"request_id": "r-1", "timestamp": "2026-01-31T10:00:00+01:00"}, BillingEvent("r-1", MOMENT)),
        ({"request_id": "r-1", "timestamp": "2026-01-31 09:00:00"}, BillingEvent("r-1", MOMENT)),
        ({"request_id": "r-1", "timestamp": "yesterday", "output_units": "many"}, BillingEvent("r-1")),
        ({"request_id": "r-1", "timestamp": 5, "output_units": True}, BillingEvent("r-1")),
        ({"request_id": "r-1", "timestamp": "0001-01-01T00:00:00+23:00", "output_units": -1}, BillingEvent("r-1")),
        ({"request_id": "r-1", "output_units": "1.5"}, BillingEvent("r-1", None, Decimal("1.5"))),
        ({"request_id": "r-1", "output_units": "9" * 100}, BillingEvent("r-1")),
        ({"request_id": "r-1", "output_units": "NaN"}, BillingEvent("r-1")),
        ({"request_id": "../../x"}, BillingEvent(None)),
        ({"request_id": "r-1\n"}, BillingEvent(None)),
        ({"request_id": "x" * 129}, BillingEvent(None)),
        ({"request_id": 7}, BillingEvent(None)),
        ({}, BillingEvent(None)),
        (None, BillingEvent(None)),
        ("text", BillingEvent(None)),
    ],
    ids=str,
)
async def test_billing_entry_is_parsed(fal: Fal, client: FalBilling, entry: Any, event: BillingEvent) -> None:
    """An unreadable entry still proves that something was billed."""
    fal.answer = _answering({"billing_events": [entry], "has_more": False, "next_cursor": None})

    assert await events(client) == [event]


async def test_billing_entry_of_other_endpoint_is_ignored(fal: Fal, client: FalBilling) -> None:
    fal.answer = _answering({"billing_events": [{"request_id": "r-1", "endpoint_id": "fal-ai/flux"}]})

    assert await events(client) == []


async def test_billing_follows_pages(fal: Fal, client: FalBilling) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("cursor", "0"))
        more = number < 4
        page = [{"request_id": f"r-{number}"}]
        body = {"billing_events": page, "next_cursor": str(number + 1) if more else None, "has_more": more}
        return web.json_response(body)

    fal.answer = answer

    assert [event.request_id for event in await events(client)] == [f"r-{n}" for n in range(5)]
    assert {request.query["start"] for request in fal.requests} == {"2026-01-31T08:30:00.000Z"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"billing_events": null}',
        b'{"billing_events": {}}',
        b'{"items": []}',
        b'{"billing_events": [], "has_more": true}',
        b'{"billing_events": [], "has_more": true, "next_cursor": 5}',
        b'{"billing_events": [], "next_cursor": ""}',
        b'{"billing_events": [], "next_cursor": "same", "has_more": true}',
        b'{"billing_events": [' + b" " * 4_000_001 + b"]}",
    ],
    ids=lambda body: repr(body[:60]),
)
async def test_billing_incomplete_response_is_none(fal: Fal, client: FalBilling, body: bytes) -> None:
    fal.answer = _answering(body, content_type="application/json")

    with pytest.raises(UpstreamUnavailable) as raised:
        await events(client)

    assert "hush" not in raised.value.detail


@pytest.mark.parametrize("status", [204, 301, 400, 401, 403, 404, 429, 500, 503])
async def test_billing_other_status_is_none(fal: Fal, client: FalBilling, status: int) -> None:
    fal.answer = _answering(b'{"billing_events": []}', status=status, headers={"location": "/elsewhere"})

    with pytest.raises(UpstreamUnavailable, match=str(status)):
        await events(client)

    assert len(fal.requests) == 1


async def test_billing_endless_pages_stop_at_limit(
    fal: Fal, client: FalBilling, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("cursor", "0"))
        return web.json_response({"billing_events": [], "next_cursor": str(number + 1), "has_more": True})

    monkeypatch.setattr(billing, "_MOST_PAGES", 5)
    fal.answer = answer

    with pytest.raises(UpstreamUnavailable, match="5 pages"):
        await events(client)

    assert len(fal.requests) == 5


@pytest.mark.parametrize("patience", [0.05, 3.0])
async def test_billing_hanging_server_times_out(fal: Fal, client: FalBilling, patience: float) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    fal.answer = answer
    client._patience = patience
    async with asyncio.timeout(20):
        with pytest.raises(UpstreamUnavailable, match="Timeout"):
            await events(client)


async def test_billing_unavailable_server_is_none() -> None:
    async with FalBilling(api_url="http://127.0.0.1:9/v1", key=KEY, timeout=1.0) as client:
        with pytest.raises(UpstreamUnavailable, match="Connector"):
            await events(client)
