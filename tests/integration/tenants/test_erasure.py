"""Erasure of an end user: none of its data remains in Redis; the sums of money stay."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.domain.generation import Generation, Output, Video
from service.domain.generation_view import rfc3339
from service.domain.tenant import Limits
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store.redis.client import Redis
from service.usecases.lifecycle.transition_service import Transition
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import Clock, create_body

NAME = "mark-name"
PATH = f"/v1/end-users/{NAME}"
#: A mark in every text of this end user's generations that a caller or fal sends.
BODY = {
    "end_user_id": NAME,
    "prompt": "mark-prompt",
    "image_url": "https://example.com/mark-image.png",
    "end_image_url": "https://example.com/mark-end-image.png",
    "metadata": {"mark-key": "mark-value"},
    "webhook_url": "http://127.9.9.9:9000/mark-webhook",
    "duration": 5,
}
OUTPUT = Output(Video("https://v3b.fal.media/mark-output.mp4", "video/mp4", "mark-file.mp4", 1), seed=7)
FAILURE = factories.failure(message="mark-message", detail=[{"ctx": "mark-detail"}])
LOG = factories.log_line("mark-log")

SUBMITTING: Transition = lambda g: g.submitting(factories.NOW)  # noqa: E731
SUBMITTED: Transition = lambda g: g.submitted("request-1")  # noqa: E731
STARTED: Transition = lambda g: g.polled(position=None, logs=(LOG,)).started(factories.NOW)  # noqa: E731
SUCCEEDED: Transition = lambda g: g.succeeded(OUTPUT, 1_000, factories.NOW)  # noqa: E731
FAILED: Transition = lambda g: g.failed(FAILURE, 0, factories.NOW)  # noqa: E731
AT_FAL = (SUBMITTING, SUBMITTED, STARTED)


async def left(redis: Redis) -> set[str]:
    """Return all texts that begin with ``mark-``, in any name or value of any type."""
    found: set[bytes] = set()
    async for text in _texts(redis):
        found.update(re.findall(rb"mark-[a-z]+", text))
    return {mark.decode() for mark in found}


async def _texts(redis: Redis) -> AsyncIterator[bytes]:
    reads = {
        b"string": ("GET",),
        b"hash": ("HGETALL",),
        b"set": ("SMEMBERS",),
        b"zset": ("ZRANGE", 0, -1),
        b"list": ("LRANGE", 0, -1),
        b"stream": ("XRANGE", "-", "+"),
    }
    for name in await redis.execute("KEYS", "*"):
        command, *rest = reads[await redis.execute("TYPE", name)]
        yield name
        yield repr(await redis.execute(command, name, *rest)).encode()


async def moved(runtime: Runtime, generation_id: str, *verbs: Transition) -> Generation | None:
    g = None
    for verb in verbs:
        g = await runtime.transitions.apply(generation_id, verb)
        assert g is not None
    return g


async def swept(runtime: Runtime) -> None:
    await runtime.queues.run(WorkQueue.SWEEP)
    await runtime.queues.consumers[WorkQueue.SWEEP].idle()


async def create(api: httpx.AsyncClient, **changes: Any) -> str:
    answer = await api.post("/v1/generations", json=create_body(**{**BODY, **changes}))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def test_erasure_leaves_only_sums(api: httpx.AsyncClient, runtime: Runtime, clock: Clock) -> None:
    await api.post("/v1/generations", json=create_body(**BODY), headers={"Idempotency-Key": "mark-order"})
    await moved(runtime, await create(api), *AT_FAL, SUCCEEDED)
    await moved(runtime, await create(api), *AT_FAL, FAILED)
    canceled = await create(api)
    await api.post(f"/v1/generations/{canceled}/cancel")
    other = (await api.post("/v1/generations", json=create_body(end_user_id="another"))).json()["id"]
    assert await left(runtime.redis) == {
        *("mark-name", "mark-prompt", "mark-image", "mark-end", "mark-key", "mark-value", "mark-webhook"),
        *("mark-output", "mark-file", "mark-message", "mark-detail", "mark-log"),
    }
    before = (await api.get("/v1/usage")).json()

    answer = await api.delete(PATH)

    remains = {each["what"]: each["until"] for each in answer.json().pop("remains")}
    assert remains == {
        "fal_files": None,
        "fal_history": rfc3339(clock() + timedelta(days=30)),
        "money": rfc3339(clock() + timedelta(days=400)),
        "logs": None,
        "backups": None,
        "receivers": None,
    }
    assert {**answer.json(), "remains": []} == {
        "object": "erasure",
        "end_user_id": NAME,
        "state": "done",
        "generations": 4,
        "in_flight": 0,
        "remaining": 0,
        "deliveries": 3,
        "videos": 0,
        "remains": [],
        "started_at": rfc3339(clock()),
        "finished_at": rfc3339(clock()),
    }
    assert await left(runtime.redis) == set()
    after = (await api.get("/v1/usage")).json()
    assert after["spent"] == before["spent"] == "0.001000"
    (day,) = [day for day in after["days"] if day["created"]]
    assert (day["created"], day["spent"]) == (5, "0.001000")
    assert day["outcomes"] == {"canceled": 2, "failed:content_policy": 1, "succeeded": 1}
    assert [user["end_user_id"] for user in after["end_users"]] == [None, "another"]
    assert (await api.get(f"/v1/generations/{other}")).status_code == 200
    assert [g["id"] for g in (await api.get("/v1/generations")).json()["data"]] == [other]
    assert (await api.get(PATH)).status_code == 404
    assert (await runtime.operations.audit.run()).clean
    assert {drain: depth.entries for drain, depth in (await runtime.stores.due.depths()).items()} == {
        WorkQueue.DISPATCH: 1,
        WorkQueue.POLL: 0,
        WorkQueue.DELIVER: 0,
        WorkQueue.SWEEP: 1,
    }


@pytest.mark.parametrize("verbs", [AT_FAL[:1], AT_FAL[:2], AT_FAL])
@pytest.mark.parametrize("end", [SUCCEEDED, FAILED])
async def test_erasure_in_flight_strips_then_purges(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, verbs: tuple[Transition, ...], end: Transition
) -> None:
    name = await create(api)
    await moved(runtime, name, *verbs)

    answer = await api.delete(PATH)

    assert (answer.json()["generations"], answer.json()["in_flight"]) == (1, 1)
    assert await left(runtime.redis) == set()
    shown = (await api.get(f"/v1/generations/{name}")).json()
    assert shown["input"] == {"resolution": "720p", "duration": "5"}
    assert shown["cancel_requested_at"] is not None, "fal receives a cancel"
    await moved(runtime, name, *AT_FAL[len(verbs) :], end)
    assert await left(runtime.redis) == set(), "no later response of fal is stored"
    await swept(runtime)
    assert (await api.get(f"/v1/generations/{name}")).status_code == 404
    assert await runtime.redis.execute("KEYS", "*generation*") == []
    assert (await runtime.operations.audit.run()).clean


async def test_erasure_of_unconfirmed_purges_after_deadline(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock
) -> None:
    name = await create(api)
    await moved(runtime, name, lambda g: g.submitting(clock()), lambda g: g.unconfirmed())
    await api.delete(PATH)
    clock.advance(runtime.settings.unconfirmed_deadline)
    await swept(runtime)  # the sweep fails the generation
    clock.advance(timedelta(minutes=2))
    await swept(runtime)
    assert (await api.get(f"/v1/generations/{name}")).status_code == 404
    assert (await runtime.operations.audit.run()).clean


async def test_erasure_deletes_deliveries(runtime: Runtime, connect: Connect, clock: Clock) -> None:
    """Data that outlives its generation could not be found by the erasure of its end user."""
    tenant = await runtime.tenants.service.create("acme", Limits(retention=timedelta(minutes=1)))
    api = await connect(tenant)
    name = await create(api)
    await moved(runtime, name, *AT_FAL, lambda g: g.succeeded(OUTPUT, 1_000, clock()))
    await runtime.queues.run(WorkQueue.DELIVER)  # no receiver listens there
    await runtime.queues.consumers[WorkQueue.DELIVER].idle()
    clock.advance(timedelta(minutes=2))
    await swept(runtime)
    assert "mark-output" in await left(runtime.redis), "a webhook is still pending"
    for _ in range(len(runtime.settings.webhook_schedule)):
        clock.advance(timedelta(hours=13))
        await runtime.queues.run(WorkQueue.DELIVER)
        await runtime.queues.consumers[WorkQueue.DELIVER].idle()
    await swept(runtime)
    assert await left(runtime.redis) == {NAME}
    await api.delete(PATH)
    assert await left(runtime.redis) == set()


async def test_erasure_repeated_or_unknown_changes_nothing(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await create(api)
    answers = [(await api.delete(path)).status_code for path in (PATH, PATH, "/v1/end-users/nobody")]
    assert answers == [200, 404, 404]
    assert (await runtime.operations.audit.run()).clean


async def test_erasure_is_limited_to_tenant(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    await create(api)
    other_id = await create(other_api)
    await api.delete(PATH)
    assert (await other_api.get(f"/v1/generations/{other_id}")).json()["input"]["prompt"] == "mark-prompt"
    assert (await other_api.get(PATH)).status_code == 200
