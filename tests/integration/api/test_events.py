"""Event streams of the app: their events, their access, their end, and their cost in Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

from service.api.v1 import events as events_api
from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.errors import StoreUnavailable
from service.runtime import Runtime
from service.store.generations.generations import GenerationStore
from service.usecases.generations import stream
from tests.support import factories
from tests.support.factories import NOW, Clock
from tests.support.sse import Reader

Verb = Callable[[Generation], Generation]
Open = Callable[..., Any]

SUBMITTING: Verb = lambda g: g.submitting(NOW)  # noqa: E731
SUBMITTED: Verb = lambda g: g.submitted("request-1")  # noqa: E731
STARTED: Verb = lambda g: g.started(NOW)  # noqa: E731
SUCCEEDED: Verb = lambda g: g.succeeded(factories.output(), 1_000, NOW)  # noqa: E731
LIFE = (SUBMITTING, SUBMITTED, STARTED, SUCCEEDED)


def logged(*lines: str, position: int | None = None) -> Verb:
    return lambda g: g.polled(position=position, logs=tuple(map(factories.log_line, lines)))


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, event_streams=3)


@pytest.fixture
async def opened(app: FastAPI, api: httpx.AsyncClient) -> AsyncIterator[Open]:
    """``await opened(id)``: a stream with the tenant's key. All are closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def reader(generation_id: str, client: httpx.AsyncClient = api, **headers: str) -> Reader:
            key = client.headers["authorization"].split()[1]
            return await stack.enter_async_context(Reader(app, key, generation_id, **headers))

        yield reader


@pytest.fixture
async def generation_id(api: httpx.AsyncClient) -> str:
    return str((await api.post("/v1/generations", json=factories.create_body(end_user_id="customer-7"))).json()["id"])


@pytest.fixture
def move(runtime: Runtime) -> Callable[..., Any]:
    """Change the status of a generation, as another process does."""

    async def moved(generation_id: str, *verbs: Verb) -> None:
        for verb in verbs:
            assert await runtime.transitions.apply(generation_id, verb) is not None

    return moved


# --- what is told -----------------------------------------------------------------------------------------------------


async def test_stream_has_every_status(opened: Open, api: httpx.AsyncClient, generation_id: str, move: Any) -> None:
    reader = await opened(generation_id, accept="text/event-stream")
    assert reader.status == 200
    assert reader.headers["content-type"] == "text/event-stream"
    assert (reader.headers["cache-control"], reader.headers["x-accel-buffering"]) == ("no-store", "no")
    assert reader.headers["x-request-id"]
    received = await reader.take(1)
    assert received[0].data == (await api.get(f"/v1/generations/{generation_id}")).json()
    steps = (SUBMITTING, SUBMITTED, logged(position=2), logged("one", position=0), STARTED, logged("one", "two"))
    for verb, events in zip(steps, (1, 1, 1, 2, 1, 1), strict=True):
        await move(generation_id, verb)
        received += await reader.take(events)
    await move(generation_id, lambda g: SUCCEEDED(logged("two", "three")(g)))
    received += await reader.rest()
    assert [event.summary for event in received] == [
        ("state", "queued"),
        ("state", "submitting"),
        ("state", "submitted"),
        ("queue", 2),
        ("queue", 0),
        ("log", "one"),
        ("state", "in_progress"),
        ("log", "two"),
        ("log", "three"),
        ("state", "succeeded"),
    ]
    assert received[-1].data == (await api.get(f"/v1/generations/{generation_id}")).json()
    assert len({event.id for event in received}) == len(received)


async def test_stream_resumes_after_any_event(opened: Open, generation_id: str, move: Any) -> None:
    """Resume a running generation, and again after its end; each position has a generation of its own."""
    await move(generation_id, SUBMITTING, SUBMITTED, STARTED, logged("one", "two", "three"))
    first = await opened(generation_id)
    at_work = await first.take(4)
    assert [event.summary for event in at_work] == [
        ("state", "in_progress"),
        *(("log", n) for n in ("one", "two", "three")),
    ]
    await first.leave()
    for cut, event in enumerate(at_work[:-1], start=1):
        reader = await opened(generation_id, last_event_id=event.id)
        assert await reader.take(len(at_work) - cut) == at_work[cut:]
        await reader.leave()
        assert reader.waiting() == 1, "only the end of the stream"
    await move(generation_id, lambda g: SUCCEEDED(logged("four")(g)))
    whole = at_work + await (await opened(generation_id, last_event_id=at_work[-1].id)).rest()
    assert [event.summary for event in whole[4:]] == [("log", "four"), ("state", "succeeded")]
    for cut, event in enumerate(whole[:-1], start=1):
        rest = await (await opened(generation_id, last_event_id=event.id)).rest()
        assert [event.summary for event in rest] == [event.summary for event in whole[cut:]]
    over = await opened(generation_id, last_event_id=whole[-1].id)
    assert over.status == 204
    assert await over.rest() == []


