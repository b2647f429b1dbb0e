"""A POST that is sent again gets the response of the first one if that response was lost, and only then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect

from service.api.http.response_receipt import client_of
from service.config.settings import Settings
from service.domain import ids
from service.domain.request import CreateGeneration
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store import keys
from service.store.generations.creation import Bound, Call, Created, Creation, Unanswered
from service.store.generations.generations import GenerationStore
from service.store.redis.client import Redis
from service.usecases.generations.create import CreateOptions
from service.usecases.generations.resends import LEASE, Submission
from tests.conftest import Connect
from tests.integration.api.fal.conftest import MODEL, PUBLIC, QUEUE, ConnectFal, as_fal, submit, submitted
from tests.support import factories
from tests.support.factories import NOW, Clock, create_body

DIGEST = "d" * 32
WINDOW = timedelta(seconds=120)
RACERS = 24


# --- the store --------------------------------------------------------------------------------------------------------


def call(**changes: Any) -> Call:
    return replace(Call(DIGEST, NOW, NOW + LEASE, WINDOW), **changes)


@pytest.fixture
async def racers(settings: Settings) -> AsyncIterator[list[Redis]]:
    """Return clients with separate connections, as that many processes would have."""
    async with AsyncExitStack() as stack:
        opened = [Redis(settings.redis_url, timeout=settings.redis_timeout) for _ in range(RACERS)]
        yield [await stack.enter_async_context(redis) for redis in opened]


async def raced(racers: list[Redis], tenant_id: str, asked: Call) -> list[Creation]:
    return await asyncio.gather(
        *(
            GenerationStore(redis).create(factories.generation(tenant_id=tenant_id), factories.due(), call=asked)
            for redis in racers
        )
    )


async def test_resend_concurrent_equal_calls_accept_one(racers: list[Redis]) -> None:
    outcomes = await raced(racers, factories.tenant().id, call())
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Created", *["Unanswered"] * (RACERS - 1)]


@pytest.mark.parametrize("how", ["lost", "lapsed"])
async def test_resend_after_lost_response_returns_it_once(racers: list[Redis], how: str) -> None:
    first, tenant_id = factories.generation(), factories.tenant().id
    first = replace(first, tenant_id=tenant_id)
    assert isinstance(await GenerationStore(racers[0]).create(first, factories.due(), call=call()), Created)
    if how == "lost":
        await racers[0].execute("ZADD", keys.undelivered_responses(tenant_id, DIGEST), "XX", 0, first.id)
        asked = call()
    else:
        asked = call(now=NOW + LEASE, answered_by=NOW + 2 * LEASE)
    outcomes = await raced(racers, tenant_id, asked)
    assert [outcome for outcome in outcomes if isinstance(outcome, Bound)] == [Bound(first.id, same=True)]
    assert sum(isinstance(outcome, Unanswered) for outcome in outcomes) == RACERS - 1
    assert await racers[0].execute("ZCARD", keys.generations_of_tenant(tenant_id)) == 1


async def test_resend_waits_once_until_the_last_lease(redis: Redis) -> None:
    first = factories.generation()
    await GenerationStore(redis).create(first, factories.due(), call=call())
    second = factories.generation(tenant_id=first.tenant_id)
    last = call(answered_by=NOW + 2 * LEASE, waits=False)
    assert isinstance(await GenerationStore(redis).create(second, factories.due(), call=last), Created)
    third = factories.generation(tenant_id=first.tenant_id)
    answer = await GenerationStore(redis).create(third, factories.due(), call=call())
    assert answer == Unanswered(ids.milliseconds(NOW + 2 * LEASE))


async def test_resend_mark_expires_with_window(redis: Redis) -> None:
    g = factories.generation()
    await GenerationStore(redis).create(g, factories.due(), call=call())
    left = await redis.execute("PTTL", keys.undelivered_responses(g.tenant_id, DIGEST))
    assert 0 < left <= WINDOW / timedelta(milliseconds=1)


# --- the use case -----------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url=PUBLIC, resend_window=WINDOW)


async def accepted(runtime: Runtime, tenant: Tenant, digest: str = DIGEST) -> Submission:
    return await runtime.generations.resends.create(
        tenant, factories.create_request(), CreateOptions(), digest=digest, require_client=factories.connected
    )


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


async def count(runtime: Runtime, owner: Tenant) -> int:
    return int(await runtime.redis.execute("ZCARD", keys.generations_of_tenant(owner.id)))


async def test_repeat_of_answered_call_is_new_generation(runtime: Runtime, owner: Tenant) -> None:
    made = []
    for _ in range(3):
        submission = await accepted(runtime, owner)
        await submission.receipt.delivered()
        made.append(submission.generation.id)
    assert len(set(made)) == 3
    assert await runtime.redis.execute("EXISTS", keys.undelivered_responses(owner.id, DIGEST)) == 0


async def test_client_that_left_during_its_upload_creates_nothing(
    runtime: Runtime, owner: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have sent the call again before the first one is known: both would be paid."""

    async def uploaded(*_: Any) -> CreateGeneration:
        return factories.create_request()

    async def gone() -> None:
        raise ClientDisconnect

    monkeypatch.setattr(runtime.generations.creator, "upload_inline_files", uploaded)
    inline = factories.create_request(image_url="data:image/png;base64,iVBORw0KGgo=")
    with pytest.raises(ClientDisconnect):
        await runtime.generations.resends.create(owner, inline, CreateOptions(), digest=DIGEST, require_client=gone)
    assert await count(runtime, owner) == 0


