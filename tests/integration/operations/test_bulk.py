"""Bulk jobs: what a preview counts is what the job acts on, each item once, whatever happens to the workers."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from service.domain.bulk import BulkJob
from service.domain.generation import Generation
from service.domain.operator import Role
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.trail import Entry
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.usecases.operations.bulk import jobs as bulk_jobs
from service.usecases.operations.bulk.generations import CancelGenerations
from service.usecases.operations.bulk.jobs import STEP
from tests.conftest import client_of
from tests.support import factories
from tests.support.factories import Clock
from tests.support.unconfirmed import created
from tests.support.waiting import process_due

BULK: Final = "/admin/v1/bulk"
OTHER_MODEL: Final = "bytedance/seedance-2.0/fast/image-to-video"
#: A tenant's generations, by name: the status that each is brought into, and the fields of its request.
GENERATIONS: Final[dict[str, tuple[Status, dict[str, Any]]]] = {
    "old": (Status.QUEUED, {}),
    "queued": (Status.QUEUED, {"end_user_id": "ann"}),
    "fast": (Status.QUEUED, {}),
    "submitting": (Status.SUBMITTING, {}),
    "submitted": (Status.SUBMITTED, {"end_user_id": "ann"}),
    "in progress": (Status.IN_PROGRESS, {}),
    "unconfirmed": (Status.UNCONFIRMED, {}),
    "copying": (Status.COPYING, {}),
    "succeeded": (Status.SUCCEEDED, {}),
    "canceled": (Status.CANCELED, {"end_user_id": "ann"}),
}
QUEUED: Final = {"old", "queued", "fast"}
IN_FLIGHT: Final = {"submitting", "submitted", "in progress", "unconfirmed"}


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


async def brought_to(runtime: Runtime, g: Generation, status: Status, clock: Clock) -> None:
    submitted = factories.request_id()
    path: dict[Status, list[Callable[[Generation], Generation]]] = {
        Status.QUEUED: [],
        Status.SUBMITTING: [lambda g: g.submitting(clock())],
        Status.CANCELED: [lambda g: g.canceled(0, clock())],
    }
    path[Status.UNCONFIRMED] = [*path[Status.SUBMITTING], lambda g: g.unconfirmed()]
    path[Status.SUBMITTED] = [*path[Status.SUBMITTING], lambda g: g.submitted(submitted)]
    path[Status.IN_PROGRESS] = [*path[Status.SUBMITTED], lambda g: g.started(clock())]
    path[Status.COPYING] = [*path[Status.IN_PROGRESS], lambda g: g.copying_started(factories.output(), 1_000, clock())]
    path[Status.SUCCEEDED] = [*path[Status.IN_PROGRESS], lambda g: g.succeeded(factories.output(), 1_000, clock())]
    for transition in path[status]:
        assert await runtime.transitions.apply(g.id, transition) is not None


async def made(runtime: Runtime, tenant: Tenant, clock: Clock) -> dict[str, str]:
    """Return the ids of GENERATIONS by name, created a minute apart; the id "other" is another tenant's."""
    names = {}
    for name, (status, fields) in GENERATIONS.items():
        g = await created(runtime, tenant, "a rocket", **fields)
        await brought_to(runtime, g, status, clock)
        if name == "fast":
            assert await runtime.transitions.apply(g.id, lambda g: replace(g, model=OTHER_MODEL)) is not None
        names[name] = g.id
        clock.advance(timedelta(minutes=1))
    other = await runtime.tenants.service.create("other")
    names["other"] = (await created(runtime, other, "a rocket")).id
    clock.advance(timedelta(minutes=1))
    return names


async def queued(runtime: Runtime, tenant: Tenant, count: int) -> list[str]:
    return [(await created(runtime, tenant, "a rocket")).id for _ in range(count)]


async def loaded(runtime: Runtime, name: str) -> Generation:
    found = await runtime.stores.generations.load(name)
    assert found is not None
    return found


async def touched(runtime: Runtime, names: dict[str, str]) -> set[str]:
    """Return the names of the generations that were canceled, or whose cancel was requested."""
    found = {name: await loaded(runtime, generation_id) for name, generation_id in names.items()}
    return {name for name, g in found.items() if g.cancel_requested_at is not None}


