"""The log of a gateway: one JSON line per request, and no private data."""

import asyncio
import errno
import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.metrics import metrics_text
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.observability import log
from tests.conftest import client_of
from tests.support import factories, pictures
from tests.support.factories import create_body
from tests.support.redis_users import refusing

JPEG = pictures.encoded("jpeg")
PROMPT = "hush-prompt a cat"
END_USER = "hush-end-user@example.com"
METADATA = {"hush-key": "hush-value"}
WEBHOOK = "http://127.0.0.1:9000/hush-webhook-path"
IMAGE = "https://example.com/hush-image.png?signature=hush-signature"


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(
        redis_url, sandbox_url, log_level="INFO", public_url="http://127.0.0.1:9/hush-public-url"
    )


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.BytesIO]:
    """The log of this process. Request it before ``app``, which opens it."""
    written, usual = io.BytesIO(), log.configure
    monkeypatch.setattr(log, "configure", partial(usual, stream=written))
    yield written
    usual("INFO")


@pytest.fixture
def body() -> dict[str, Any]:
    return create_body(
        prompt=PROMPT, image_url=IMAGE, end_user_id=END_USER, metadata=METADATA, webhook_url=WEBHOOK, duration=4
    )


async def lines(stderr: io.BytesIO) -> list[dict[str, Any]]:
    await asyncio.sleep(0)  # request lines are written in the next iteration of the event loop
    return [json.loads(line) for line in stderr.getvalue().splitlines()]


async def test_access_log_has_one_line_per_request(stderr: io.BytesIO, api: httpx.AsyncClient, tenant: Tenant) -> None:
    stderr.truncate(stderr.seek(0))

    answer = await api.get("/v1/generations", headers={"X-Request-Id": "abc"})

    (line,) = await lines(stderr)
    assert answer.status_code == 200
    assert line["event"] == "request"
    assert (line["request_id"], line["method"], line["route"], line["status"], line["tenant"]) == (
        "abc",
        "GET",
        "/v1/generations",
        200,
        tenant.id,
    )
    assert (line["level"], line["ms"] > 0) == ("info", True)


async def test_log_lines_of_a_request_have_its_id(
    stderr: io.BytesIO, api: httpx.AsyncClient, anonymous: httpx.AsyncClient, tenant: Tenant, body: dict[str, Any]
) -> None:
    stderr.truncate(stderr.seek(0))

    created = await api.post("/v1/generations", json=body, headers={"X-Request-Id": "abc"})
    await api.post(f"/v1/generations/{created.json()['id']}/cancel", headers={"X-Request-Id": "def"})
    await anonymous.get("/v1/generations", headers={"X-Request-Id": "ghi"})

    seen = [
        (line["request_id"], line["event"], line["generation_id"], line["tenant"], line.get("status"))
        for line in await lines(stderr)
    ]
    name = created.json()["id"]
    assert seen == [
        ("abc", "request", name, tenant.id, 202),
        ("def", "generation_transition", name, tenant.id, "canceled"),
        ("def", "request", name, tenant.id, 200),
        ("ghi", "request", None, None, 401),
    ]


async def test_access_log_concurrent_requests_keep_their_context(
    stderr: io.BytesIO, api: httpx.AsyncClient, anonymous: httpx.AsyncClient, tenant: Tenant, body: dict[str, Any]
) -> None:
    stderr.truncate(stderr.seek(0))

    answers = await asyncio.gather(
        *(api.post("/v1/generations", json=body, headers={"X-Request-Id": f"create-{n}"}) for n in range(10)),
        *(anonymous.get("/v1/generations", headers={"X-Request-Id": f"list-{n}"}) for n in range(10)),
    )

    made = [answer.json()["id"] for answer in answers[:10]]
    seen = {
        line["request_id"]: (line["method"], line["status"], line["tenant"], line["generation_id"])
        for line in await lines(stderr)
    }
    assert seen == {
        **{f"create-{n}": ("POST", 202, tenant.id, made[n]) for n in range(10)},
        **{f"list-{n}": ("GET", 401, None, None) for n in range(10)},
    }