@pytest.mark.parametrize("is_gone", [True, False])
async def test_client_of_a_request_is_required(is_gone: bool) -> None:
    async def receive() -> dict[str, Any]:
        if not is_gone:
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    require = client_of(Request({"type": "http"}, receive))
    with pytest.raises(ClientDisconnect) if is_gone else nullcontext():
        await require()


async def test_resend_response_lost_again_is_repeated(runtime: Runtime, owner: Tenant) -> None:
    first = await accepted(runtime, owner)
    for _ in range(3):
        await first.receipt.lost()
        again = await accepted(runtime, owner)
        assert (again.generation.id, again.creation.replayed) == (first.generation.id, True)
    await again.receipt.delivered()
    assert (await accepted(runtime, owner)).generation.id != first.generation.id


async def test_resend_after_process_death_returns_response(runtime: Runtime, owner: Tenant, clock: Clock) -> None:
    first = await accepted(runtime, owner)
    clock.advance(LEASE)
    assert (await accepted(runtime, owner)).generation.id == first.generation.id
    assert await count(runtime, owner) == 1


async def test_resend_during_response_waits_for_its_outcome(runtime: Runtime, owner: Tenant) -> None:
    for become, same in (("delivered", False), ("lost", True)):
        first = await accepted(runtime, owner, digest=become)
        second = asyncio.create_task(accepted(runtime, owner, digest=become))
        done, _ = await asyncio.wait({second}, timeout=0.1)
        assert not done
        await getattr(first.receipt, become)()
        async with asyncio.timeout(30):
            assert ((await second).generation.id == first.generation.id) is same


