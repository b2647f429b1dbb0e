"""Drafts and their completions, from the create to the bill of the sandbox. fal's id of a draft is never shown."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain import fal_view
from service.domain.drafts import WINDOW
from service.domain.generation import Generation
from service.domain.generation_view import event, public
from service.domain.outcomes import Locked, NotSubmitted, Unknown
from service.domain.status import Status
from service.domain.tenant import Limits, Scope, Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.usecases.lifecycle import dispatch
from service.usecases.lifecycle.dispatch import without_draft_id
from tests.conftest import Connect
from tests.support import factories
from tests.support.factories import Clock
from tests.support.unconfirmed import polled_to_the_end
from tests.support.waiting import process_due

T2V = "bytedance/seedance-2.5/text-to-video"
COMPLETE = "bytedance/seedance-2.5/draft/complete"
SECRET = "fal-draft-7f3a"
PUBLIC = "https://gateway.example"


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    resolutions = ("480p", "720p", "1080p")
    return factories.sandbox_settings(redis_url, sandbox_url, models=("*",), resolutions=resolutions, public_url=PUBLIC)


def body(**changes: Any) -> dict[str, Any]:
    return {"model": T2V, "prompt": "sandbox:no-video", "resolution": "480p", "duration": 5, "draft": True, **changes}


async def create(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await api.post("/v1/generations", json=body(**changes))
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def complete(api: httpx.AsyncClient, name: str, *, key: str = "", **fields: Any) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return await api.post(f"/v1/generations/{name}/complete", json=fields, headers=headers)


async def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def ended(runtime: Runtime, clock: Clock, name: str) -> Generation:
    await process_due(runtime, WorkQueue.DISPATCH)
    g = await runtime.stores.generations.load(name)
    assert g is not None
    return await polled_to_the_end(runtime, clock, g)


async def stored_draft(runtime: Runtime, tenant: Tenant, clock: Clock, **changes: Any) -> Generation:
    """Store a draft that has succeeded, without fal."""
    g = replace(
        factories.in_status(Status.SUCCEEDED, tenant_id=tenant.id, model=T2V, created_at=clock()),
        input={"prompt": "a cat", "resolution": "480p", "duration": "5", "draft": True},
        output=factories.output(draft_id=SECRET),
        finished_at=clock(),
    )
    g = replace(g, **changes)
    await runtime.stores.generations.create(g, factories.due(clock()))
    return g


async def test_draft_and_completion_from_create_to_bill(
    runtime: Runtime, api: httpx.AsyncClient, clock: Clock, sandbox_url: str
) -> None:
    made = await create(api, end_user_id="customer-7")
    assert made["input"]["draft"] is True
    assert (made["draft"], made["completes"]) == ({"completable_until": None}, None)
    draft = await ended(runtime, clock, made["id"])
    assert draft.output is not None
    assert draft.finished_at is not None
    secret = draft.output.draft_id or ""
    assert secret

    read = await api.get(f"/v1/generations/{draft.id}")
    assert read.json()["draft"]["completable_until"][:16] == (draft.finished_at + WINDOW).isoformat()[:16]
    answer = await complete(api, draft.id, codec="H265", metadata={"order": "1"})
    assert answer.status_code == 202, answer.text
    completion = answer.json()
    assert answer.headers["location"] == f"/v1/generations/{completion['id']}"
    assert completion["id"] != draft.id
    assert (completion["completes"], completion["model"], completion["draft"]) == (draft.id, COMPLETE, None)
    assert completion["input"] == {"resolution": "1080p", "duration": "5", "codec": "H265"}
    assert (completion["end_user_id"], completion["metadata"]) == ("customer-7", {"order": "1"})
    assert completion["cost"]["estimated"] == "5.820000"  # 5 seconds at 1.164 USD

    done = await ended(runtime, clock, completion["id"])
    assert (done.status, done.completes) == (Status.SUCCEEDED, draft.id)
    assert done.actual_cost is not None
    assert 0 < done.actual_cost <= done.estimated_cost
    assert done.billable_units is not None
    least, most = 0.92, 1.0  # of the seconds of the draft at 1080p
    assert least <= done.actual_cost / (5 * 1_164_000) <= most

    shown = [
        (await api.get(f"/v1/generations/{name}")).text + (await api.get("/v1/generations")).text
        for name in (draft.id, done.id)
    ]
    shown += [fal_view.webhook(draft), fal_view.webhook(done), json.dumps(event("x", draft, clock())), repr(draft)]
    assert not [text for text in shown if secret in text]
    assert json.loads(fal_view.webhook(draft))["payload"]["draft_id"] == draft.id

    usage = (await api.get("/v1/usage")).json()["drafts"]
    spent = (draft.actual_cost or 0) + done.actual_cost
    direct = round((draft.actual_cost or 0) * 5.82 / 1.1025)
    assert usage["spent"] == f"{spent / 1e6:.6f}"
    assert float(usage["direct"]) == pytest.approx(direct / 1e6, abs=1e-5)
    assert float(usage["saved"]) == pytest.approx(float(usage["direct"]) - float(usage["spent"]), abs=1e-6)


async def test_completion_survives_purge_of_draft(runtime: Runtime, api: httpx.AsyncClient, clock: Clock) -> None:
    draft = await ended(runtime, clock, (await create(api, duration="auto"))["id"])
    first = await complete(api, draft.id, key="a")
    assert first.status_code == 202
    assert await runtime.stores.generations.purge(draft)

    assert await code(await complete(api, draft.id)) == (404, "not_found")
    again = await complete(api, draft.id, key="a")
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first.json()["id"], "true")
    done = await ended(runtime, clock, first.json()["id"])
    assert (done.status, done.completes) == (Status.SUCCEEDED, draft.id)
    seconds = int(done.input["duration"])  # fal chose it: the bill of the draft bounds it
    assert 4 <= seconds <= 30
    assert (done.actual_cost or 0) <= done.estimated_cost


async def test_draft_in_wrong_state_is_refused(
    runtime: Runtime, api: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    async def stored(**changes: Any) -> str:
        return (await stored_draft(runtime, tenant, clock, **changes)).id

    plain = {"prompt": "a cat", "resolution": "480p", "duration": "5"}
    table = {
        await stored(input=plain): (409, "not_a_draft"),
        await stored(model="bytedance/seedance-2.0/text-to-video"): (409, "not_a_draft"),
        (await create(api))["id"]: (409, "draft_not_ready"),
        await stored(status=Status.FAILED, output=None, error=factories.failure()): (409, "draft_failed"),
        await stored(status=Status.CANCELED, output=None): (409, "draft_failed"),
        await stored(output=factories.output()): (409, "draft_failed"),
        await stored(output=None, erased=True): (409, "draft_failed"),
        await stored(finished_at=clock() - WINDOW): (409, "draft_expired"),
        await stored(finished_at=clock() - timedelta(hours=2), retention=timedelta(hours=1)): (409, "draft_expired"),
        "gen_" + "0" * 26: (404, "not_found"),
        "gen_x": (404, "not_found"),
        SECRET: (404, "not_found"),
    }
    assert {name: await code(await complete(api, name)) for name in table} == table


async def test_draft_of_another_tenant_is_not_found(
    runtime: Runtime, api: httpx.AsyncClient, other_api: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    draft = await stored_draft(runtime, tenant, clock)
    unknown = await complete(other_api, "gen_" + "0" * 26)
    answer = await complete(other_api, draft.id)
    assert await code(answer) == (404, "not_found")
    assert answer.json()["detail"] == unknown.json()["detail"]
    fal = await other_api.post(f"/fal/queue/{COMPLETE}", json={"draft_id": draft.id})
    assert (fal.status_code, fal.json()["detail"][0]["loc"]) == (422, ["body", "draft_id"])
    assert (await complete(api, draft.id)).status_code == 202


async def test_completion_needs_model_and_resolution(
    runtime: Runtime, connect: Connect, clock: Clock, app: FastAPI
) -> None:
    for limits in (Limits(models=(T2V,)), Limits(resolutions=("480p",))):
        tenant = await runtime.tenants.service.create("acme", limits=limits)
        draft = await stored_draft(runtime, tenant, clock)
        client = await connect(tenant)
        answer = await complete(client, draft.id)
        assert await code(answer) == (403, "model_forbidden"), limits
        quote = (await client.post("/v1/generations/estimate", json=body())).json()["draft"]
        assert (quote["completion"], quote["total"], quote["total_fits"]) == (None, None, None)
    entitled = await runtime.tenants.service.create("acme", Limits(durations=("auto",)))
    draft = await stored_draft(runtime, entitled, clock)
    assert (await complete(await connect(entitled), draft.id)).status_code == 202


async def test_body_of_completion_has_its_own_faults(
    runtime: Runtime, api: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    draft = await stored_draft(runtime, tenant, clock)
    wrong: dict[str, Any] = {
        "codec": "VP9",
        "prompt": "x",
        "duration": 4,
        "end_user_id": "x",
        "draft": True,
        "resolution": "720p",
    }
    answer = await complete(api, draft.id, **wrong)
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {f"/{name}" for name in wrong}
    assert await code(await complete(api, draft.id, draft_id=draft.id)) == (422, "invalid")
    assert await code(await complete(api, draft.id, max_cost_usd="0.01")) == (402, "max_cost_exceeded")
    malformed = await api.post(
        f"/v1/generations/{draft.id}/complete", content=b"{", headers={"content-type": "application/json"}
    )
    assert malformed.status_code == 400
    assert (await api.post(f"/v1/generations/{draft.id}/complete")).status_code == 202


async def test_direct_create_names_the_route(api: httpx.AsyncClient) -> None:
    for path in ("/v1/generations", "/v1/generations/estimate"):
        answer = await api.post(path, json={"model": COMPLETE, "draft_id": SECRET})
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["pointer"]) == (422, "/model")
        assert "POST /v1/generations/{generation_id}/complete" in fault["detail"]
    unknown = await api.post("/v1/generations", json={"model": "x", "prompt": "a cat"})
    assert COMPLETE not in unknown.text


async def test_idempotency_of_completions(
    runtime: Runtime, api: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    draft, other = await stored_draft(runtime, tenant, clock), await stored_draft(runtime, tenant, clock)
    answers = await asyncio.gather(*(complete(api, draft.id, key="k") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 7
    assert await code(await complete(api, other.id, key="k")) == (422, "idempotency_mismatch")
    assert await code(await complete(api, draft.id, key="k", codec="H264")) == (422, "idempotency_mismatch")
    again = await complete(api, draft.id)
    assert again.json()["id"] != answers[0].json()["id"]  # without a key, each one is new and paid


async def test_completion_and_erasure_leave_nothing(
    runtime: Runtime, connect: Connect, tenant: Tenant, clock: Clock
) -> None:
    client = await connect(tenant)
    manager = await connect(tenant, scopes=(Scope.MANAGE,))
    for number in range(6):
        user = f"customer-{number}"
        made = await create(client, end_user_id=user)
        draft = await runtime.stores.generations.load(made["id"])
        assert draft is not None
        done = replace(
            draft, status=Status.SUCCEEDED, output=factories.output(draft_id=SECRET), actual_cost=1, finished_at=clock()
        )
        assert (await runtime.stores.generations.finish(done, factories.due(clock()), (), now=clock())).won
        answer, erased, late = await asyncio.gather(
            complete(client, draft.id), manager.delete(f"/v1/end-users/{user}"), complete(client, draft.id)
        )
        assert erased.status_code in (200, 202), erased.text
        assert {one.status_code for one in (answer, late)} <= {202, 404}
        await process_due(runtime, WorkQueue.SWEEP)
        left = (await client.get("/v1/generations", params={"end_user_id": user})).json()["data"]
        assert not [g for g in left if g["end_user_id"] == user]
        assert await code(await complete(client, draft.id)) == (404, "not_found")


async def test_draft_deleted_after_its_read_creates_nothing(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime: Runtime = app.state.runtime
    draft = await stored_draft(runtime, tenant, clock)
    script = runtime.generations.creator._store.create

    async def purged_first(*arguments: Any, **options: Any) -> Any:
        assert await runtime.stores.generations.purge(draft)
        return await script(*arguments, **options)

    monkeypatch.setattr(runtime.generations.creator._store, "create", purged_first)
    assert await code(await complete(api, draft.id)) == (404, "not_found")
    assert (await api.get("/v1/generations")).json()["data"] == []


async def test_estimate_of_draft_has_completion_and_total(
    api: httpx.AsyncClient, connect: Connect, runtime: Runtime
) -> None:
    quote = (await api.post("/v1/generations/estimate", json=body())).json()
    assert quote["estimated"] == "1.102500"
    assert quote["draft"] == {"completion": "5.820000", "total": "6.922500", "total_fits": True, "direct": "5.820000"}
    auto = (await api.post("/v1/generations/estimate", json=body(duration="auto"))).json()["draft"]
    assert auto["completion"] == auto["direct"] == "34.920000"
    plain = (await api.post("/v1/generations/estimate", json=body(draft=False))).json()
    assert (plain["estimated"], plain["draft"]) == ("1.102500", None)
    poor = await connect(await runtime.tenants.service.create("poor", Limits(monthly_budget=2_000_000)))
    quote = (await poor.post("/v1/generations/estimate", json=body())).json()
    assert (quote["fits"], quote["draft"]["total_fits"]) == (True, False)


async def test_budget_of_end_user_covers_draft_and_completion(runtime: Runtime, connect: Connect, clock: Clock) -> None:
    tenant = await runtime.tenants.service.create("acme", Limits(end_user_daily_budget=6_000_000))
    client = await connect(tenant)
    made = await create(client, end_user_id="customer-7")  # holds 1.10 USD
    draft = await ended(runtime, clock, made["id"])
    answer = await complete(client, draft.id)
    assert await code(answer) == (402, "budget_exceeded")
    assert answer.json()["scope"] == "end_user_day"


async def test_draft_on_fal_surface_has_the_gateways_id(runtime: Runtime, api: httpx.AsyncClient, clock: Clock) -> None:
    given = {"prompt": "sandbox:no-video", "duration": "5", "resolution": "480p", "draft": "true"}
    submitted = await api.post(f"/fal/queue/{T2V}", json=given)
    assert submitted.status_code == 200, submitted.text
    name = submitted.json()["request_id"]
    draft = await ended(runtime, clock, name)
    address = f"/fal/queue/bytedance/seedance-2.5/requests/{name}"
    result = (await api.get(address)).json()
    assert result["draft_id"] == name
    assert draft.output is not None
    assert str(draft.output.draft_id) not in json.dumps(result)

    refused = await api.post(f"/fal/queue/{COMPLETE}", json={"draft_id": draft.output.draft_id})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "draft_id"])
    accepted = await api.post(f"/fal/queue/{COMPLETE}", json={"draft_id": result["draft_id"], "codec": "h265"})
    assert accepted.status_code == 200, accepted.text
    done = await ended(runtime, clock, accepted.json()["request_id"])
    assert (done.status, done.completes, done.input["codec"]) == (Status.SUCCEEDED, name, "H265")


async def test_error_and_log_of_fal_hide_its_draft_id(clock: Clock) -> None:
    g = factories.generation(
        model=COMPLETE,
        input={"resolution": "1080p", "duration": "5", "codec": "auto"},
        completes="gen_" + "0" * 26,
        draft_id=SECRET,
    )
    running = replace(g, status=Status.IN_PROGRESS)
    seen = running.polled(position=None, logs=(factories.log_line(f"loads {SECRET}"),))
    assert seen.polled(position=None, logs=(factories.log_line(f"loads {SECRET}"),)) is seen
    failure = factories.failure(message=f"{SECRET} not found", detail=[{"msg": SECRET, "ctx": {SECRET: [SECRET]}}])
    failed = seen.failed(failure, 0, clock())
    assert SECRET not in json.dumps(public(failed)) + repr(failed) + fal_view.webhook(failed)
    assert failed.completes is not None
    assert failed.completes in json.dumps(public(failed)["error"])

    draft = replace(running, completes=None, draft_id=None, logs=(factories.log_line(f"saved {SECRET}"),))
    done = draft.succeeded(factories.output(draft_id=SECRET), 1, clock())
    assert SECRET not in json.dumps(public(done)) + fal_view.webhook(done)
    copying = draft.copying_started(factories.output(draft_id=SECRET), 1, clock())
    assert SECRET not in json.dumps(public(copying))


def test_reason_of_refused_submit_hides_draft_id() -> None:
    g = factories.generation(completes="gen_" + "0" * 26, draft_id=SECRET)
    for outcome in (NotSubmitted(f"fal answered 404: {SECRET}"), Unknown(SECRET), Locked(SECRET)):
        shown = without_draft_id(outcome, g)
        assert SECRET not in repr(shown)
        assert type(shown) is type(outcome)
        assert without_draft_id(outcome, factories.generation()) is outcome
    assert dispatch.arguments(g)["draft_id"] == SECRET
    assert not {"duration", "generate_audio"} & dispatch.arguments(g).keys()


async def test_completion_expires_with_the_window(
    runtime: Runtime, api: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    draft = await stored_draft(runtime, tenant, clock, finished_at=clock() - WINDOW + timedelta(minutes=5))
    made = (await complete(api, draft.id)).json()
    assert made["expires_at"][:19] == (clock() + timedelta(minutes=5)).isoformat()[:19]
    clock.advance(timedelta(minutes=6))
    await process_due(runtime, WorkQueue.SWEEP)
    read = (await api.get(f"/v1/generations/{made['id']}")).json()
    assert (read["status"], read["error"]["code"], read["cost"]["actual"]) == ("failed", "expired", "0.000000")