async def test_log_write_error_loses_one_line_only(
    stderr: io.BytesIO, anonymous: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr.truncate(stderr.seek(0))
    refusals = [OSError(errno.ENOSPC, "No space left on device")]

    def write(line: bytes) -> int:
        if refusals:
            raise refusals.pop()
        return io.BytesIO.write(stderr, line)

    monkeypatch.setattr(stderr, "write", write, raising=False)

    for name in "abc":
        await anonymous.get("/v1/generations", headers={"X-Request-Id": name})
        await asyncio.sleep(0)

    assert [line["request_id"] for line in await lines(stderr)] == ["b", "c"]


async def test_access_log_batch_is_written_in_whole_lines(
    stderr: io.BytesIO, anonymous: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that share a pipe do not write into each other's lines."""
    stderr.truncate(stderr.seek(0))
    pieces: list[bytes] = []
    monkeypatch.setattr(stderr, "write", pieces.append, raising=False)

    await asyncio.gather(*(anonymous.get("/v1/generations") for _ in range(50)))
    await asyncio.sleep(0)

    assert sum(piece.count(b"\n") for piece in pieces) == 50
    assert len(pieces) < 50
    assert all(piece.endswith(b"\n") and len(piece) <= 4096 for piece in pieces)


async def test_access_log_ignores_context_of_pipelined_request(
    stderr: io.BytesIO, anonymous: httpx.AsyncClient
) -> None:
    """A pipelined request begins within the context of the request before it."""
    stderr.truncate(stderr.seek(0))
    log.bind(trace_id="of another request", generation_id="of another request")

    await anonymous.get("/v1/generations")

    (line,) = await lines(stderr)
    assert (line.get("trace_id"), line["generation_id"]) == (None, None)


async def test_worker_log_names_generation_in_every_line(
    stderr: io.BytesIO, app: FastAPI, api: httpx.AsyncClient, tenant: Tenant, body: dict[str, Any]
) -> None:
    created = [(await api.post("/v1/generations", json=body)).json()["id"] for _ in range(3)]
    stderr.truncate(stderr.seek(0))

    await run_worker_once(app)

    written = await lines(stderr)
    for name in created:
        moves = [
            (line["before"], line["status"])
            for line in written
            if line.get("generation_id") == name and "before" in line
        ]
        assert moves[:2] == [("queued", "submitting"), ("submitting", "submitted")]
    about = [line for line in written if line.get("work_queue")]
    assert {line["event"] for line in about} >= {"generation_transition", "submitted"}
    assert {line["generation_id"] for line in about if "generation_id" in line} == set(created)
    assert all(line["item"] == line["generation_id"] for line in about if "generation_id" in line), "of this generation"
    assert {line["tenant"] for line in about if line["event"] == "submitted"} == {tenant.id}


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("/v1/generations", "Bearer"),
        ("/v1/deliveries/replay", "Bearer"),
        ("/v1/uploads", "Bearer"),
        ("/fal/queue/bytedance/seedance-2.0/image-to-video", "Key"),
        ("/fal/rest/storage/upload/initiate", "Key"),
    ],
)
async def test_access_log_disconnect_in_body_is_400(
    stderr: io.BytesIO, app: FastAPI, api: httpx.AsyncClient, path: str, scheme: str
) -> None:
    stderr.truncate(stderr.seek(0))
    media = "image/png" if path == "/v1/uploads" else "application/json"
    key = f"{scheme} {api.headers['authorization'].split()[1]}"
    headers = {"authorization": key, "content-type": media, "content-length": "100"}
    coming = iter(({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}))

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        assert message.get("status", 400) == 400

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": raw}
    await app(scope, receive, send)

    requests = [line for line in await lines(stderr) if line["event"] != "trail_entry"]
    assert [(line["event"], line["status"]) for line in requests] == [("request", 400)]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz/process"])
async def test_access_log_skips_probes(stderr: io.BytesIO, anonymous: httpx.AsyncClient, path: str) -> None:
    stderr.truncate(stderr.seek(0))

    await anonymous.get(path)

    assert await lines(stderr) == []


async def test_readyz_reason_is_logged_once_and_not_returned(
    stderr: io.BytesIO, anonymous: httpx.AsyncClient, redis_server: EmbeddedRedis
) -> None:
    with refusing(redis_server.url, "info"):
        answers = [await anonymous.get("/readyz") for _ in range(3)]
    answers.append(await anonymous.get("/readyz"))

    assert [answer.status_code for answer in answers] == [503, 503, 503, 200]
    assert not [answer for answer in answers if "NoPermission" in answer.text]
    logged = [line for line in await lines(stderr) if line["event"].startswith("readiness_")]
    assert [line["event"] for line in logged] == ["readiness_failing", "readiness_restored"]
    assert "NoPermission" in logged[0]["checks"]["redis"]