async def test_stream_reports_queue_position_changes(
    monkeypatch: pytest.MonkeyPatch, opened: Open, api: httpx.AsyncClient, clock: Clock, move: Any
) -> None:
    monkeypatch.setattr(stream, "_REREAD_SECONDS", 0.02)
    names = []
    for _ in range(3):
        clock.advance(timedelta(milliseconds=1))
        names.append((await api.post("/v1/generations", json=factories.create_body())).json()["id"])
    reader = await opened(names[2])
    (state,) = await reader.take(1)
    assert state.data["queue"]["position"] == 2
    for name, position in ((names[0], 1), (names[1], 0)):
        await api.post(f"/v1/generations/{name}/cancel")
        (event,) = await reader.take(1)
        assert event.summary == ("queue", position)
    await api.post(f"/v1/generations/{names[2]}/cancel")
    assert [event.summary for event in await reader.rest()] == [("state", "canceled")]


async def test_stream_subscribers_share_one_read_per_change(
    monkeypatch: pytest.MonkeyPatch, opened: Open, generation_id: str, move: Any
) -> None:
    monkeypatch.setattr(stream, "_REREAD_SECONDS", 60)
    readers = [await opened(generation_id) for _ in range(3)]
    for reader in readers:
        await reader.take(1)
    reads, load = [], GenerationStore.load

    async def counted(store: GenerationStore, generation_id: str) -> Generation | None:
        reads.append(asyncio.current_task())
        return await load(store, generation_id)

    monkeypatch.setattr(GenerationStore, "load", counted)
    await move(generation_id, SUBMITTING, SUBMITTED)  # each of these reads once itself
    states = [[await reader.take(1) for _ in range(2)] for reader in readers]
    assert {tuple(event.summary for (event,) in of_one) for of_one in states} == {
        (("state", "submitting"), ("state", "submitted"))
    }
    assert len([task for task in reads if task is not None and task.get_name() == "feed"]) == 2


async def test_stream_lost_notification_is_recovered(
    monkeypatch: pytest.MonkeyPatch, app: FastAPI, opened: Open, generation_id: str, move: Any
) -> None:
    """Publish/subscribe guarantees no delivery."""
    monkeypatch.setattr(stream, "_REREAD_SECONDS", 0.02)
    reader = await opened(generation_id)
    await reader.take(1)
    changes = app.state.runtime.connections.changes
    await changes.__aexit__()
    await move(generation_id, *LIFE)
    assert (await reader.rest())[-1].summary == ("state", "succeeded")


# --- to whom, and how many --------------------------------------------------------------------------------------------


async def test_stream_of_other_tenant_returns_404(
    opened: Open, other_api: httpx.AsyncClient, generation_id: str, move: Any
) -> None:
    """The owner can read the stream at the same time, undisturbed."""
    own = await opened(generation_id)
    await own.take(1)
    assert (await opened(generation_id, other_api)).status == 404
    await move(generation_id, SUBMITTING)
    assert [event.summary for event in await own.take(1)] == [("state", "submitting")]
    assert open_streams() == 1


async def test_stream_limit_per_tenant(
    opened: Open, api: httpx.AsyncClient, other_api: httpx.AsyncClient, generation_id: str
) -> None:
    first, *_ = [await opened(generation_id) for _ in range(3)]
    refused = await api.get(f"/v1/generations/{generation_id}/events")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
        429,
        "too_many_streams",
        "5",
    )
    theirs = (await other_api.post("/v1/generations", json=factories.create_body())).json()["id"]
    assert (await opened(theirs, other_api)).status == 200, "streams of another tenant do not count"
    assert open_streams() == 4
    await first.leave()
    assert (await opened(generation_id)).status == 200, "a closed stream occupies no slot"


async def test_stream_refusal_takes_no_slot(opened: Open, api: httpx.AsyncClient, generation_id: str) -> None:
    for name in ("x", factories.generation().id) * 3:
        assert (await opened(name)).status == 404
    assert open_streams() == 0
    assert (await opened(generation_id)).status == 200


@pytest.mark.parametrize("how", ["revoked", "suspended"])
async def test_stream_of_revoked_key_ends(
    app: FastAPI, opened: Open, api: httpx.AsyncClient, tenant: Tenant, generation_id: str, how: str
) -> None:
    reader = await opened(generation_id)
    await reader.take(1)
    tenants = app.state.runtime.tenants
    if how == "revoked":
        await tenants.api_keys.revoke(tenant.id, api.headers["authorization"].split("_")[1])
    else:
        await tenants.service.suspend(tenant.id)
    assert await reader.rest() == [], "it ends without an event of the generation"
    assert ended("refused") >= 1


