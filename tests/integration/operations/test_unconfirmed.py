"""An operator's word on a submit of unknown outcome: what it changes, who may say it, and that it is said once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.callback import Callback
from service.domain.generation import Due, Generation
from service.domain.outcomes import Accepted
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.transitions import after_submit
from service.domain.work_queue import WorkQueue
from service.errors import RequestIdTaken
from service.runtime import Runtime
from service.store import keys
from service.store.generations.callbacks import CallbackStore
from service.store.generations.generations import GenerationStore
from service.store.generations.records import dump
from service.store.redis.client import Redis
from tests.conftest import client_of
from tests.support import factories, unconfirmed
from tests.support.factories import NOW, Clock
from tests.support.unconfirmed import finished, given_up_as_lost, oracle, polled_to_the_end, reasons, stored
from tests.support.waiting import process_due

HOOK = "http://127.0.0.1:9000/hook"
NEVER = {"never_happened": True, "reason": "not in fal's dashboard"}


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url)


@pytest.fixture(autouse=True)
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        (await client.post("/_sandbox/reset")).raise_for_status()
        yield client
        (await client.delete("/_sandbox/faults")).raise_for_status()


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    """The gateway's own."""
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
async def lost(runtime: Runtime, tenant: Tenant) -> Generation:
    return await unconfirmed.unconfirmed(runtime, tenant, webhook_url=HOOK, end_user_id="customer-7")


async def resolve(operator: httpx.AsyncClient, generation_id: str, **body: Any) -> httpx.Response:
    return await operator.post(f"/admin/v1/generations/{generation_id}/resolve", json=body)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# --- adopted ----------------------------------------------------------------------------------------------------------


async def test_an_adopted_requests_video_is_delivered(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await finished(sandbox_url)

    answer = await resolve(operator, lost.id, fal_request_id=job["request_id"], reason="  by its prompt ")

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["fal_request_id"]) == ("submitted", job["request_id"])
    assert told["confirmed_at"] is not None
    await process_due(runtime, WorkQueue.POLL)  # at once: time has not moved
    ended = await stored(runtime, lost)
    assert ended.status is Status.SUCCEEDED
    assert len(ended.deliveries) == 1
    assert await reasons(runtime, lost) == ["by its prompt"]
    assert len(await oracle(sandbox_url)) == 1
    assert (await runtime.operations.audit.run()).clean


async def test_long_after_its_submit_it_still_has_its_time_at_fal(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, tenant: Tenant, settings: Settings, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, tenant, "sandbox:lost-answer sandbox:hang")
    (job,) = await oracle(sandbox_url)
    clock.advance(settings.upstream_deadline * 5)
    assert (await resolve(operator, g.id, fal_request_id=job["request_id"], reason="x")).status_code == 200
    for _ in range(10):
        await process_due(runtime, WorkQueue.POLL)
        assert not (await stored(runtime, g)).is_terminal
        clock.advance(settings.upstream_deadline / 10)
    ended = await polled_to_the_end(runtime, clock, g)
    assert ended.error is not None
    assert ended.error.code == "upstream_timeout"


async def test_a_wish_to_cancel_is_carried_out_once_there_is_a_request_to_cancel(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, tenant: Tenant, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, tenant, "sandbox:lost-answer sandbox:hang")
    await runtime.generations.canceller.cancel(tenant, g.id)
    (job,) = await oracle(sandbox_url)
    await resolve(operator, g.id, fal_request_id=job["request_id"], reason="x")
    assert (await polled_to_the_end(runtime, clock, g)).status is Status.CANCELED


async def test_422_a_request_that_fal_does_not_have(
    runtime: Runtime, operator: httpx.AsyncClient, lost: Generation
) -> None:
    for unchecked in (False, True):
        answer = await resolve(
            operator, lost.id, fal_request_id=factories.request_id(), reason="x", unchecked=unchecked
        )
        assert refusal(answer) == (422, "invalid")
        assert answer.json()["errors"][0]["pointer"] == "/fal_request_id"
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED


@pytest.mark.parametrize("kind", ["locked", "unauthorized", "500", "reset", "html-502"])
async def test_503_fal_cannot_be_asked_unless_nobody_wants_to_know(
    runtime: Runtime, operator: httpx.AsyncClient, fal: httpx.AsyncClient, lost: Generation, sandbox_url: str, kind: str
) -> None:
    (job,) = await oracle(sandbox_url)
    await fal.post("/_sandbox/faults", json={"status": {"kind": kind}})

    answer = await resolve(operator, lost.id, fal_request_id=job["request_id"], reason="x")
    assert refusal(answer) == (503, "upstream_unavailable")
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED

    answer = await resolve(operator, lost.id, fal_request_id=job["request_id"], reason="x", unchecked=True)
    assert (answer.status_code, answer.json()["status"]) == (200, "submitted")


