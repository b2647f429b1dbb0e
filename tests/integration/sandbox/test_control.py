"""The oracle, the faults of all jobs, and the reset."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.integration.sandbox.driver import APP, ENDPOINT, QUICK, Fal
from tests.integration.sandbox.receiver import Receiver
from tests.integration.sandbox.signatures import Verifier
from tests.support.waiting import until

FAULTS = "/_sandbox/faults"


@pytest.fixture(autouse=True)
async def no_faults_left(http: httpx.AsyncClient) -> AsyncIterator[None]:
    yield
    await http.delete(FAULTS)


async def set_faults(fal: Fal, **faults: Any) -> None:
    (await fal.http.post(FAULTS, json=faults)).raise_for_status()


async def test_oracle_lists_every_accepted_submit(fal: Fal, receiver: Receiver) -> None:
    prompt = 'sandbox:no-video sandbox:seconds=1 "quoted" \u00fc'
    request_id = await fal.submit(prompt, end_user_id="u-1", webhook=receiver.url)
    (early,) = await fal.records(prompt)
    await fal.finish(request_id)
    (late,) = await fal.records(prompt)
    expected = {
        "request_id": request_id,
        "endpoint": "bytedance/seedance-2.0/image-to-video",
        "prompt": prompt,
        "end_user_id": "u-1",
        "webhook_url": receiver.url,
        "created_at": pytest.approx(time.time(), abs=60),
    }
    assert early == {**expected, "status": early["status"], "billable_units": None}
    assert late == {**expected, "status": "COMPLETED", "billable_units": 108.9}
    assert (await fal.record(request_id))["input"]["end_user_id"] == "u-1"


async def test_oracle_count_equals_list_length(fal: Fal) -> None:
    before = (await fal.http.get("/_sandbox/requests/count")).json()["count"]
    await fal.submit()
    assert (await fal.http.get("/_sandbox/requests/count")).json() == {"count": before + 1}
    assert len((await fal.http.get("/_sandbox/requests")).json()) == before + 1


async def test_reset_clears_jobs_refusals_and_faults(narrow: Fal, receiver: Receiver) -> None:
    due = time.monotonic() + 2
    await narrow.outcome("sandbox:no-video sandbox:late-webhook=2", webhook=receiver.url)
    running = await narrow.submit("sandbox:no-video sandbox:seconds=20", webhook=receiver.url)
    refusals = [(await narrow.post("sandbox:429=1")).status_code]
    waiting = asyncio.create_task(narrow.http.get(f"{APP}/requests/{running}/status/stream"))
    await asyncio.sleep(0.05)
    await set_faults(narrow, status={"kind": "500"})
    await narrow.http.post("/_sandbox/reset")
    refusals.append((await narrow.post("sandbox:429=1")).status_code)
    sent = time.monotonic() >= due  # before the reset, on a slow machine
    await asyncio.sleep(max(0.0, due + 0.3 - time.monotonic()))
    assert (await narrow.http.get("/_sandbox/requests")).json() == []
    assert (await narrow.status(running)).status_code == 404
    assert "COMPLETED" not in (await waiting).text
    assert refusals == [429, 429]
    assert sent or receiver.deliveries == []


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        ("429", 429, "concurrent_requests_limit"),
        ("500", 500, "<h1>Internal Server Error</h1>"),
        ("503", 503, "runner_scheduling_failure"),
        ("html-502", 502, "502 Bad Gateway"),
        ("locked", 403, "User is locked. Reason: Exhausted balance."),
        ("unauthorized", 401, "invalid key credentials"),
    ],
)
@pytest.mark.parametrize("operation", ["submit", "status", "result", "cancel"])
async def test_fault_replaces_as_many_responses_as_set(
    fal: Fal, operation: str, kind: str, code: int, text: str
) -> None:
    request_id = await fal.submit("sandbox:stuck-queue")
    await set_faults(fal, **{operation: {"kind": kind, "times": 1}})
    calls = {"submit": fal.post, "status": fal.status, "result": fal.result, "cancel": fal.cancel}
    call: Any = calls.pop(operation)
    arguments = [] if operation == "submit" else [request_id]
    struck = await call(*arguments)
    assert (struck.status_code, text in struck.text) == (code, True)
    assert (await call(*arguments)).status_code != code
    await fal.cancel(request_id)


async def completed(fal: Fal, request_id: str) -> bool:
    return bool((await fal.record(request_id))["status"] == "COMPLETED")


async def test_locked_account_refuses_calls_but_jobs_continue(fal: Fal) -> None:
    request_id = await fal.submit("sandbox:no-video sandbox:seconds=0.1")
    await set_faults(fal, account={"kind": "locked"})
    answers = [
        await fal.post(),
        await fal.status(request_id),
        await fal.result(request_id),
        await fal.cancel(request_id),
        await fal.http.get("/api/v1/models/billing-events"),
        await fal.http.post("/rest/storage/upload/initiate", json={}),
    ]
    assert {answer.status_code for answer in answers} == {403}
    await until(lambda: completed(fal, request_id))
    await fal.http.delete(FAULTS)
    assert (await fal.result(request_id)).status_code == 200


async def test_fault_lost_response_is_executed_but_reset_is_not(fal: Fal) -> None:
    await set_faults(fal, submit={"kind": "lost-answer"})
    with pytest.raises(httpx.RemoteProtocolError):
        await fal.post("sandbox:no-video lost by chaos")
    await set_faults(fal, submit={"kind": "reset"})
    with pytest.raises(httpx.ReadError):
        await fal.post("sandbox:no-video reset by chaos")
    assert len(await fal.records("sandbox:no-video lost by chaos")) == 1
    assert await fal.records("sandbox:no-video reset by chaos") == []


async def test_fault_slow_response_is_delayed(fal: Fal) -> None:
    await set_faults(fal, submit={"kind": "slow", "seconds": 0.3})
    began = time.monotonic()
    await fal.submit()
    assert time.monotonic() - began >= 0.3


async def test_fault_loses_cancel(fal: Fal) -> None:
    request_id = await fal.submit("sandbox:hang")
    await set_faults(fal, cancel={"kind": "lost-answer"})
    with pytest.raises(httpx.RemoteProtocolError):
        await fal.cancel(request_id)
    assert (await fal.finish(request_id)).status_code == 499


async def test_faults_first_match_wins(fal: Fal) -> None:
    await set_faults(fal, submit=[{"kind": "429", "times": 1}, {"kind": "503", "times": 1}])
    assert [(await fal.post()).status_code for _ in range(3)] == [429, 503, 200]


async def test_fault_probability_is_a_share_of_calls(fal: Fal) -> None:
    await set_faults(fal, submit={"kind": "500", "probability": 0.5})
    codes = [(await fal.http.post(ENDPOINT, json={"prompt": QUICK})).status_code for _ in range(100)]
    assert 20 < codes.count(500) < 80


async def test_fault_of_webhooks(fal: Fal, receiver: Receiver) -> None:
    kinds = ["lost", "double", "forged", "null-payload"]
    await set_faults(fal, webhook=[{"kind": kind, "times": 1} for kind in kinds])
    verifier = await Verifier.published(fal.http)
    await fal.outcome(webhook=receiver.url)
    await fal.outcome(webhook=receiver.url)
    await receiver.expect(2)
    await fal.outcome(webhook=receiver.url)
    await receiver.expect(3)
    await fal.outcome(webhook=receiver.url)
    await receiver.expect(4)
    assert [verifier.accepts(delivery) for delivery in receiver.deliveries] == [True, True, False, True]
    assert receiver.deliveries[3].body["payload"] is None


async def test_fault_of_downloads(fal: Fal) -> None:
    url = (await fal.outcome()).json()["video"]["url"]
    await set_faults(fal, media={"kind": "html-502", "times": 1})
    assert [(await fal.http.get(url)).status_code for _ in range(2)] == [502, 200]


@pytest.mark.parametrize(("kind", "encoding"), [("packed", "gzip"), ("huge", None), ("endless", None)])
async def test_fault_flood_follows_executed_request(fal: Fal, kind: str, encoding: str | None) -> None:
    prompt = f"sandbox:no-video {kind} by chaos"
    await set_faults(fal, submit={"kind": kind, "times": 1})
    arrived = 0
    async with fal.http.stream("POST", ENDPOINT, json={"prompt": prompt, "image_url": "https://x.y/z"}) as answer:
        async for chunk in answer.aiter_raw():
            arrived += len(chunk)
            if arrived > 128 * 1024:
                break
    assert (answer.status_code, answer.headers.get("content-encoding")) == (200, encoding)
    assert arrived > 128 * 1024
    assert len(await fal.records(prompt)) == 1


@pytest.mark.parametrize(
    ("operation", "method", "path"),
    [
        ("storage", "POST", "/rest/storage/upload/initiate"),
        ("keys", "GET", "/rest/.well-known/jwks.json"),
        ("billing", "GET", "/api/v1/models/billing-events"),
    ],
)
async def test_fault_of_platform_routes(fal: Fal, operation: str, method: str, path: str) -> None:
    await set_faults(fal, **{operation: {"kind": "html-502", "times": 1}})
    assert [(await fal.http.request(method, path, json={})).status_code for _ in range(2)] == [502, 200]


async def test_faults_are_listed_and_cleared(fal: Fal) -> None:
    await set_faults(fal, submit={"kind": 429, "times": 2})
    set_now = (await fal.http.get(FAULTS)).json()
    cleared = (await fal.http.delete(FAULTS)).json()
    assert set_now["submit"] == [{"kind": "429", "probability": 1.0, "times": 2, "seconds": 5.0}]
    assert cleared["submit"] == []


@pytest.mark.parametrize(
    ("faults", "loc"),
    [
        ({"submitt": {"kind": "429"}}, ["submitt"]),
        ({"submit": {"kind": "418"}}, ["submit", 0, "kind"]),
        ({"submit": {"kind": "429", "probability": 2}}, ["submit", 0, "probability"]),
        ({"submit": {"kind": "429", "often": 2}}, ["submit", 0, "often"]),
        ({"webhook": {"kind": "reset"}}, ["webhook", 0, "kind"]),
    ],
)
async def test_faults_invalid_returns_field(fal: Fal, faults: dict[str, Any], loc: list[Any]) -> None:
    answer = await fal.http.post(FAULTS, json=faults)
    assert answer.status_code == 422
    assert [entry["loc"] for entry in answer.json()["detail"]] == [loc]


async def test_health_and_unknown_paths(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json()["status"] == "ok"
    missing = await http.get("/nowhere")
    assert (missing.status_code, missing.json()) == (404, {"detail": "Not Found"})
    assert (await http.get(f"{APP}/image-to-video")).status_code == 405
