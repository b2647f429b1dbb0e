"""Submit, status, result and cancel in fal's format, on the gateway's own queue."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic_core import from_json

from service.domain import ids
from service.domain.failure import Failure
from service.domain.generation import Generation, Output, Video
from service.domain.tenant import Scope
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from tests.conftest import Connect, client_of
from tests.integration.api.fal.conftest import (
    HEAD,
    MODEL,
    PUBLIC,
    QUEUE,
    UNKNOWN,
    ConnectFal,
    as_fal,
    request_path,
    submit,
    submitted,
)
from tests.support import factories
from tests.support.factories import Clock, create_body

MOVES: dict[str, Callable[..., Generation]] = {
    "submitting": Generation.submitting,
    "submitted": lambda g, **_: g.submitted("fal-request"),
    "started": Generation.started,
}


async def moved(runtime: Runtime, clock: Clock, request_id: str, *names: str) -> None:
    for name in names:
        assert await runtime.transitions.apply(request_id, partial(MOVES[name], now=clock()))


async def ended(runtime: Runtime, clock: Clock, request_id: str, **how: Any) -> None:
    def end(g: Generation) -> Generation:
        if "failure" in how:
            return g.failed(how["failure"], 0, clock(), units=how.get("units"))
        return g.succeeded(how.get("output", factories.output()), 1_512_000, clock(), units=how.get("units"))

    assert await runtime.transitions.apply(request_id, end)


# --- submit -----------------------------------------------------------------------------------------------------------


async def test_fal_submit(fal: httpx.AsyncClient, api: httpx.AsyncClient, clock: Clock) -> None:
    first = await submit(fal)
    clock.advance(timedelta(seconds=1))
    second = await submit(fal, prompt="another", end_user_id="customer-7")
    body = second.json()
    base = f"{PUBLIC}/fal/queue/{HEAD}/requests/{body['request_id']}"
    assert second.status_code == 200
    assert second.headers["x-fal-request-id"] == body["request_id"]
    assert body == {
        "status": "IN_QUEUE",
        "request_id": body["request_id"],
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
        "logs": None,
        "metrics": {},
        "queue_position": 1,
    }
    seen = (await api.get(f"/v1/generations/{body['request_id']}")).json()
    assert (seen["status"], seen["input"]["prompt"], seen["end_user_id"]) == ("queued", "another", "customer-7")
    assert (await api.get(f"/v1/generations/{first.json()['request_id']}")).json()["end_user_id"] is None


@pytest.mark.parametrize("host", ["evil.example", "evil.example/x?", "127.0.0.1:1"])
async def test_fal_response_ignores_host_header(fal: httpx.AsyncClient, host: str) -> None:
    headers = {"host": host, "x-forwarded-host": host, "forwarded": f"host={host}"}
    answer = await submit(fal, headers=headers)
    assert answer.status_code == 200
    assert host not in answer.text + str(answer.headers)


@pytest.mark.parametrize("path", [f"{QUEUE}/{MODEL}", f"/fal/run/{MODEL}"])
async def test_fal_submit_empty_body_is_an_empty_object(fal: httpx.AsyncClient, path: str) -> None:
    answers = [await fal.post(path), await fal.post(path, json={}), await fal.post(path, content=b"{}")]
    for answer in answers:
        assert answer.status_code == 422
        assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", "prompt"], ["body", "image_url"]]
        assert answer.json()["detail"][0]["type"] == "missing"


@pytest.mark.parametrize(
    ("options", "loc", "kind"),
    [
        ({"prompt": 5}, ["body", "prompt"], "string_type"),
        ({"duration": 16}, ["body", "duration"], "literal_error"),
        ({"query": "?fal_webhook=ftp://x.example/"}, ["query", "fal_webhook"], "url_scheme"),
        ({"query": "?fal_webhook=https://10.0.0.1/hook"}, ["query", "fal_webhook"], "address_refused"),
        (
            {"query": "?fal_webhook=https://a.example/", "webhook_url": "https://b.example/"},
            ["query", "fal_webhook"],
            "value_error",
        ),
        ({"headers": {"idempotency-key": ""}}, ["header", "Idempotency-Key"], "string_length"),
    ],
    ids=str,
)
async def test_fal_submit_invalid_has_fal_error_form(
    fal: httpx.AsyncClient, options: dict[str, Any], loc: list[str], kind: str
) -> None:
    answer = await submit(fal, **options)
    assert answer.status_code == 422, answer.text
    ((found,),) = [answer.json()["detail"]]
    assert (found["loc"], found["type"]) == (loc, kind)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-fal-request-id"]


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"x-fal-request-timeout": "soon"}},
        {"headers": {"x-fal-request-timeout": "0"}},
        {"headers": {"x-fal-request-timeout": "nan"}},
        {"headers": {"x-fal-request-timeout": "-inf"}},
        {"query": "?fal_max_queue_length=x"},
        {"query": "?fal_max_queue_length=-1"},
        {"query": "?fal_max_queue_length=99999999999999"},
    ],
    ids=str,
)
async def test_fal_submit_malformed_number_returns_400(fal: httpx.AsyncClient, options: dict[str, Any]) -> None:
    answer = await submit(fal, **options)
    assert answer.status_code == 400
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        QUEUE,
        f"{QUEUE}/",
        f"{QUEUE}/{HEAD}",
        f"{QUEUE}/{MODEL}x",
        f"{QUEUE}/fal-ai/fal-ai/{MODEL}",
        f"{QUEUE}/x/{MODEL}",
    ],
)
@pytest.mark.parametrize("surface", ["queue", "run"])
async def test_fal_submit_other_model_is_unknown(fal: httpx.AsyncClient, path: str, surface: str) -> None:
    answer = await fal.post(path.replace("queue", surface), json=create_body())
    assert answer.status_code == 404
    assert isinstance(answer.json()["detail"], str)
    assert answer.headers["x-fal-request-id"]


async def test_fal_submit_above_budget_returns_402(connect_fal: ConnectFal) -> None:
    answer = await submit(await connect_fal(monthly_budget=1))
    assert (answer.status_code, answer.json()["error_type"]) == (402, "budget_exceeded")
    assert "budget" in answer.json()["detail"]


async def test_fal_submit_beyond_entitlement_is_refused(connect_fal: ConnectFal) -> None:
    client = await connect_fal(require_end_user=True, resolutions=("480p",))
    answer = await submit(client, resolution="720p")
    assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", "resolution"], ["body", "end_user_id"]]
    assert (await submit(client, resolution="480p", end_user_id="customer-7")).status_code == 200


async def test_fal_submit_above_queue_limit_is_refused(fal: httpx.AsyncClient) -> None:
    await submitted(fal, prompt="first")
    await submitted(fal, query="?fal_max_queue_length=1", prompt="second")
    refused = await submit(fal, query="?fal_max_queue_length=1", prompt="third")
    assert (refused.status_code, refused.json()["error_type"]) == (429, "queue_full")
    assert refused.headers["retry-after"]
    await submitted(fal, query="?fal_max_queue_length=2", prompt="third")


async def test_fal_submit_low_priority_is_after_normal(fal: httpx.AsyncClient) -> None:
    low = await submitted(fal, headers={"x-fal-queue-priority": "low"}, prompt="low")
    normal = await submitted(fal, prompt="normal")
    own = await submitted(fal, prompt="own", priority=9, headers={"x-fal-queue-priority": "low"})
    positions = [
        (await fal.get(f"{request_path(name)}/status")).json()["queue_position"] for name in (own, normal, low)
    ]
    assert positions == [0, 1, 2]


async def test_fal_start_deadline_ends_generation(fal: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    name = await submitted(fal, headers={"x-fal-request-timeout": "30.0"})
    clock.advance(timedelta(seconds=31))
    await runtime.queues.run(WorkQueue.SWEEP)
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()
    answer = await fal.get(request_path(name))
    assert (answer.status_code, answer.json()["error_type"]) == (504, "request_timeout")
    assert answer.headers["x-fal-request-timeout-type"] == "user"


async def test_fal_idempotency_key_is_honoured_without_409(fal: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "order-7"}
    first, again = await submitted(fal, headers=headers), await submitted(fal, headers=headers)
    other = await submit(fal, headers=headers, prompt="another")
    assert first == again
    assert (other.status_code, other.json()["detail"][0]["loc"]) == (422, ["header", "idempotency-key"])
    assert len((await api.get("/v1/generations")).json()["data"]) == 1


# --- status and result ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", [HEAD, MODEL])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_fal_status_url_forms_and_trailing_slash(
    fal: httpx.AsyncClient, runtime: Runtime, clock: Clock, endpoint: str, slash: str
) -> None:
    name = (await fal.post(f"{QUEUE}/{MODEL}{slash}", json=create_body())).json()["request_id"]
    path = request_path(name, endpoint)
    assert (await fal.get(f"{path}/status{slash}")).status_code == 202
    assert (await fal.get(f"{path}{slash}")).status_code == 400
    assert (await fal.get(f"{path}/response{slash}")).status_code == 400
    await moved(runtime, clock, name, "submitting", "submitted", "started")
    assert (await fal.get(f"{path}/status{slash}")).json()["status"] == "IN_PROGRESS"
    await ended(runtime, clock, name)
    assert (await fal.get(f"{path}/status{slash}")).status_code == 200
    assert (await fal.get(f"{path}{slash}")).json() == (await fal.get(f"{path}/response{slash}")).json()
    assert (await fal.put(f"{path}/cancel{slash}")).status_code == 400


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", False),
        ("?logs=0", False),
        ("?logs=false", False),
        ("?logs=1", True),
        ("?logs=true", True),
        ("?logs=True", True),
    ],
)
async def test_fal_status_has_logs_on_request(
    fal: httpx.AsyncClient, runtime: Runtime, clock: Clock, query: str, shown: bool
) -> None:
    name = await submitted(fal)
    await moved(runtime, clock, name, "submitting", "submitted", "started")
    lines = (factories.log_line("step 1"),)
    await runtime.transitions.apply(name, lambda g: g.polled(position=None, logs=lines))
    body = (await fal.get(f"{request_path(name)}/status{query}")).json()
    assert [line["message"] for line in body["logs"] or []] == (["step 1"] if shown else [])
    assert "logs" in body


async def test_fal_result_has_billed_units(fal: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    name = await submitted(fal)
    await moved(runtime, clock, name, "submitting", "submitted", "started")
    await ended(runtime, clock, name, units=Decimal("108.5"))
    answer = await fal.get(request_path(name))
    assert (answer.status_code, answer.json()["seed"]) == (200, 1_234_567)
    assert (answer.headers["x-fal-request-id"], answer.headers["x-fal-billable-units"]) == (name, "108.5")


async def test_fal_result_model_error_is_unchanged(fal: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    name = await submitted(fal)
    await moved(runtime, clock, name, "submitting", "submitted", "started")
    detail = [{"loc": ["body", "generated_video"], "msg": "No.", "type": "content_policy_violation"}]
    failure = Failure("content_policy", "No.", detail=detail, upstream_status=422)
    await ended(runtime, clock, name, failure=failure, units=Decimal(0))
    answer = await fal.get(request_path(name))
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})
    assert (answer.headers["content-type"], answer.headers["x-fal-billable-units"]) == ("application/json", "0")


@pytest.mark.parametrize("kind", ["кириллица", "x\r\nset-cookie: a=b", "a b", "x" * 10_000, ""])
async def test_fal_result_malformed_error_type_is_not_in_header(
    fal: httpx.AsyncClient, runtime: Runtime, clock: Clock, kind: str
) -> None:
    name = await submitted(fal)
    await moved(runtime, clock, name, "submitting", "submitted", "started")
    failure = Failure("upstream_unavailable", "No.", upstream_status=500, upstream_type=kind)
    await ended(runtime, clock, name, failure=failure)
    answer = await fal.get(request_path(name))
    assert (answer.status_code, answer.json()) == (500, {"detail": "No.", "error_type": kind})
    assert "x-fal-error-type" not in answer.headers


async def test_video_redirect_escapes_malformed_url(
    fal: httpx.AsyncClient, api: httpx.AsyncClient, runtime: Runtime, clock: Clock
) -> None:
    name = await submitted(fal)
    await moved(runtime, clock, name, "submitting", "submitted", "started")
    await ended(runtime, clock, name, output=Output(Video("https://v3b.fal.media/ё?a=%2F&b=~\r\nset-cookie: a=b")))
    answer = await api.get(f"/v1/generations/{name}/video")
    assert (answer.status_code, answer.headers["location"]) == (
        307,
        "https://v3b.fal.media/%D1%91?a=%2F&b=~%0D%0Aset-cookie:%20a=b",
    )


async def test_fal_cancel(fal: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    queued, running = await submitted(fal, prompt="a"), await submitted(fal, prompt="b")
    await moved(runtime, clock, running, "submitting", "submitted", "started")
    for name in (queued, running):
        answer = await fal.put(f"{request_path(name)}/cancel")
        assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    again = await fal.put(f"{request_path(queued)}/cancel")
    assert (again.status_code, again.json()) == (400, {"status": "ALREADY_COMPLETED"})
    status, result = await fal.get(f"{request_path(queued)}/status"), await fal.get(request_path(queued))
    assert (status.status_code, status.json()["status"], result.status_code) == (200, "COMPLETED", 499)
    assert (await fal.get(f"{request_path(running)}/status")).json()["status"] == "IN_PROGRESS"


async def test_fal_stream_has_every_status_and_ends(fal: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    name = await submitted(fal)

    async def proceed() -> None:
        await moved(runtime, clock, name, "submitting", "submitted", "started")
        await ended(runtime, clock, name)

    async with asyncio.timeout(20):
        streaming = asyncio.create_task(fal.get(f"{request_path(name)}/status/stream?logs=1"))
        await asyncio.sleep(0)  # the stream sees the last status, whether it starts before or after the changes
        await proceed()
        answer = await streaming
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-fal-request-id"] == name
    events = [from_json(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event]
    assert events[-1]["status"] == "COMPLETED"
    assert all(event["request_id"] == name for event in events)


class TestStreams:
    @pytest.fixture
    def settings(self, redis_url: str) -> Any:
        return factories.settings(redis_url, public_url=PUBLIC, event_streams=1)

    async def test_fal_stream_limit_per_tenant(self, app: FastAPI, fal: httpx.AsyncClient) -> None:
        name, is_open = await submitted(fal), app.state.runtime.generations.streams._limiter._held
        path = f"{request_path(name)}/status/stream"
        async with asyncio.timeout(20):
            first = asyncio.create_task(fal.get(path))
            while True:
                if is_open:
                    break
                await asyncio.sleep(0.002)
            second = await fal.get(path)
            assert (second.status_code, second.json()["error_type"]) == (429, "too_many_streams")
            await fal.put(f"{request_path(name)}/cancel")
            assert '"COMPLETED"' in (await first).text
            assert '"COMPLETED"' in (await fal.get(path)).text


# --- who may ---------------------------------------------------------------------------------------------------------


CALLS = [
    ("POST", f"{QUEUE}/{MODEL}"),
    ("GET", f"{request_path(UNKNOWN)}/status"),
    ("GET", f"{request_path(UNKNOWN)}/status/stream"),
    ("GET", request_path(UNKNOWN)),
    ("GET", f"{request_path(UNKNOWN)}/response"),
    ("PUT", f"{request_path(UNKNOWN)}/cancel"),
    ("POST", f"/fal/run/{MODEL}"),
    ("POST", f"/fal/run/{MODEL}/stream"),
    ("POST", "/fal/proxy"),
    ("POST", "/fal/rest/storage/upload/initiate"),
    ("POST", "/fal/rest/storage/upload/initiate-multipart"),
    ("PUT", "/fal/upload"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("authorization", [None, "Key", "Key nonsense", "Key id:secret", "Basic eDp5", "Bearer x.y.z"])
async def test_fal_401_has_fal_error_form(app: FastAPI, method: str, path: str, authorization: str | None) -> None:
    async with client_of(app) as client:
        headers = {} if authorization is None else {"authorization": authorization}
        answer = await client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-fal-request-id"]


IDS = [
    "x",
    "%2e%2e",
    "%2e%2e%2fadmin",
    "gen_",
    UNKNOWN,
    f"{UNKNOWN}%00",
    f"{UNKNOWN}%2f..",
    "a/b",
    "*",
    "é",
    "9" * 3000,
]


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(
    ("method", "tail"), [("GET", "/status"), ("GET", "/status/stream"), ("GET", ""), ("PUT", "/cancel")]
)
async def test_fal_path_traversal_in_id_returns_404(fal: httpx.AsyncClient, name: str, method: str, tail: str) -> None:
    for endpoint in (HEAD, MODEL):
        url = httpx.URL(f"http://gateway.test{request_path(name, endpoint)}{tail}")
        answer = await fal.request(method, url)
        assert answer.status_code == 404, answer.text
        assert set(answer.json()) <= {"status", "detail", "error_type"}
        assert answer.headers["x-fal-request-id"]


async def test_fal_unknown_request_has_fal_error_form(fal: httpx.AsyncClient) -> None:
    answer = await fal.get(f"{request_path(UNKNOWN)}/status")
    assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})


async def test_fal_request_of_other_tenant_returns_404(fal: httpx.AsyncClient, connect_fal: ConnectFal) -> None:
    name, other_api = await submitted(fal), await connect_fal()
    answers = [
        await other_api.get(f"{request_path(name)}/status"),
        await other_api.get(f"{request_path(name)}/status/stream"),
        await other_api.get(request_path(name)),
        await other_api.put(f"{request_path(name)}/cancel"),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, '{"status":"NOT_FOUND"}')}
    assert (await fal.get(f"{request_path(name)}/status")).json()["status"] == "IN_QUEUE"


async def test_fal_routes_with_request_id_check_tenant(
    app: FastAPI, fal: httpx.AsyncClient, connect_fal: ConnectFal
) -> None:
    """A route with parameters unknown to this test fails here, on purpose."""
    existing, other_api, responses = await submitted(fal), await connect_fal(), set()
    for path, item in app.openapi()["paths"].items():
        if not path.startswith("/fal/") or "{request_id}" not in path:
            continue
        assert set(re.findall(r"{(\w+)}", path)) == {"endpoint", "request_id"}
        for method in item:
            for name in (existing, UNKNOWN, "x"):
                filled = path.replace("{endpoint}", HEAD).replace("{request_id}", name)
                answer = await other_api.request(method, filled)
                responses.add((path, answer.status_code, answer.text))
    assert len(responses) == len({path for path, _, _ in responses}) == 5, "the three responses are equal"
    assert (await fal.get(f"{request_path(existing)}/status")).json()["status"] == "IN_QUEUE"


async def test_fal_route_requires_scope(fal: httpx.AsyncClient, connect: Connect, tenant: Any) -> None:
    name = await submitted(fal)
    reader = as_fal(await connect(tenant, scopes=(Scope.READ,)))
    maker = as_fal(await connect(tenant, scopes=(Scope.GENERATE,)))
    assert (await reader.get(f"{request_path(name)}/status")).status_code == 202
    assert [(await submit(reader)).status_code, (await reader.put(f"{request_path(name)}/cancel")).status_code] == [
        403
    ] * 2
    assert (await maker.get(f"{request_path(name)}/status")).status_code == 403
    assert (await maker.put(f"{request_path(name)}/cancel")).status_code == 202


async def test_fal_rate_limit_counts_submits_only(connect_fal: ConnectFal) -> None:
    client = await connect_fal(requests_per_minute=1, burst=2)
    name = await submitted(client, prompt="first")
    responses = [await client.get(f"{request_path(name)}/status") for _ in range(50)]
    assert {answer.status_code for answer in responses} == {202}
    assert (await submit(client, prompt="second")).status_code == 200
    refused = await submit(client, prompt="third")
    assert (refused.status_code, refused.json()["error_type"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await client.get(f"{request_path(name)}/status")).status_code == 202


async def test_fal_reads_are_limited_per_request(connect_fal: ConnectFal, clock: Clock) -> None:
    client = await connect_fal()
    name, other = await submitted(client, prompt="first"), await submitted(client, prompt="second")
    tails = ("/status", "", "/response", "/status")
    responses = [await client.get(f"{request_path(name)}{tail}") for _ in range(50) for tail in tails]
    passed = [answer for answer in responses if answer.status_code != 429]
    refused = responses[-1]
    assert len(passed) == 180
    assert passed[0].headers["ratelimit-policy"] == refused.headers["ratelimit-policy"] == '"reads";q=1800;w=60'
    assert (passed[0].headers["ratelimit"], refused.headers["ratelimit"]) == ('"reads";r=179;t=1', '"reads";r=0;t=6')
    assert (refused.json()["error_type"], refused.headers["retry-after"]) == ("rate_limited", "1")
    assert (await client.get(f"{request_path(name)}/status/stream")).status_code == 429
    assert (await client.get(f"{request_path(other)}/status")).status_code == 202
    clock.advance(timedelta(seconds=1))
    again = [(await client.get(f"{request_path(name)}/status")).status_code for _ in range(31)]
    assert again == [202] * 30 + [429]


async def test_fal_reads_of_unknown_requests_are_calls(connect_fal: ConnectFal) -> None:
    client = await connect_fal(requests_per_minute=6, burst=3)
    tails = ("/status", "/status/stream", "", "/status", "/status/stream")
    responses = [await client.get(f"{request_path(f'gen_{n:026}')}{tail}") for n, tail in enumerate(tails)]
    assert [answer.status_code for answer in responses] == [404, 404, 404, 429, 429]
    assert {answer.headers["ratelimit-policy"] for answer in responses} == {'"calls";q=6;w=60'}


async def test_fal_status_costs_one_redis_command(fal: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    """The hot route of clients that poll: no limiter of reads asks Redis."""
    name = await submitted(fal)
    await moved(runtime, clock, name, "submitting", "submitted")
    await fal.get(f"{request_path(name)}/status")  # the key is in the cache from now on
    before = await commands(runtime)
    for _ in range(10):
        assert (await fal.get(f"{request_path(name)}/status")).status_code == 202
    assert await commands(runtime) - before < 20


async def commands(runtime: Runtime) -> int:
    text = (await runtime.redis.execute("INFO", "stats")).decode()
    return int(text.split("total_commands_processed:")[1].split()[0])


async def test_fal_ids_are_not_those_of_fal(fal: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    name = await submitted(fal)
    await moved(runtime, clock, name, "submitting", "submitted")
    assert ids.is_id(ids.GENERATION, name)
    assert "fal-request" not in (await fal.get(f"{request_path(name)}/status?logs=1")).text


async def test_fal_unknown_route_and_method_have_fal_error_form(fal: httpx.AsyncClient) -> None:
    missing, wrong = await fal.get("/fal/nothing"), await fal.delete(f"{request_path(UNKNOWN)}/status")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    for answer in (missing, wrong):
        assert isinstance(answer.json()["detail"], str)
        assert answer.headers["x-fal-request-id"]


class TestWithoutPublicUrl:
    @pytest.fixture
    def settings(self, redis_url: str) -> Any:
        return factories.settings(redis_url)

    async def test_fal_routes_off_by_setting(self, fal: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
        answer = await submit(fal)
        assert answer.status_code == 404
        assert "GATEWAY_PUBLIC_URL" in answer.json()["detail"]
        assert (await api.get("/v1/generations")).json()["data"] == []
