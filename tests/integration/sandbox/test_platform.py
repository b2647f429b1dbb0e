"""Prices, meta and billing events."""

import time
from typing import Any

import httpx

from tests.integration.sandbox.driver import Fal

MODEL = "bytedance/seedance-2.0/image-to-video"


async def events(http: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await http.get("/api/v1/models/billing-events", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_billed_job_has_a_billing_event(fal: Fal) -> None:
    request_id = await fal.submit(duration="4")
    await fal.finish(request_id)
    (event,) = (await events(fal.http, request_id=request_id))["billing_events"]
    assert event["endpoint_id"] == MODEL
    assert event["output_units"] == event["billable_units"] == 87.3
    assert (event["unit_price"], event["cost_total"]) == (0.014, 1.2222)
    assert event["cost_estimate_nano_usd"] == 1_222_200_000


async def test_unbilled_job_has_no_billing_event(fal: Fal) -> None:
    blocked = await fal.submit("sandbox:policy")
    running = await fal.submit("sandbox:hang")
    await fal.finish(blocked)
    assert (await events(fal.http, request_id=f"{blocked},{running}"))["billing_events"] == []
    await fal.cancel(running)


async def test_billing_events_filter_by_time_and_endpoint(fal: Fal) -> None:
    before = time.time()
    request_id = await fal.submit()
    await fal.finish(request_id)
    after = time.time()
    found = await events(fal.http, start=before, end=after, endpoint_id=MODEL)
    assert [event["request_id"] for event in found["items"]] == [request_id]
    assert (await events(fal.http, start=before, endpoint_id="other/app"))["items"] == []
    assert (await events(fal.http, start="2026-01-01", end="2026-01-02T00:00:00Z"))["items"] == []
    assert (await fal.http.get("/api/v1/models/billing-events?start=soon")).status_code == 400


async def test_billing_events_over_pages(fal: Fal) -> None:
    before = time.time()
    submitted = {await fal.submit() for _ in range(3)}
    for request_id in submitted:
        await fal.finish(request_id)
    first = await events(fal.http, start=before, limit=2)
    second = await events(fal.http, start=before, limit=2, cursor=first["next_cursor"])
    assert {event["request_id"] for page in (first, second) for event in page["items"]} == submitted
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)


async def test_price_and_meta(http: httpx.AsyncClient) -> None:
    price = (await http.get("/api/v1/models/pricing", params={"endpoint_id": MODEL})).json()["prices"]
    meta = (await http.get("/api/v1/meta")).json()
    assert price == [{"endpoint_id": MODEL, "unit_price": 0.014, "unit": "1000 tokens", "currency": "USD"}]
    assert "127.0.0.1/32" in meta["webhook_ip_ranges"]
