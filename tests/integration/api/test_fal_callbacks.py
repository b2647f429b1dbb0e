"""``/callbacks/fal``: what is accepted, that all refusals look the same, and that no log contains the path's token."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from sandbox.signing import Signer
from service.api.callbacks import LARGEST_BODY
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.settings import Settings
from service.domain.callback import PATH
from service.domain.generation import Due, Generation
from service.domain.status import Status
from service.domain.work_queue import WorkQueue
from service.observability import metrics
from service.runtime import Runtime
from service.store import keys
from service.store.generations.callbacks import load
from service.store.generations.creation import Created
from tests.conftest import client_of
from tests.support import factories
from tests.support.factories import Clock
from tests.support.key_server import KeyServer, served

SIGNER = Signer.unpublished()


@pytest.fixture
async def key_server() -> AsyncIterator[KeyServer]:
    async with served(KeyServer([SIGNER.jwk])) as server:
        yield server


@pytest.fixture
def settings(redis_url: str, key_server: KeyServer) -> Settings:
    return factories.settings(redis_url, fal_rest_url=key_server.url, max_body_bytes=1024)


@pytest.fixture
async def g(runtime: Runtime) -> Generation:
    """Return a generation that was sent to fal, which has not responded."""
    made = factories.generation(created_at=runtime.clock())
    assert isinstance(await runtime.stores.generations.create(made, factories.due(made.created_at)), Created)
    moved = await runtime.stores.generations.save(made.submitting(made.created_at), Due(sweep=made.created_at))
    return moved.generation


@dataclass
class Caller:
    http: httpx.AsyncClient
    clock: Clock

    async def call(
        self,
        path: str,
        body: bytes | None = None,
        *,
        signer: Signer = SIGNER,
        late: int = 0,
        **headers: str | None,
    ) -> httpx.Response:
        """Sign as fal does, over what is sent. A header given as None is omitted."""
        content = message() if body is None else body
        stamped = int(self.clock().timestamp()) - late
        own = {name.lower(): value for name, value in signer.headers("request-1", stamped, content).items()}
        changes = {name.replace("_", "-"): value for name, value in headers.items()}
        headers_of_call = {name: value for name, value in {**own, **changes}.items() if value is not None}
        return await self.http.post(
            path, content=content, headers={"content-type": "application/json", **headers_of_call}
        )


def message(**fields: Any) -> bytes:
    return json.dumps({"request_id": "request-1", "status": "OK", "payload": {"seed": 42}, **fields}).encode()


def path_of(g: Generation) -> str:
    return f"{PATH}/{g.id}/{g.callback_token}"


@pytest.fixture
async def fal(app: FastAPI, clock: Clock) -> AsyncIterator[Caller]:
    async with client_of(app) as http:
        yield Caller(http, clock)


def counted(outcome: str) -> float:
    return float(metrics.CALLBACKS.labels(outcome)._value.get())


async def test_callback_is_stored_and_poll_is_due(fal: Caller, runtime: Runtime, clock: Clock, g: Generation) -> None:
    answer = await fal.call(path_of(g))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    stored = load(await runtime.redis.execute("HGET", keys.generation(g.id), "c"))
    assert (stored.request_id, stored.status, stored.payload) == ("request-1", 200, {"seed": 42})
    claim = await runtime.stores.due.claim(WorkQueue.POLL, now=clock(), most=5, lease=clock() - clock())
    assert [item.id for item in claim.taken] == [g.id]
    assert await runtime.stores.generations.load(g.id) == g, "only the worker writes the record"


async def test_callback_nudges_workers_once(fal: Caller, app: FastAPI, g: Generation) -> None:
    nudged: list[WorkQueue] = []
    app.state.runtime.connections.nudger.nudge = nudged.append
    await fal.call(path_of(g))
    await fal.call(path_of(g))
    await fal.call(path_of(g), message(payload=None))
    assert nudged == [WorkQueue.POLL]


REFUSED: dict[str, tuple[str, Callable[[Caller, Generation], Any]]] = {
    "another's signature": ("signature", lambda fal, g: fal.call(path_of(g), signer=Signer.unpublished())),
    "a signature of other bytes": (
        "signature",
        lambda fal, g: fal.call(path_of(g), x_fal_webhook_signature="00" * 64),
    ),
    "too old": ("timestamp", lambda fal, g: fal.call(path_of(g), late=301)),
    "from the future": ("timestamp", lambda fal, g: fal.call(path_of(g), late=-301)),
    "no signature": ("malformed", lambda fal, g: fal.call(path_of(g), x_fal_webhook_signature=None)),
    "no timestamp": ("malformed", lambda fal, g: fal.call(path_of(g), x_fal_webhook_timestamp=None)),
    "no request id": ("malformed", lambda fal, g: fal.call(path_of(g), x_fal_webhook_request_id=None)),
    "no user id": ("malformed", lambda fal, g: fal.call(path_of(g), x_fal_webhook_user_id=None)),
    "an unknown generation": ("token", lambda fal, _: fal.call(path_of(factories.generation()))),
    "no generation": ("token", lambda fal, g: fal.call(f"{PATH}/x/{g.callback_token}")),
    "another key of ours": ("token", lambda fal, g: fal.call(f"{PATH}/*/{g.callback_token}")),
    "a wrong token": ("token", lambda fal, g: fal.call(path_of(g)[:-1] + "!")),
    "half a token": ("token", lambda fal, g: fal.call(path_of(g)[:-8])),
    "another's token": ("token", lambda fal, g: fal.call(f"{PATH}/{g.id}/{factories.generation().callback_token}")),
}


async def test_callback_refusals_are_equal_and_counted(fal: Caller, runtime: Runtime, g: Generation) -> None:
    documents = []
    for outcome, call in REFUSED.values():
        before = counted(outcome)
        answer = await call(fal, g)
        assert answer.status_code == 401, answer.text
        assert counted(outcome) == before + 1
        documents.append({name: value for name, value in answer.json().items() if name != "request_id"})
    assert all(document == documents[0] for document in documents)
    assert documents[0]["instance"] == PATH
    assert await runtime.redis.execute("HGET", keys.generation(g.id), "c") is None
    assert await runtime.redis.execute("ZCARD", keys.due(WorkQueue.POLL)) == 0


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
async def test_callback_wrong_token_of_terminal_is_refused(
    fal: Caller, runtime: Runtime, g: Generation, status: Status
) -> None:
    now = g.created_at
    end = {
        Status.SUCCEEDED: lambda: g.submitted("request-1").succeeded(factories.output(), 1, now),
        Status.FAILED: lambda: g.failed(factories.failure(), 0, now),
        Status.CANCELED: lambda: g.requeued().canceled(0, now),
    }[status]()
    assert (await runtime.stores.generations.finish(end, Due(sweep=now), [], now=now)).won
    assert (await fal.call(path_of(g)[:-1] + "!")).status_code == 401
    assert (await fal.call(path_of(g))).status_code == 200
    assert await runtime.redis.execute("HGET", keys.generation(g.id), "c") is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"status":"OK"}', b'{"request_id":7}'])
async def test_callback_without_request_id_returns_400(fal: Caller, g: Generation, body: bytes) -> None:
    before = counted("unreadable")
    answer = await fal.call(path_of(g), body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert counted("unreadable") == before + 1


@pytest.mark.parametrize("fields", [{"payload": None, "payload_error": "lost"}, {"payload": 5}, {"status": "?"}])
async def test_callback_without_payload_has_request_id(
    fal: Caller, runtime: Runtime, g: Generation, fields: dict[str, Any]
) -> None:
    assert (await fal.call(path_of(g), message(**fields))).status_code == 200
    stored = load(await runtime.redis.execute("HGET", keys.generation(g.id), "c"))
    assert (stored.request_id, stored.payload) == ("request-1", None)


async def test_callback_body_limit(fal: Caller, g: Generation) -> None:
    """The limit does not depend on the limit of tenants' bodies."""
    padding = LARGEST_BODY - len(message(padding=""))
    assert (await fal.call(path_of(g), message(padding="x" * padding))).status_code == 200
    assert (await fal.call(path_of(g), message(padding="x" * (padding + 1)))).status_code == 413