async def test_409_a_request_that_is_another_generations(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, lost: Generation
) -> None:
    other = await unconfirmed.created(runtime, tenant, "sandbox:hang")
    await process_due(runtime, WorkQueue.DISPATCH)
    taken = (await stored(runtime, other)).request_id

    assert refusal(await resolve(operator, lost.id, fal_request_id=taken, reason="x")) == (409, "request_id_taken")

    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED
    assert await reasons(runtime, lost) == []


# --- never happened ---------------------------------------------------------------------------------------------------


async def test_what_never_happened_costs_nothing_and_is_told(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, lost: Generation
) -> None:
    before = await runtime.tenants.usage.month(tenant.id)
    assert before.held == lost.estimated_cost

    answer = await resolve(operator, lost.id, **NEVER)

    told = answer.json()
    assert (answer.status_code, told["status"], told["cost"]["actual"]) == (200, "failed", "0.000000")
    assert (told["error"]["code"], told["error"]["retryable"]) == ("submission_unconfirmed", True)
    after = await runtime.tenants.usage.month(tenant.id)
    assert (after.held, after.spent) == (0, 0)
    ended = await stored(runtime, lost)
    assert len(ended.deliveries) == 1
    assert await runtime.redis.execute("ZSCORE", keys.deliveries_of_tenant(tenant.id), ended.deliveries[0]) is not None
    assert await runtime.stores.queue.slots_used() == await runtime.stores.queue.unconfirmed_count() == 0
    assert await reasons(runtime, lost) == [NEVER["reason"]]
    assert (await runtime.operations.audit.run()).clean


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.UNCONFIRMED])
async def test_409_only_what_is_unconfirmed(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, status: Status
) -> None:
    g = factories.in_status(status, tenant_id=tenant.id)
    await runtime.stores.generations.create(factories.generation(id=g.id, tenant_id=tenant.id), factories.due())
    await runtime.redis.execute("HSET", keys.generation(g.id), "d", dump(g), "s", status, "v", g.version)
    for body in (NEVER, {"fal_request_id": "request-2", "reason": "x"}):
        answer = await resolve(operator, g.id, **body)
        assert refusal(answer) == (409, "not_unconfirmed")
        assert g.public_status.value in answer.json()["detail"]
    assert await stored(runtime, g) == g


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reason": "x"}, ""),
        ({"fal_request_id": "r", "never_happened": True, "reason": "x"}, ""),
        ({"never_happened": True, "unchecked": True, "reason": "x"}, ""),
        ({"never_happened": False, "reason": "x"}, "/never_happened"),
        ({"fal_request_id": "", "reason": "x"}, "/fal_request_id"),
        ({"fal_request_id": "../../cancel", "reason": "x"}, "/fal_request_id"),
        ({"fal_request_id": "r\n", "reason": "x"}, "/fal_request_id"),
        ({"fal_request_id": "r" * 129, "reason": "x"}, "/fal_request_id"),
        ({"fal_request_id": "é", "reason": "x"}, "/fal_request_id"),
        ({"fal_request_id": 5, "reason": "x"}, "/fal_request_id"),
        ({"never_happened": True}, "/reason"),
        ({"never_happened": True, "reason": "  "}, "/reason"),
        ({"never_happened": True, "reason": "x" * 501}, "/reason"),
        ({"never_happened": True, "reason": "x", "cost": 0}, "/cost"),
    ],
    ids=str,
)
async def test_422_a_word_that_is_none(
    runtime: Runtime, operator: httpx.AsyncClient, lost: Generation, body: dict[str, Any], pointer: str
) -> None:
    answer = await resolve(operator, lost.id, **body)

    assert refusal(answer) == (422, "invalid")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED


@pytest.mark.parametrize("name", ["x", "gen_" + "0" * 26, "ten_" + "0" * 26, "*", "gen_0%0a"])
async def test_404_what_there_is_not(operator: httpx.AsyncClient, name: str) -> None:
    assert refusal(await operator.get(f"/admin/v1/generations/{name}")) == (404, "not_found")
    for body in (NEVER, {"fal_request_id": "r", "reason": "x"}):
        assert refusal(await resolve(operator, name, **body)) == (404, "not_found")


async def test_401_a_tenants_own_key_resolves_nothing(api: httpx.AsyncClient, lost: Generation) -> None:
    assert (await resolve(api, lost.id, **NEVER)).status_code == 401


# --- races ------------------------------------------------------------------------------------------------------------