async def previewed(operator: httpx.AsyncClient, wanted: dict[str, Any], kind: str = "cancel") -> dict[str, Any]:
    answer = await operator.post(f"{BULK}/preview", json={"kind": kind, "filter": wanted})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def start(
    operator: httpx.AsyncClient, wanted: dict[str, Any], kind: str = "cancel", **changes: Any
) -> httpx.Response:
    preview = await previewed(operator, wanted, kind)
    body = {
        "kind": kind,
        "filter": wanted,
        "reason": "a flood",
        "previewed_at": preview["previewed_at"],
        "expected": preview["matched"],
    }
    return await operator.post(BULK, json={**body, **changes})


async def started(operator: httpx.AsyncClient, wanted: dict[str, Any], kind: str = "cancel") -> str:
    answer = await start(operator, wanted, kind)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{BULK}/{answer.json()['id']}"
    return str(answer.json()["id"])


async def finished(runtime: Runtime, job_id: str) -> BulkJob:
    """Return a job after a worker has carried it out."""
    while await runtime.operations.bulk_jobs.continue_step(job_id):
        pass
    return await runtime.operations.bulk_jobs.get(job_id)


def counts(job: BulkJob) -> tuple[str, int, int, int, int]:
    return job.state.value, job.matched, job.done, job.skipped, job.failed


async def entries(runtime: Runtime, action: str) -> list[Entry]:
    found = [link.load() async for step in runtime.stores.trail_reader.links() for link in step]
    return [entry for entry in found if entry.action == action]


# --- a preview is what runs -------------------------------------------------------------------------------------------


FILTERS: Final[dict[str, tuple[Callable[[dict[str, str], Clock], dict[str, Any]], set[str]]]] = {
    "all": (lambda _, __: {}, QUEUED | IN_FLIGHT),
    "queued": (lambda _, __: {"status": "queued"}, QUEUED),
    "in flight": (lambda _, __: {"status": "in_flight"}, IN_FLIGHT),
    "unconfirmed": (lambda _, __: {"status": "unconfirmed"}, {"unconfirmed"}),
    "in progress": (lambda _, __: {"status": "in_progress"}, {"in progress"}),
    "end user": (lambda _, __: {"end_user_id": "ann"}, {"queued", "submitted"}),
    "end user and status": (lambda _, __: {"end_user_id": "ann", "status": "queued"}, {"queued"}),
    "model": (lambda _, __: {"model": OTHER_MODEL}, {"fast"}),
    "nothing": (lambda _, __: {"model": "unknown"}, set()),
    "created before": (lambda _, c: {"created_before": c().replace(microsecond=0).isoformat()}, QUEUED | IN_FLIGHT),
    "created after": (
        lambda _, c: {"created_after": (c() - timedelta(minutes=8)).isoformat()},
        IN_FLIGHT - {"submitting"},
    ),
    "ids": (lambda names, _: {"ids": [names["old"], names["succeeded"], names["other"]]}, {"old"}),
}