async def test_callback_without_fal_keys_returns_503(fal: Caller, key_server: KeyServer, g: Generation) -> None:
    key_server.keys = []
    answer = await fal.call(path_of(g))
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert "retry-after" in answer.headers


async def test_callback_redis_unavailable_returns_503(tmp_path: Any, clock: Clock, key_server: KeyServer) -> None:
    from service.app import create_app

    own = EmbeddedRedis(tmp_path)
    try:
        await asyncio.to_thread(own.start)
        settings = factories.settings(own.url, fal_rest_url=key_server.url, redis_timeout=1.0)
        app = create_app(settings)
        async with app.router.lifespan_context(app), client_of(app) as http:
            await asyncio.to_thread(own.kill)
            answer = await Caller(http, clock).call(path_of(factories.generation()))
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    finally:
        await asyncio.to_thread(own.end)


async def test_callback_a_thousand_concurrently(fal: Caller, runtime: Runtime, g: Generation) -> None:
    """Forged callbacks among authentic ones: the authentic ones are accepted; fal's keys are fetched twice at most."""
    forger = Signer.unpublished()
    answers = await asyncio.gather(*(fal.call(path_of(g), signer=forger if n % 10 else SIGNER) for n in range(1000)))
    assert [answer.status_code for answer in answers] == [401 if n % 10 else 200 for n in range(1000)]