async def test_of_operators_at_once_one_wins(
    runtime: Runtime, app: FastAPI, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await oracle(sandbox_url)
    words = [{"fal_request_id": job["request_id"], "reason": f"adopt {n}"} for n in range(4)]
    words += [{"never_happened": True, "reason": f"never {n}"} for n in range(4)]
    async with client_of(app, factories.ADMIN_TOKEN) as operator:
        answers = await asyncio.gather(*(resolve(operator, lost.id, **word) for word in words))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {refusal(a)[1] for a in answers if a.status_code == 409} <= {"not_unconfirmed", "request_id_taken"}
    winner = next(word for word, answer in zip(words, answers, strict=True) if answer.status_code == 200)
    assert await reasons(runtime, lost) == [winner["reason"]]
    assert (await runtime.operations.audit.run()).clean


async def test_a_request_is_adopted_by_one_of_many(redis: Redis) -> None:
    """The check and the claim are one step, whoever asked first."""
    store = GenerationStore(redis)
    lost = []
    for _ in range(12):
        g = factories.generation()
        await store.create(g, factories.due())
        g = (await store.save(g.submitting(NOW), Due(sweep=NOW))).generation
        lost.append((await store.save(g.unconfirmed(), Due(sweep=NOW))).generation)

    moves = [store.save(g.adopted("request-1", NOW), Due(poll=NOW, sweep=NOW), why="x") for g in lost]
    outcomes = await asyncio.gather(*moves, return_exceptions=True)

    assert sum(isinstance(outcome, RequestIdTaken) for outcome in outcomes) == 11
    statuses = [g.status for g in await store.load_many([g.id for g in lost]) if g is not None]
    assert sorted(statuses) == sorted([Status.SUBMITTED] + [Status.UNCONFIRMED] * 11)
    assert len(await redis.execute("XRANGE", keys.LEDGER, "-", "+")) == 12 + 1
    assert await redis.execute("ZCARD", keys.UNCONFIRMED) == 11


async def test_a_late_answer_after_an_operators_word_changes_nothing(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, lost: Generation
) -> None:
    await resolve(operator, lost.id, **NEVER)
    ended = await stored(runtime, lost)
    await runtime.transitions.apply(lost.id, lambda g: after_submit(g, Accepted("late"), clock()))
    assert await stored(runtime, lost) == ended


# --- seen -------------------------------------------------------------------------------------------------------------


async def test_an_operator_reads_what_its_tenant_does_and_more(
    operator: httpx.AsyncClient, api: httpx.AsyncClient, tenant: Tenant, lost: Generation
) -> None:
    seen = (await operator.get(f"/admin/v1/generations/{lost.id}")).json()
    tenants = (await api.get(f"/v1/generations/{lost.id}")).json()

    more = {name: seen.pop(name) for name in set(seen) - set(tenants)}
    assert seen == tenants
    assert more == {
        "tenant_id": tenant.id,
        "version": 3,
        "confirmed_at": None,
        "submits_refused": 0,
        "polls_troubled": 0,
        "erased": False,
    }


async def test_what_was_erased_is_not_shown_and_the_token_never(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await oracle(sandbox_url)
    await runtime.tenants.end_users.erase(tenant, "customer-7")
    texts = [
        (await operator.get(f"/admin/v1/generations/{lost.id}")).text,
        (await operator.get("/admin/v1/unconfirmed")).text,
        (await resolve(operator, lost.id, fal_request_id=job["request_id"], reason="x")).text,
    ]
    for text in texts:
        assert lost.id in text
        for gone in ("lost-answer", "customer-7", HOOK, "v3b.fal.media", lost.callback_token, "callback_token"):
            assert gone not in text


async def test_the_list_begins_with_the_oldest(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, tenant: Tenant, settings: Settings
) -> None:
    other = await runtime.tenants.service.create("other")
    lost = []
    for owner in (tenant, other, tenant):
        lost.append(await given_up_as_lost(runtime, owner, clock))
        clock.advance(timedelta(minutes=1))
    await given_up_as_lost(runtime, other, clock)
    await runtime.generations.canceller.cancel(other, lost[1].id)

    answer = (await operator.get("/admin/v1/unconfirmed", params={"limit": 3})).json()

    assert answer["count"] == 4
    assert [(one["id"], one["tenant_id"]) for one in answer["data"]] == [(g.id, g.tenant_id) for g in lost]
    first, second, _ = answer["data"]
    assert set(first) == {"id", "object", "tenant_id", "since", "deadline", "estimated_cost", "cancel_requested_at"}
    since, deadline = (datetime.fromisoformat(first[name]) for name in ("since", "deadline"))
    assert (since, deadline) == (lost[0].submitted_at, since + settings.unconfirmed_deadline)
    assert first["cancel_requested_at"] is None
    assert second["cancel_requested_at"] is not None


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
async def test_422_a_list_of_another_length(operator: httpx.AsyncClient, limit: str) -> None:
    assert (await operator.get("/admin/v1/unconfirmed", params={"limit": limit})).status_code == 422


async def test_an_empty_list(operator: httpx.AsyncClient) -> None:
    answer = await operator.get("/admin/v1/unconfirmed")

    assert answer.json() == {"object": "list", "data": [], "count": 0}


# --- all of a time ----------------------------------------------------------------------------------------------------


async def test_dismiss_all_ends_those_submitted_before_and_no_other(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, tenant: Tenant
) -> None:
    early = [await unconfirmed.given_up_as_lost(runtime, tenant, clock) for _ in range(3)]
    clock.advance(timedelta(minutes=1))
    until = clock()
    late = await unconfirmed.given_up_as_lost(runtime, tenant, clock)
    body = {"before": until.isoformat(), "reason": "fal's edge took nothing"}

    answer = await operator.post("/admin/v1/unconfirmed/dismiss", json=body)

    assert (answer.status_code, answer.json()) == (200, {"object": "dismissed", "dismissed": 3, "left": 0})
    for g in early:
        ended = await stored(runtime, g)
        assert (ended.status, ended.actual_cost) == (Status.FAILED, 0)
        assert await reasons(runtime, g) == ["fal's edge took nothing"]
    assert (await stored(runtime, late)).status is Status.UNCONFIRMED
    assert (await runtime.operations.audit.run()).clean


async def test_dismiss_all_leaves_what_fal_has_reported(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, tenant: Tenant
) -> None:
    g = await unconfirmed.given_up_as_lost(runtime, tenant, clock)
    await CallbackStore(runtime.redis).receive(g.id, g.callback_token, Callback("request-1"), now=clock())
    clock.advance(timedelta(minutes=1))
    body = {"before": clock().isoformat(), "reason": "x"}

    answer = await operator.post("/admin/v1/unconfirmed/dismiss", json=body)

    assert answer.json() == {"object": "dismissed", "dismissed": 0, "left": 1}
    assert (await stored(runtime, g)).status is Status.UNCONFIRMED
    assert refusal(await resolve(operator, g.id, **NEVER)) == (409, "not_unconfirmed")


# --- revived ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "status", "code"),
    [
        (lambda g, now: g.canceled(0, now), 409, "not_given_up"),
        (lambda g, now: g.failed(factories.failure(), 0, now), 409, "not_given_up"),
        (lambda *_: None, 409, "not_given_up"),
    ],
    ids=["canceled", "refused", "unconfirmed"],
)
async def test_revive_refuses_what_was_not_given_up(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, lost: Generation, ended: Any, status: int, code: str
) -> None:
    await runtime.transitions.apply(lost.id, lambda g: ended(g, clock()))
    answer = await operator.post(f"/admin/v1/generations/{lost.id}/revive", json={"reason": "x"})
    assert refusal(answer) == (status, code)


async def test_revive_wants_a_request_id_that_is_free(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, lost: Generation
) -> None:
    await resolve(operator, lost.id, **NEVER)
    other = await unconfirmed.created(runtime, tenant, "sandbox:hang")
    await process_due(runtime, WorkQueue.DISPATCH)
    taken = (await stored(runtime, other)).request_id
    url = f"/admin/v1/generations/{lost.id}/revive"

    assert refusal(await operator.post(url, json={"reason": "x"})) == (422, "invalid")
    assert refusal(await operator.post(url, json={"reason": "x", "fal_request_id": taken})) == (409, "request_id_taken")
    assert (await runtime.operations.audit.run()).clean


async def test_revived_by_an_operator_it_ends_as_fal_says(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await finished(sandbox_url)
    await resolve(operator, lost.id, **NEVER)
    body = {"reason": "it was there after all", "fal_request_id": job["request_id"]}

    answer = await operator.post(f"/admin/v1/generations/{lost.id}/revive", json=body)

    assert (answer.status_code, answer.json()["status"]) == (200, "submitted")
    assert (await polled_to_the_end(runtime, clock, lost)).status is Status.SUCCEEDED
    assert (await runtime.operations.audit.run()).clean


async def test_of_operators_that_revive_at_once_one_wins(
    runtime: Runtime, operator: httpx.AsyncClient, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await finished(sandbox_url)
    await resolve(operator, lost.id, **NEVER)
    body = {"reason": "x", "fal_request_id": job["request_id"]}
    url = f"/admin/v1/generations/{lost.id}/revive"

    answers = await asyncio.gather(*(operator.post(url, json=body) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert (await runtime.operations.audit.run()).clean