@pytest.mark.parametrize("case", sorted(FILTERS))
async def test_bulk_cancel_ends_what_the_preview_counts(
    case: str, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    names = await made(runtime, tenant, clock)
    before = await touched(runtime, names)
    conditions, expected = FILTERS[case]
    wanted = {"tenant_id": tenant.id, **conditions(names, clock)}
    preview = await previewed(operator, wanted)

    job = await finished(runtime, await started(operator, wanted))

    assert preview["matched"] == len(expected)
    assert await touched(runtime, names) - before == expected
    assert counts(job) == ("done", len(expected), len(expected), 0, 0)
    assert (await previewed(operator, wanted))["matched"] == 0
    assert (await runtime.operations.audit.run()).differences == []


async def test_bulk_preview_shows_times_money_and_tenants(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    names = await made(runtime, tenant, clock)
    preview = await previewed(operator, {"tenant_id": tenant.id})

    held = [await loaded(runtime, names[name]) for name in sorted(QUEUED)]
    billable = [await loaded(runtime, names[name]) for name in sorted(IN_FLIGHT)]
    assert preview["released"] == f"{sum(g.estimated_cost for g in held) / 1_000_000:.6f}"
    assert preview["billable"] == f"{sum(g.estimated_cost for g in billable) / 1_000_000:.6f}"
    assert preview["tenants"] == [{"id": tenant.id, "items": 7}]
    assert (preview["end_user_count"], preview["more"]) == (2, False)
    assert preview["oldest"] < preview["newest"] < preview["previewed_at"]


async def test_bulk_job_leaves_what_was_created_later(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    (before,) = await queued(runtime, tenant, 1)
    job_id = await started(operator, {"tenant_id": tenant.id})
    clock.advance(timedelta(seconds=1))
    (later,) = await queued(runtime, tenant, 1)

    job = await finished(runtime, job_id)

    assert counts(job) == ("done", 1, 1, 0, 0)
    assert await touched(runtime, {"before": before, "later": later}) == {"before"}


async def test_bulk_job_skips_what_matches_no_more(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    stays, moves = await queued(runtime, tenant, 2)
    job_id = await started(operator, {"tenant_id": tenant.id, "status": "queued"})
    assert await runtime.operations.bulk_jobs.continue_step(job_id)  # it has collected both
    await brought_to(runtime, await loaded(runtime, moves), Status.SUBMITTED, clock)

    job = await finished(runtime, job_id)

    assert counts(job) == ("done", 2, 1, 1, 0)
    assert await touched(runtime, {"stays": stays, "moves": moves}) == {"stays"}


async def test_bulk_job_of_more_than_previewed_is_refused(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    await queued(runtime, tenant, 2)
    answer = await start(operator, {"tenant_id": tenant.id}, expected=1)

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await operator.get(BULK)).json()["data"] == []


# --- workers ----------------------------------------------------------------------------------------------------------


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("acts", [0, 1, 3, 4])
async def test_bulk_job_of_a_dead_worker_continues(
    acts: int, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies after this number of acts of a step of four, or after all and before it has counted them."""
    names = await queued(runtime, tenant, 4)
    job_id = await started(operator, {"tenant_id": tenant.id})
    assert await runtime.operations.bulk_jobs.continue_step(job_id)
    left, act = acts, CancelGenerations.act

    async def dies(self: CancelGenerations, job: BulkJob, name: str) -> Any:
        nonlocal left
        if left == 0:
            raise Died
        left -= 1
        return await act(self, job, name)

    async def dies_before_count(*_: object, **__: object) -> bool:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(CancelGenerations, "act", dies)
        patch.setattr(runtime.stores.bulk_jobs, "count", dies_before_count)
        with pytest.raises(Died):
            await runtime.operations.bulk_jobs.continue_step(job_id)

    job = await finished(runtime, job_id)
    assert counts(job) == ("done", 4, 4, 0, 0)
    assert len(await touched(runtime, {name: name for name in names})) == 4
    assert (await runtime.operations.audit.run()).differences == []
    assert len(await entries(runtime, "end_bulk_job")) == 1


async def test_bulk_job_of_two_workers_counts_each_item_once(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    """A worker whose lease was lost continues while the next one works."""
    names = await queued(runtime, tenant, 2 * STEP + 1)
    job_id = await started(operator, {"tenant_id": tenant.id})
    step = runtime.operations.bulk_jobs.continue_step
    while not (await runtime.operations.bulk_jobs.get(job_id)).has_ended:
        await asyncio.gather(step(job_id), step(job_id))

    job = await finished(runtime, job_id)
    assert counts(job) == ("done", len(names), len(names), 0, 0)
    assert (await runtime.operations.audit.run()).differences == []


async def test_bulk_job_runs_in_the_sweep_and_leaves_nothing(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    await queued(runtime, tenant, 3)
    job_id = await started(operator, {"tenant_id": tenant.id})
    await process_due(runtime, WorkQueue.SWEEP)

    assert counts(await runtime.operations.bulk_jobs.get(job_id)) == ("done", 3, 3, 0, 0)
    assert await runtime.redis.execute("ZSCORE", keys.due(WorkQueue.SWEEP), f"bulk:{job_id}") is None
    assert await runtime.redis.execute("EXISTS", keys.items_of_bulk_job(job_id), keys.RUNNING_BULK_JOBS) == 0
    assert 0 < await runtime.redis.execute("TTL", keys.bulk_job(job_id)) <= keys.BULK_JOB_RETENTION_SECONDS


async def test_bulk_job_step_sends_a_bounded_number_of_commands(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queued(runtime, tenant, 3 * STEP)
    job_id = await started(operator, {"tenant_id": tenant.id})
    assert await runtime.operations.bulk_jobs.continue_step(job_id)
    sent, send = 0, runtime.redis._enqueue

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal sent
        sent += 1
        return send(*args, **options)

    monkeypatch.setattr(runtime.redis, "_enqueue", counted)
    per_step = []
    for _ in range(3):
        sent = 0
        assert await runtime.operations.bulk_jobs.continue_step(job_id)
        per_step.append(sent)

    assert max(per_step) <= 6 * STEP, per_step
    assert (await runtime.operations.bulk_jobs.get(job_id)).done == 3 * STEP


async def test_bulk_job_leaves_the_sweep_between_claims(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_jobs, "_CLAIM_SECONDS", 0.0)
    await queued(runtime, tenant, 2)
    job_id = await started(operator, {"tenant_id": tenant.id})
    steps = 0
    while not (await runtime.operations.bulk_jobs.get(job_id)).has_ended:
        await process_due(runtime, WorkQueue.SWEEP)
        steps += 1

    assert steps == 3, "one step a claim: collect, process, end"


# --- several jobs, stop, deletion -------------------------------------------------------------------------------------


async def test_bulk_job_started_twice_is_one_job(operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    await queued(runtime, tenant, 2)
    wanted = {"tenant_id": tenant.id, "status": "queued"}
    first, second = await asyncio.gather(start(operator, wanted), start(operator, wanted))

    assert first.json()["id"] == second.json()["id"]
    job = await finished(runtime, first.json()["id"])
    assert counts(job) == ("done", 2, 2, 0, 0)
    assert sorted(entry.facts["joined"] for entry in await entries(runtime, "start_bulk_job")) == [False, True]
    assert (await start(operator, wanted)).json()["id"] != job.id, "an ended job is not joined"


async def test_bulk_jobs_at_the_same_time_are_bounded(operator: httpx.AsyncClient, tenant: Tenant) -> None:
    answers = [await start(operator, {"tenant_id": tenant.id, "model": f"model-{n}"}) for n in range(11)]

    assert [answer.status_code for answer in answers] == [202] * 10 + [409]


async def test_bulk_job_that_is_stopped_keeps_what_is_left(
    operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    names = await queued(runtime, tenant, STEP + 2)
    job_id = await started(operator, {"tenant_id": tenant.id})
    for _ in range(2):
        assert await runtime.operations.bulk_jobs.continue_step(job_id)

    answer = await operator.post(f"{BULK}/{job_id}/stop", json={"reason": "wrong tenant"})

    assert (answer.status_code, answer.json()["stopping"]) == (200, True)
    job = await finished(runtime, job_id)
    assert counts(job) == ("stopped", STEP + 2, STEP, 0, 0)
    assert len(await touched(runtime, {name: name for name in names})) == STEP
    again = await operator.post(f"{BULK}/{job_id}/stop", json={"reason": "again"})
    assert (again.json()["note"], again.json()["stopping"]) == ("wrong tenant", False)


async def test_bulk_job_of_a_deleted_tenant_ends(operator: httpx.AsyncClient, runtime: Runtime) -> None:
    gone = await runtime.tenants.service.create("gone")
    job_id = await started(operator, {"tenant_id": gone.id})
    await runtime.tenants.service.delete(gone.id, drain=False)

    job = await finished(runtime, job_id)

    assert (job.state.value, job.note) == ("stopped", "Its tenant was deleted.")


# --- access, the trail, wrong bodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", sorted(Role))
async def test_bulk_job_needs_the_role_of_an_operator(
    role: Role, app: FastAPI, runtime: Runtime, tenant: Tenant
) -> None:
    service = runtime.operators.service
    _, token = await service.create_token((await service.create("Ada", role)).id)
    body = {"kind": "cancel", "filter": {"tenant_id": tenant.id}}
    new = {**body, "reason": "flood", "previewed_at": "2026-01-31T00:00:00Z", "expected": 0}
    async with client_of(app, token) as client:
        writes = [
            (await client.post(f"{BULK}/preview", json=body)).status_code,
            (answer := await client.post(BULK, json=new)).status_code,
        ]
        reads = [(await client.get(BULK)).status_code]

    assert reads == [200]
    assert writes == ([403, 403] if role is Role.VIEWER else [200, 202]), answer.text


async def test_bulk_job_is_in_the_trail_at_its_start_and_its_end(
    app: FastAPI, runtime: Runtime, tenant: Tenant
) -> None:
    service = runtime.operators.service
    _, token = await service.create_token((await service.create("Ada", Role.OPERATOR)).id)
    await queued(runtime, tenant, 2)
    async with client_of(app, token) as client:
        job_id = await started(client, {"tenant_id": tenant.id, "status": "queued", "end_user_id": "customer-7"})
    await finished(runtime, job_id)

    (start,) = await entries(runtime, "start_bulk_job")
    (end,) = await entries(runtime, "end_bulk_job")
    for entry in (start, end):
        assert (entry.target, entry.tenant_id, entry.reason) == (job_id, tenant.id, "a flood")
        assert (entry.actor.name, entry.actor.role, entry.outcome.value) == ("Ada", Role.OPERATOR, "done")
        assert "customer-7" not in str(entry)
    assert end.facts == {"state": "done", "matched": 0, "done": 0, "skipped": 0, "failed": 0}


_CANCEL: Final = {"kind": "cancel", "filter": {"tenant_id": "ten_00000000000000000000000000"}}
WRONG: Final[dict[str, tuple[dict[str, Any], int]]] = {
    "no filter": ({"kind": "cancel"}, 422),
    "no tenant": ({"kind": "cancel", "filter": {}}, 422),
    "unknown tenant": (_CANCEL, 404),
    "no tenant's id": ({"kind": "cancel", "filter": {"tenant_id": "ten_1"}}, 404),
    "unknown kind": ({**_CANCEL, "kind": "delete"}, 422),
    "unknown condition": ({"kind": "cancel", "filter": {"prompt": "x"}}, 422),
    "ended status": ({"kind": "cancel", "filter": {"tenant_id": "ten_1", "status": "succeeded"}}, 422),
    "status of deliveries": ({"kind": "cancel", "filter": {"tenant_id": "ten_1", "status": "dead"}}, 422),
    "pending deliveries": ({"kind": "replay", "filter": {"tenant_id": "ten_1", "status": "pending"}}, 422),
    "endpoint of a cancel": ({"kind": "cancel", "filter": {"tenant_id": "ten_1", "endpoint_id": "whe_1"}}, 422),
    "model of a replay": ({"kind": "replay", "filter": {"tenant_id": "ten_1", "model": "x"}}, 422),
    "wrong id": ({"kind": "cancel", "filter": {"ids": ["gen_1"]}}, 422),
    "id of a delivery": ({"kind": "cancel", "filter": {"ids": ["msg_00000000000000000000000000"]}}, 422),
    "too many ids": ({"kind": "cancel", "filter": {"ids": ["gen_00000000000000000000000000"] * 501}}, 422),
    "time without offset": ({"kind": "cancel", "filter": {"tenant_id": "ten_1", "created_before": "2026-01-31"}}, 422),
    "two end users": ({"kind": "cancel", "filter": {"tenant_id": "ten_1", "end_user": "a", "end_user_id": "b"}}, 422),
    "end user without tenant": ({"kind": "cancel", "filter": {"end_user_id": "b"}}, 422),
}


@pytest.mark.parametrize("case", sorted(WRONG))
async def test_bulk_preview_refuses_wrong_bodies(case: str, operator: httpx.AsyncClient) -> None:
    body, status = WRONG[case]
    answer = await operator.post(f"{BULK}/preview", json=body)

    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("change", [{"reason": ""}, {"expected": -1}, {"previewed_at": "2999-01-01T00:00:00Z"}])
async def test_bulk_start_refuses_wrong_bodies(
    change: dict[str, Any], operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    assert (await start(operator, {"tenant_id": tenant.id}, **change)).status_code == 422


async def test_bulk_jobs_are_listed_newest_first_in_pages(
    operator: httpx.AsyncClient, tenant: Tenant, clock: Clock
) -> None:
    made = []
    for n in range(3):
        made.append(await started(operator, {"tenant_id": tenant.id, "model": f"model-{n}"}))
        clock.advance(timedelta(seconds=1))
    first = (await operator.get(BULK, params={"limit": 2})).json()
    second = (await operator.get(BULK, params={"limit": 2, "cursor": first["next_cursor"]})).json()

    assert [job["id"] for page in (first, second) for job in page["data"]] == made[::-1]
    assert (second["has_more"], (await operator.get(f"{BULK}/{made[0]}")).json()["id"]) == (False, made[0])
    assert (await operator.get(f"{BULK}/blk_1")).status_code == 404