async def test_log_contains_no_private_data(
    stderr: io.BytesIO,
    app: FastAPI,
    api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    tenant: Tenant,
    body: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A generation from create to callback, with refusals, an unhandled error and a dead webhook receiver."""
    key = api.headers["authorization"].split()[1]
    idempotent = {"Idempotency-Key": "hush-idempotency-key"}
    created = (await api.post("/v1/generations", json=body, headers=idempotent)).json()
    await api.post("/v1/generations", json=body, headers=idempotent)
    for wrong in ({**body, "seed": -1}, {**body, "prompt": [PROMPT]}, {**body, "webhook_url": WEBHOOK + " "}, [PROMPT]):
        assert (await api.post("/v1/generations", json=wrong)).status_code == 422
    await api.post("/v1/generations", content=PROMPT.encode(), headers={"content-type": "application/json"})
    await api.get("/v1/generations", params={"end_user_id": END_USER})
    await api.get(f"/v1/generations/{created['id']}/hush-path?token=hush-token")
    async with client_of(app, key[:-1] + "!") as mistyped, client_of(app, "hush-other-key") as wrong_key:
        await mistyped.get("/v1/generations")
        await wrong_key.get("/v1/generations")
    uploaded = await api.post("/v1/uploads", content=JPEG, headers={"content-type": "image/jpeg"})
    new_key = (await operator.post(f"/admin/v1/tenants/{tenant.id}/keys", json={})).json()["key"]
    await run_worker_once(app)
    with monkeypatch.context() as patch:
        patch.setattr("service.domain.models.forms.parse_create", _broken)
        async with client_of(app, key, raises=False) as client:
            assert (await client.post("/v1/generations", json=body)).status_code == 500

    stored = await app.state.runtime.tenants.service.get(tenant.id)
    generation = await app.state.runtime.stores.generations.load(created["id"])
    shown = await call_back(app, f"/callbacks/fal/{generation.id}/{generation.callback_token}", monkeypatch)
    written = stderr.getvalue().decode()
    assert uploaded.status_code == 201
    assert "hush" not in written
    for secret in (
        key,
        key.split("_")[2],
        new_key,
        stored.webhook_secret,
        stored.pseudonym_key,
        generation.callback_token,
        factories.ADMIN_TOKEN,
        factories.SECRET_KEY,
        factories.FAL_KEY,
        factories.FAL_KEY.split(":")[1],
        uploaded.json()["url"],
    ):
        assert secret not in written
    assert generation.callback_token not in shown
    events = {line["event"] for line in await lines(stderr)}
    assert {"request", "generation_transition", "submitted", "unhandled error"} <= events, "all of it was logged"


async def test_unhandled_error_log_has_no_end_user(
    stderr: io.BytesIO, app: FastAPI, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.runtime.tenants.end_users, "get", _broken)

    async with client_of(app, api.headers["authorization"].split()[1], raises=False) as client:
        assert (await client.get(f"/v1/end-users/{END_USER}")).status_code == 500

    (line,) = (line for line in await lines(stderr) if line["event"] == "unhandled error")
    assert line["route"] == "/v1/end-users/{end_user_id:path}"
    assert "hush" not in stderr.getvalue().decode()


async def run_worker_once(app: FastAPI) -> None:
    """Submit and poll once, as a worker does, in this process."""
    runtime = app.state.runtime
    for work_queue in (WorkQueue.DISPATCH, WorkQueue.POLL):
        await runtime.queues.run(work_queue)
        async with asyncio.timeout(10):
            while runtime.queues.consumers[work_queue].busy:
                await asyncio.wait(set(runtime.queues.consumers[work_queue]._running))


async def call_back(app: FastAPI, path: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Send callbacks with every kind of error, and return all responses and metrics."""
    async with client_of(app, raises=False) as fal:
        answers = [
            await fal.post(path, content=b"{}"),
            await fal.get(path),
            await fal.post(f"{path}/more"),
            await fal.post(path, content=b"x" * 70_000),
        ]
        with monkeypatch.context() as patch:
            patch.setattr(app.state.runtime.connections.verifier, "verify", _broken)
            answers.append(await fal.post(path, content=b"{}"))
    assert [answer.status_code for answer in answers] == [401, 405, 404, 413, 500]
    metrics = (await metrics_text(app.state.runtime)).decode()
    return metrics + "".join(answer.text + str(answer.headers) for answer in answers)


def _broken(*_: object) -> None:
    raise RuntimeError("unexpected")