async def test_resend_during_long_run_is_new_generation(
    runtime: Runtime, owner: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = timedelta(seconds=60)  # waits for a lease are measured in real time
    monkeypatch.setattr("service.usecases.generations.resends.LEASE", long)
    first = await accepted(runtime, owner)
    second = asyncio.create_task(accepted(runtime, owner))
    done, _ = await asyncio.wait({second}, timeout=0.05)
    assert not done
    clock.advance(timedelta(milliseconds=500))
    await first.receipt.prolong()
    async with asyncio.timeout(long.total_seconds()):  # shorter than the longest wait for a lease
        assert (await second).generation.id != first.generation.id


async def test_concurrent_separate_submits_are_all_accepted(runtime: Runtime, owner: Tenant) -> None:
    async def one() -> str:
        submission = await accepted(runtime, owner)
        await submission.receipt.delivered()
        return submission.generation.id

    async with asyncio.timeout(20):
        made = await asyncio.gather(*(one() for _ in range(20)))
    assert len(set(made)) == await count(runtime, owner) == 20


async def test_resend_after_erasure_is_new_generation(runtime: Runtime, owner: Tenant) -> None:
    first = await accepted(runtime, owner)
    await first.receipt.lost()
    await runtime.redis.execute("DEL", keys.generation(first.generation.id))
    assert (await accepted(runtime, owner)).generation.id != first.generation.id


@pytest.mark.parametrize("window", [timedelta(0), timedelta(milliseconds=1)])
async def test_resend_outside_window_is_new_generation(settings: Settings, clock: Clock, window: timedelta) -> None:
    from service.runtime import open_runtime

    async with open_runtime(settings.model_copy(update={"resend_window": window}), clock=clock) as runtime:
        owner = await runtime.tenants.service.create("acme")
        first = await accepted(runtime, owner)
        await first.receipt.lost()
        await until(lambda: runtime.redis.execute("EXISTS", keys.undelivered_responses(owner.id, DIGEST)), 0)
        assert (await accepted(runtime, owner)).generation.id != first.generation.id


# --- over HTTP --------------------------------------------------------------------------------------------------------


async def until(value: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    async with asyncio.timeout(30):
        while True:
            if await value() == wanted:
                return
            await asyncio.sleep(0.002)


async def submit_and_disconnect(
    app: FastAPI,
    client: httpx.AsyncClient,
    *,
    path: str = f"{QUEUE}/{MODEL}",
    how: str = "gone",
    body: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Submit, and disconnect before the response, or break the connection while it is sent."""
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": to_json(create_body(**changes) if body is None else body)}]

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        if how == "gone":
            return {"type": "http.disconnect"}
        return await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if how == "broken":
            raise OSError("broken pipe")
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"authorization", client.headers["authorization"].encode()),
            (b"content-type", b"application/json"),
        ],
        "app": app,
    }
    try:
        await app(scope, receive, send)
    except OSError:
        assert how == "broken"
    assert sent == []


async def ids_of(api: httpx.AsyncClient) -> list[str]:
    return [g["id"] for g in (await api.get("/v1/generations")).json()["data"]]


@pytest.mark.parametrize("how", ["gone", "broken"])
async def test_resend_http_after_lost_response(
    app: FastAPI, fal: httpx.AsyncClient, api: httpx.AsyncClient, how: str
) -> None:
    await submit_and_disconnect(app, fal, how=how)
    (lost,) = await ids_of(api)
    again = await submit(fal)
    assert (again.status_code, again.json()["request_id"], again.headers["x-fal-request-id"]) == (200, lost, lost)
    assert await submitted(fal) != lost
    assert len(await ids_of(api)) == 2


async def test_resend_matches_same_call_of_same_key_only(
    app: FastAPI, fal: httpx.AsyncClient, api: httpx.AsyncClient, connect: Connect, tenant: Tenant
) -> None:
    await submit_and_disconnect(app, fal)
    (lost,) = await ids_of(api)
    other_key = as_fal(await connect(tenant))
    others = [
        await submitted(fal, prompt="another"),
        await submitted(fal, query="?x=1"),
        await submitted(other_key),
        (await fal.post(f"{QUEUE}/{MODEL}", content=to_json(create_body()) + b" ")).json()["request_id"],
    ]
    assert lost not in others
    assert len(set(others)) == 4
    assert await submitted(fal) == lost


async def test_resend_of_other_tenant_is_new_generation(
    app: FastAPI, fal: httpx.AsyncClient, connect_fal: ConnectFal
) -> None:
    await submit_and_disconnect(app, fal)
    other_api = await connect_fal()
    name = await submitted(other_api)
    assert (await fal.get(f"/v1/generations/{name}", headers={"authorization": "Bearer x"})).status_code == 401
    assert (await submit(fal)).json()["request_id"] != name


async def test_resend_through_proxy(app: FastAPI, fal: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await submit_and_disconnect(app, fal)
    headers = {"x-fal-target-url": f"https://queue.fal.run/{MODEL}", "content-type": "application/json"}
    answer = await fal.post("/fal/proxy", content=to_json(create_body()), headers=headers)
    assert [answer.json()["request_id"]] == await ids_of(api)


async def test_resend_with_idempotency_key(app: FastAPI, fal: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await submit_and_disconnect(app, fal)
    (lost,) = await ids_of(api)
    first = await submitted(fal, headers={"idempotency-key": "order-7"})
    assert first != lost
    assert await submitted(fal, headers={"idempotency-key": "order-7"}) == first


async def test_intended_repeats_stay_separate(
    fal: httpx.AsyncClient, api: httpx.AsyncClient, runtime: Runtime, clock: Clock
) -> None:
    made = []
    for _ in range(3):
        made.append(await submitted(fal))
        assert await runtime.redis.execute("KEYS", keys.undelivered_responses("*", "*")) == []
        clock.advance(LEASE)
    assert sorted(made) == sorted(await ids_of(api))


async def test_run_in_progress_is_marked(
    fal: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    """An intended second call is a separate generation, however long the first one has waited."""
    runs = [asyncio.create_task(fal.post(f"/fal/run/{MODEL}", json=create_body()))]
    await until(lambda: count(runtime, tenant), 1)
    clock.advance(2 * LEASE)
    (key,) = await runtime.redis.execute("KEYS", keys.undelivered_responses(tenant.id, "*"))
    fresh = ids.milliseconds(clock() + LEASE)
    await until(lambda: runtime.redis.execute("ZCOUNT", key, fresh, "+inf"), 1)
    runs.append(asyncio.create_task(fal.post(f"/fal/run/{MODEL}", json=create_body())))
    clock.advance(timedelta(milliseconds=500))
    await until(lambda: count(runtime, tenant), 2)
    for run in runs:
        run.cancel()
    await asyncio.wait(runs)


@pytest.mark.parametrize("tail", ["", "/stream"])
async def test_run_disconnect_marks_response_lost(
    app: FastAPI, fal: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, tail: str
) -> None:
    path = f"/fal/run/{MODEL}{tail}"
    await submit_and_disconnect(app, fal, path=path)
    again = asyncio.create_task(fal.post(path, content=to_json(create_body())))
    key = (await runtime.redis.execute("KEYS", keys.undelivered_responses(tenant.id, "*")))[0]
    (name,) = await runtime.redis.execute("ZRANGE", key, 0, -1)
    await runtime.transitions.apply(name.decode(), lambda g: g.canceled(0, clock()))
    answer = await asyncio.wait_for(again, 30)
    assert answer.headers["x-fal-request-id"] == name.decode()
    assert await count(runtime, tenant) == 1


async def test_run_in_stopping_process_returns_429(
    app: FastAPI, fal: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    """429 is the only status after which both official clients repeat a POST."""
    waiting = asyncio.create_task(fal.post(f"/fal/run/{MODEL}", json=create_body()))
    await until(lambda: count(runtime, tenant), 1)
    app.state.runtime.generations.reader.stop_waiting()
    answer = await asyncio.wait_for(waiting, 30)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "stopping" in answer.json()["detail"]
    submission = await runtime.generations.resends.create(
        tenant,
        factories.create_request(priority=1),
        CreateOptions(),
        digest=await digest(runtime, tenant),
        require_client=factories.connected,
    )
    assert submission.creation.replayed


async def digest(runtime: Runtime, tenant: Tenant) -> str:
    """Return the lease of the only recorded call."""
    (key,) = await runtime.redis.execute("KEYS", keys.undelivered_responses(tenant.id, "*"))
    return str(key.decode().rpartition(":")[2])


async def test_resend_of_abandoned_run_finds_generation(
    fal: httpx.AsyncClient, api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    """The client disconnects during the run; the same call then waits for the same video."""
    waiting = asyncio.create_task(fal.post(f"/fal/run/{MODEL}", json=create_body()))
    await until(lambda: count(runtime, tenant), 1)
    waiting.cancel()
    await asyncio.wait({waiting})
    clock.advance(LEASE)
    again = asyncio.create_task(fal.post(f"/fal/run/{MODEL}", json=create_body()))
    (name,) = await ids_of(api)
    done, _ = await asyncio.wait({again}, timeout=0.1)
    assert not done
    await runtime.transitions.apply(name, lambda g: g.canceled(0, clock()))
    answer = await asyncio.wait_for(again, 30)
    assert (answer.status_code, answer.headers["x-fal-request-id"]) == (499, name)
    assert await ids_of(api) == [name]
    assert from_json(answer.content)["error_type"] == "client_cancelled"