async def test_stream_of_erased_generation_has_no_more_events(
    opened: Open, api: httpx.AsyncClient, generation_id: str, move: Any
) -> None:
    await move(generation_id, SUBMITTING, SUBMITTED, STARTED, logged("mark-log"))
    reader = await opened(generation_id)
    before = await reader.take(2)
    assert factories.PROMPT in str(before)
    assert (await api.delete("/v1/end-users/customer-7")).status_code == 200
    await move(generation_id, logged("mark-log", "mark-late"), lambda g: g.canceled(0, NOW))
    late = await opened(generation_id)
    for received in (await reader.rest(), await late.rest()):
        assert [event.summary for event in received] == [("state", "canceled")]
        assert factories.PROMPT not in str(received)
        assert "mark" not in str(received)


async def test_stream_ends_when_queued_generation_is_erased(
    opened: Open, api: httpx.AsyncClient, generation_id: str
) -> None:
    reader = await opened(generation_id)
    await reader.take(1)
    assert (await api.delete("/v1/end-users/customer-7")).status_code == 200
    assert factories.PROMPT not in str(await reader.rest())
    assert (await opened(generation_id)).status == 404


# --- where they end ---------------------------------------------------------------------------------------------------


async def test_stream_disconnect_frees_slot(opened: Open, generation_id: str, app: FastAPI) -> None:
    reader = await opened(generation_id)
    await reader.take(1)
    assert open_streams() == 1
    await reader.leave()
    assert open_streams() == 0
    assert not app.state.runtime.generations.streams._feeds
    assert not app.state.runtime.connections.changes._subscriptions
    assert ended("disconnected") >= 1


async def test_stream_client_that_never_reads_is_dropped(
    monkeypatch: pytest.MonkeyPatch, opened: Open, generation_id: str, move: Any
) -> None:
    monkeypatch.setattr(events_api, "_SEND_SECONDS", 0.05)
    slow, other = await opened(generation_id), await opened(generation_id)
    await slow.take(1)
    await other.take(1)
    slow.reading.clear()
    await move(generation_id, SUBMITTING)
    assert (await other.take(1))[0].summary == ("state", "submitting"), "no stream waits for another one"
    async with asyncio.timeout(30):
        await slow.ended.wait()
    assert open_streams() == 1
    assert ended("slow") >= 1


async def test_stream_ends_when_process_stops(app: FastAPI, opened: Open, generation_id: str) -> None:
    reader = await opened(generation_id)
    (state,) = await reader.take(1)
    app.state.runtime.generations.reader.stop_waiting()
    assert await reader.rest() == []
    assert [event.summary for event in await (await opened(generation_id)).rest()] == [state.summary], (
        "one event, then the end"
    )


class TestShort:
    """With a short limit on the life of a stream, and a shorter heartbeat."""

    @pytest.fixture
    def settings(self, redis_url: str) -> Settings:
        return factories.settings(
            redis_url,
            event_stream_longest=timedelta(seconds=0.3),
            event_heartbeat=timedelta(seconds=0.05),
        )

    async def test_stream_ends_after_its_time_limit(self, opened: Open, generation_id: str, move: Any) -> None:
        reader = await opened(generation_id)
        (state,) = await reader.take(1)
        assert await reader.rest() == []
        assert 2 <= reader.heartbeats <= 6
        await move(generation_id, SUBMITTING)
        again = await opened(generation_id, last_event_id=state.id)
        assert [event.summary for event in await again.rest()] == [("state", "submitting")]


async def test_stream_survives_redis_unavailable(
    monkeypatch: pytest.MonkeyPatch, opened: Open, generation_id: str, move: Any
) -> None:
    monkeypatch.setattr(stream, "_REREAD_SECONDS", 0.02)
    reader = await opened(generation_id)
    await reader.take(1)
    load, failed = GenerationStore.load, asyncio.Event()

    async def unavailable(store: GenerationStore, generation_id: str) -> Generation | None:
        if (task := asyncio.current_task()) is not None and task.get_name() == "feed" and not failed.is_set():
            failed.set()
            raise StoreUnavailable("away")
        return await load(store, generation_id)

    monkeypatch.setattr(GenerationStore, "load", unavailable)
    await asyncio.wait_for(failed.wait(), 30)
    await move(generation_id, SUBMITTING)
    assert [event.summary for event in await reader.take(1)] == [("state", "submitting")]


def open_streams() -> float:
    return REGISTRY.get_sample_value("gateway_event_streams") or 0.0


def ended(reason: str) -> float:
    return REGISTRY.get_sample_value("gateway_event_streams_ended_total", {"reason": reason}) or 0.0
