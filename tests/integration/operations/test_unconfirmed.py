"""Resolve, dismiss and revive by operators: effects, refusals, and that one of several wins."""

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
from service.errors import RequestIdTaken, TenantBusy
from service.runtime import Runtime
from service.store import keys
from service.store.generations.callbacks import CallbackStore
from service.store.generations.generations import GenerationStore
from service.store.generations.records import dump
from service.store.redis.client import Redis
from tests.conftest import client_of
from tests.support import factories, unconfirmed
from tests.support.factories import NOW, Clock
from tests.support.unconfirmed import finished, given_up_as_lost, oracle, polled_to_the_end, reasons
from tests.support.waiting import process_due, stored

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
    """The runtime of the gateway."""
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


async def test_adopt_delivers_video_of_request(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await finished(sandbox_url)

    answer = await resolve(operator, lost.id, fal_request_id=job["request_id"], reason="  by its prompt ")

    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert (view["status"], view["fal_request_id"]) == ("submitted", job["request_id"])
    assert view["confirmed_at"] is not None
    await process_due(runtime, WorkQueue.POLL)  # at once: time has not moved
    ended = await stored(runtime, lost)
    assert ended.status is Status.SUCCEEDED
    assert len(ended.deliveries) == 1
    assert await reasons(runtime, lost) == ["by its prompt"]
    assert len(await oracle(sandbox_url)) == 1
    assert (await runtime.operations.audit.run()).clean


async def test_adopt_late_generation_gets_full_deadline(
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


async def test_adopt_generation_with_cancel_request_is_canceled(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, tenant: Tenant, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, tenant, "sandbox:lost-answer sandbox:hang")
    await runtime.generations.canceller.cancel(tenant, g.id)
    (job,) = await oracle(sandbox_url)
    await resolve(operator, g.id, fal_request_id=job["request_id"], reason="x")
    assert (await polled_to_the_end(runtime, clock, g)).status is Status.CANCELED


async def test_adopt_unknown_request_id_returns_422(
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
async def test_adopt_fal_unavailable_returns_503_unless_unchecked(
    runtime: Runtime, operator: httpx.AsyncClient, fal: httpx.AsyncClient, lost: Generation, sandbox_url: str, kind: str
) -> None:
    (job,) = await oracle(sandbox_url)
    await fal.post("/_sandbox/faults", json={"status": {"kind": kind}})

    answer = await resolve(operator, lost.id, fal_request_id=job["request_id"], reason="x")
    assert refusal(answer) == (503, "upstream_unavailable")
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED

    answer = await resolve(operator, lost.id, fal_request_id=job["request_id"], reason="x", unchecked=True)
    assert (answer.status_code, answer.json()["status"]) == (200, "submitted")


async def test_adopt_taken_request_id_returns_409(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, lost: Generation
) -> None:
    other = await unconfirmed.created(runtime, tenant, "sandbox:hang")
    await process_due(runtime, WorkQueue.DISPATCH)
    taken = (await stored(runtime, other)).request_id

    assert refusal(await resolve(operator, lost.id, fal_request_id=taken, reason="x")) == (409, "request_id_taken")

    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED
    assert await reasons(runtime, lost) == []


# --- dismissed --------------------------------------------------------------------------------------------------------


async def test_dismiss_releases_hold_and_sends_webhook(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, lost: Generation
) -> None:
    before = await runtime.tenants.usage.month(tenant.id)
    assert before.held == lost.estimated_cost

    answer = await resolve(operator, lost.id, **NEVER)

    view = answer.json()
    assert (answer.status_code, view["status"], view["cost"]["actual"]) == (200, "failed", "0.000000")
    assert (view["error"]["code"], view["error"]["retryable"]) == ("submission_unconfirmed", True)
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
async def test_resolve_other_status_returns_409(
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
async def test_resolve_invalid_body_returns_422(
    runtime: Runtime, operator: httpx.AsyncClient, lost: Generation, body: dict[str, Any], pointer: str
) -> None:
    answer = await resolve(operator, lost.id, **body)

    assert refusal(answer) == (422, "invalid")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert (await stored(runtime, lost)).status is Status.UNCONFIRMED


@pytest.mark.parametrize("name", ["x", "gen_" + "0" * 26, "ten_" + "0" * 26, "*", "gen_0%0a"])
async def test_resolve_unknown_generation_returns_404(operator: httpx.AsyncClient, name: str) -> None:
    assert refusal(await operator.get(f"/admin/v1/generations/{name}")) == (404, "not_found")
    for body in (NEVER, {"fal_request_id": "r", "reason": "x"}):
        assert refusal(await resolve(operator, name, **body)) == (404, "not_found")


async def test_resolve_with_tenant_key_returns_401(api: httpx.AsyncClient, lost: Generation) -> None:
    assert (await resolve(api, lost.id, **NEVER)).status_code == 401


# --- races ------------------------------------------------------------------------------------------------------------


async def test_resolve_concurrently_one_wins(
    runtime: Runtime, app: FastAPI, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await oracle(sandbox_url)
    bodies = [{"fal_request_id": job["request_id"], "reason": f"adopt {n}"} for n in range(4)]
    bodies += [{"never_happened": True, "reason": f"never {n}"} for n in range(4)]
    async with client_of(app, factories.ADMIN_TOKEN) as operator:
        answers = await asyncio.gather(*(resolve(operator, lost.id, **body) for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {refusal(a)[1] for a in answers if a.status_code == 409} <= {"not_unconfirmed", "request_id_taken"}
    winner = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200)
    assert await reasons(runtime, lost) == [winner["reason"]]
    assert (await runtime.operations.audit.run()).clean


async def test_adopt_same_request_id_concurrently_one_wins(redis: Redis) -> None:
    """The script checks and claims the request id atomically."""
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


async def test_late_submit_response_after_dismiss_changes_nothing(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, lost: Generation
) -> None:
    await resolve(operator, lost.id, **NEVER)
    ended = await stored(runtime, lost)
    await runtime.transitions.apply(lost.id, lambda g: after_submit(g, Accepted("late"), clock()))
    assert await stored(runtime, lost) == ended


# --- seen -------------------------------------------------------------------------------------------------------------


async def test_operator_view_extends_tenant_view(
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
        "tenant_name": tenant.name,
        "end_user": lost.end_user,
        "held": seen["cost"]["estimated"],
        "timeline": [
            {"at": seen["created_at"], "event": "created"},
            {"at": seen["submitted_at"], "event": "submit_began"},
        ],
        "ledger": more["ledger"],
        "deliveries": [],
    }
    assert [line["kind"] for line in more["ledger"]] == ["hold"]


async def test_operator_view_hides_erased_data_and_token(
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


async def test_list_unconfirmed_is_oldest_first(
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
async def test_list_unconfirmed_invalid_limit_returns_422(operator: httpx.AsyncClient, limit: str) -> None:
    assert (await operator.get("/admin/v1/unconfirmed", params={"limit": limit})).status_code == 422


async def test_list_unconfirmed_empty(operator: httpx.AsyncClient) -> None:
    answer = await operator.get("/admin/v1/unconfirmed")

    assert answer.json() == {"object": "list", "data": [], "count": 0}


# --- dismiss all ------------------------------------------------------------------------------------------------------


async def test_dismiss_all_ends_generations_submitted_before(
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


async def test_dismiss_all_skips_reported_generations(
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
async def test_revive_not_given_up_returns_409(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, lost: Generation, ended: Any, status: int, code: str
) -> None:
    await runtime.transitions.apply(lost.id, lambda g: ended(g, clock()))
    answer = await operator.post(f"/admin/v1/generations/{lost.id}/revive", json={"reason": "x"})
    assert refusal(answer) == (status, code)


async def test_revive_requires_free_request_id(
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


async def test_revive_ends_as_fal_reports(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await finished(sandbox_url)
    await resolve(operator, lost.id, **NEVER)
    body = {"reason": "it was there after all", "fal_request_id": job["request_id"]}

    answer = await operator.post(f"/admin/v1/generations/{lost.id}/revive", json=body)

    assert (answer.status_code, answer.json()["status"]) == (200, "submitted")
    assert (await polled_to_the_end(runtime, clock, lost)).status is Status.SUCCEEDED
    assert (await runtime.operations.audit.run()).clean


async def test_revive_concurrently_one_wins(
    runtime: Runtime, operator: httpx.AsyncClient, lost: Generation, sandbox_url: str
) -> None:
    (job,) = await finished(sandbox_url)
    await resolve(operator, lost.id, **NEVER)
    body = {"reason": "x", "fal_request_id": job["request_id"]}
    url = f"/admin/v1/generations/{lost.id}/revive"

    answers = await asyncio.gather(*(operator.post(url, json=body) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert (await runtime.operations.audit.run()).clean


async def test_revive_deleted_tenant_returns_409(
    runtime: Runtime, operator: httpx.AsyncClient, tenant: Tenant, sandbox_url: str
) -> None:
    g = await unconfirmed.unconfirmed(runtime, tenant)
    (job,) = await finished(sandbox_url)
    await resolve(operator, g.id, **NEVER)
    before = await stored(runtime, g)
    entries = await runtime.redis.execute("XLEN", keys.LEDGER)
    await runtime.tenants.service.delete(tenant.id, drain=False)
    body = {"reason": "x", "fal_request_id": job["request_id"]}

    answer = await operator.post(f"/admin/v1/generations/{g.id}/revive", json=body)

    assert refusal(answer) == (409, "tenant_deleted")
    assert await stored(runtime, g) == before
    assert await runtime.redis.execute("XLEN", keys.LEDGER) == entries
    assert await runtime.stores.queue.slots_used() == 0
    assert (await runtime.operations.audit.run()).clean


async def test_revive_races_tenant_deletion_one_wins(
    runtime: Runtime, operator: httpx.AsyncClient, clock: Clock
) -> None:
    for n in range(8):
        owner = await runtime.tenants.service.create(f"tenant-{n}")
        g = await given_up_as_lost(runtime, owner, clock)
        await resolve(operator, g.id, **NEVER)
        url, body = f"/admin/v1/generations/{g.id}/revive", {"reason": "x", "fal_request_id": factories.request_id()}

        answer, deletion = await asyncio.gather(
            operator.post(url, json=body),
            runtime.tenants.service.delete(owner.id, drain=False),
            return_exceptions=True,
        )

        assert isinstance(answer, httpx.Response)
        if answer.status_code == 200:
            assert isinstance(deletion, TenantBusy)
        else:
            assert (refusal(answer), deletion) == ((409, "tenant_deleted"), None)
    assert (await runtime.operations.audit.run()).clean
