"""Causes that close and open the dispatch gate: fal's responses, and operators."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.config.settings import Settings
from service.domain.dispatch_gate import PauseCause
from service.domain.generation import Generation
from service.domain.outcomes import Accepted, Locked
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.errors import Draining
from service.runtime import Runtime
from service.store.gate.gate import GateStore, Signal
from service.usecases.lifecycle.dispatch_gate import LOCKED_POLLS
from tests.conftest import Scrape
from tests.support import factories
from tests.support.factories import Clock
from tests.support.waiting import process_due

FAILURES = 3
PROBE = timedelta(seconds=15)
Create = Callable[..., Awaitable[Generation]]


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, submit_failures=FAILURES, submit_probe=PROBE)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.fixture
def create(runtime: Runtime, owner: Tenant, clock: Clock) -> Create:
    async def made(prompt: str = "sandbox:no-video sandbox:hang") -> Generation:
        clock.advance(timedelta(milliseconds=1))
        request = factories.create_request(prompt=prompt, image_url="https://v3b.fal.media/a.jpg")
        return (await runtime.generations.creator.create(owner, request)).generation

    return made


@pytest.fixture
async def fal(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The sandbox's control API. Faults end with the test."""
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        yield client
        (await client.delete("/_sandbox/faults")).raise_for_status()


async def fault(fal: httpx.AsyncClient, operation: str, kind: str) -> None:
    (await fal.post("/_sandbox/faults", json={operation: {"kind": kind}})).raise_for_status()


async def status(runtime: Runtime, g: Generation) -> Status:
    found = await runtime.stores.generations.load(g.id)
    assert found is not None
    return found.status


async def refusals(runtime: Runtime, *created: Generation) -> list[int]:
    found = [await runtime.stores.generations.load(g.id) for g in created]
    return [g.submit_refusals for g in found if g is not None]


async def submits(fal: httpx.AsyncClient) -> int:
    return len((await fal.get("/_sandbox/requests")).json())


# --- what fal's answers do


@pytest.mark.parametrize("kind", ["locked", "unauthorized"])
async def test_gate_locked_account_closes_then_opens_itself(
    runtime: Runtime, clock: Clock, fal: httpx.AsyncClient, create: Create, kind: str
) -> None:
    await fault(fal, "submit", kind)
    first = await create()
    await process_due(runtime, WorkQueue.DISPATCH)
    assert await status(runtime, first) is Status.QUEUED, "refused, and not lost"
    gate = await runtime.operations.gate.read()
    assert gate.hold is PauseCause.LOCKED
    assert gate.retry_at == clock() + PROBE
    second = await create()
    await process_due(runtime, WorkQueue.DISPATCH)
    assert await refusals(runtime, first, second) == [1, 0], "held"
    clock.advance(PROBE)
    await process_due(runtime, WorkQueue.DISPATCH)
    assert await refusals(runtime, first, second) == [1, 1], "the one that was never refused tries, and no other"
    await fal.delete("/_sandbox/faults")
    clock.advance(PROBE * 2)
    for _ in range(2):
        await process_due(runtime, WorkQueue.DISPATCH)
    assert (await runtime.operations.gate.read()).hold is None
    assert [await status(runtime, g) for g in (first, second)] == [Status.SUBMITTED] * 2


async def test_gate_locked_polls_of_several_jobs_close_it(
    runtime: Runtime, clock: Clock, fal: httpx.AsyncClient, create: Create
) -> None:
    running = [await create() for _ in range(LOCKED_POLLS)]
    await process_due(runtime, WorkQueue.DISPATCH)
    await fault(fal, "status", "locked")
    clock.advance(timedelta(seconds=30))
    await process_due(runtime, WorkQueue.POLL)
    assert (await runtime.operations.gate.read()).hold is PauseCause.LOCKED
    for g in running:
        assert await status(runtime, g) in (Status.SUBMITTED, Status.IN_PROGRESS)
    waiting = await create()
    await process_due(runtime, WorkQueue.DISPATCH)
    assert await status(runtime, waiting) is Status.QUEUED
    await fal.delete("/_sandbox/faults")
    clock.advance(timedelta(seconds=10))
    await process_due(runtime, WorkQueue.POLL)
    assert (await runtime.operations.gate.read()).hold is None, "an answered poll outweighs refused ones"
    await process_due(runtime, WorkQueue.DISPATCH)
    assert await status(runtime, waiting) is Status.SUBMITTED


async def test_gate_locked_polls_of_one_job_do_not_close_it(
    runtime: Runtime, clock: Clock, fal: httpx.AsyncClient, create: Create
) -> None:
    await create()
    await process_due(runtime, WorkQueue.DISPATCH)
    await fault(fal, "status", "locked")
    for _ in range(2 * LOCKED_POLLS):
        clock.advance(timedelta(seconds=30))
        await process_due(runtime, WorkQueue.POLL)
    assert (await runtime.operations.gate.read()).hold is None


async def test_gate_locked_poll_before_accepted_submit_is_void(runtime: Runtime, clock: Clock, create: Create) -> None:
    sent_at = clock()
    clock.advance(timedelta(seconds=1))
    running = [await create() for _ in range(LOCKED_POLLS)]
    await process_due(runtime, WorkQueue.DISPATCH)
    for g in running:
        await runtime.operations.gate.locked_poll(g, "User is locked.", sent_at)
    assert (await runtime.operations.gate.read()).hold is None
    for g in running:
        await runtime.operations.gate.locked_poll(g, "User is locked.", clock())
    assert (await runtime.operations.gate.read()).hold is PauseCause.LOCKED


async def test_gate_closes_after_consecutive_failures_only(
    runtime: Runtime, clock: Clock, fal: httpx.AsyncClient, create: Create
) -> None:
    async def sent(prompt: str) -> None:
        await create(f"{prompt} sandbox:hang sandbox:no-video")
        await process_due(runtime, WorkQueue.DISPATCH)

    for _ in range(FAILURES - 1):
        await sent("sandbox:500")
    await sent("")
    for _ in range(FAILURES - 1):
        await sent("sandbox:500")
    assert (await runtime.operations.gate.read()).hold is None
    await sent("sandbox:500")
    gate = await runtime.operations.gate.read()
    assert (gate.hold, gate.retry_at) == (PauseCause.FAILING, clock() + PROBE)


async def test_gate_probes_are_single_with_growing_pauses(
    runtime: Runtime, clock: Clock, fal: httpx.AsyncClient, create: Create
) -> None:
    before = await submits(fal)
    await fault(fal, "submit", "503")
    for _ in range(FAILURES):
        await create()
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await runtime.operations.gate.read()).hold is PauseCause.FAILING
    waits = []
    for _ in range(6):
        gate = await runtime.operations.gate.read()
        assert gate.retry_at is not None
        waits.append((gate.retry_at - clock()).total_seconds())
        clock.now = gate.retry_at
        await process_due(runtime, WorkQueue.DISPATCH)
        await process_due(runtime, WorkQueue.DISPATCH)
    assert waits == [15, 30, 60, 120, 240, 300]
    assert await submits(fal) == before, "a probe is a queued generation, refused like any other"
    await fal.delete("/_sandbox/faults")
    clock.advance(timedelta(seconds=300))
    for _ in range(2):
        await process_due(runtime, WorkQueue.DISPATCH)
    assert await submits(fal) == before + FAILURES


async def test_gate_probe_of_dead_worker_is_repeated(runtime: Runtime, clock: Clock, create: Create) -> None:
    for _ in range(2):
        await create()
    await runtime.operations.gate.locked("User is locked.")
    clock.advance(PROBE)
    (first,) = (await runtime.stores.queue.claim(now=clock(), most=9, lease=timedelta(seconds=15), slots=9)).taken
    assert (await runtime.stores.queue.claim(now=clock(), most=9, lease=timedelta(seconds=15), slots=9)).taken == []
    clock.advance(timedelta(seconds=60))
    (again,) = (await runtime.stores.queue.claim(now=clock(), most=9, lease=timedelta(seconds=15), slots=9)).taken
    assert again.id == first.id, "its slot is its own"


async def test_gate_probe_is_single_among_many_workers(runtime: Runtime, clock: Clock, create: Create) -> None:
    for _ in range(20):
        await create()
    await runtime.operations.gate.locked("User is locked.")
    clock.advance(PROBE)
    claims = await asyncio.gather(
        *(runtime.stores.queue.claim(now=clock(), most=9, lease=timedelta(seconds=15), slots=9) for _ in range(10))
    )
    assert sum(len(claim.taken) for claim in claims) == 1


async def test_gate_concurrent_failures_close_it_once(runtime: Runtime, clock: Clock) -> None:
    store = GateStore(runtime.redis, failures=FAILURES, first_probe=PROBE, last_probe=PROBE * 20)

    async def noted(signal: Signal, n: int) -> str:
        subject = {"generation_id": f"gen_{n}", "tenant_id": f"ten_{n % 3}"}
        return (await store.note(signal, "reset", clock(), **subject)).change

    changes = await asyncio.gather(*(noted("unknown", n) for n in range(24)))
    assert changes.count("shut") == 1
    assert (await store.read()).retry_at == clock() + PROBE, "those under way count for nothing more"
    changes = await asyncio.gather(*(noted("taken", n) for n in range(24)))
    assert changes.count("opened") == 1


async def test_gate_counts_failures_of_one_generation_once(runtime: Runtime, clock: Clock) -> None:
    store = GateStore(runtime.redis, failures=FAILURES, first_probe=PROBE, last_probe=PROBE * 20)
    for generation_id, tenant_id in [("gen_a", "ten_a")] * 20 + [("gen_b", "ten_b")]:
        await store.note("unsent", "ConnectError", clock(), generation_id=generation_id, tenant_id=tenant_id)
    gate = await store.read()
    assert (gate.hold, gate.held_tenants) == (None, 0)
    assert (gate.failed_generations, gate.failed_tenants) == (2, 2)


async def test_gate_failure_claimed_before_accepted_is_void(runtime: Runtime, clock: Clock, create: Create) -> None:
    """One accepted submit outweighs late responses of submits that were claimed before it, whatever the clock says."""
    created = {g.id: g for g in [await create() for _ in range(FAILURES + 2)]}
    claim = await runtime.stores.queue.claim(now=clock(), most=9, lease=timedelta(seconds=15), slots=9)
    accepted, *others = (created[item.id] for item in claim.taken)
    await runtime.operations.gate.note(Accepted("request"), accepted)
    for g in others:
        await runtime.operations.gate.note(Locked("User is locked."), g)
    gate = await runtime.operations.gate.read()
    assert (gate.hold, gate.held_tenants, gate.failed_generations) == (None, 0, 0)
    await runtime.operations.gate.note(Locked("User is locked."), await create())
    assert (await runtime.operations.gate.read()).held_tenants == 1


async def test_gate_locked_polls_of_one_tenant_do_not_close_it(runtime: Runtime, clock: Clock, create: Create) -> None:
    running = [await create() for _ in range(LOCKED_POLLS)]
    other_tenant = await runtime.tenants.service.create("other")
    request = factories.create_request(prompt="sandbox:hang", image_url="https://v3b.fal.media/a.jpg")
    other = (await runtime.generations.creator.create(other_tenant, request)).generation
    await process_due(runtime, WorkQueue.DISPATCH)
    for g in running:
        await runtime.operations.gate.locked_poll(g, "No.", clock())
    assert (await runtime.operations.gate.read()).hold is None
    await runtime.operations.gate.locked_poll(other, "No.", clock())
    assert (await runtime.operations.gate.read()).hold is PauseCause.LOCKED


# --- what operators do


@pytest.fixture
async def admin(operator: httpx.AsyncClient) -> httpx.AsyncClient:
    return operator


async def _post(admin: httpx.AsyncClient, path: str, **body: Any) -> Any:
    answer = await admin.post(f"/admin/v1{path}", json=body) if body else await admin.post(f"/admin/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_pause_stops_dispatch_only(
    runtime: Runtime,
    clock: Clock,
    admin: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    create: Create,
    scrape: Scrape,
) -> None:
    running = await create("sandbox:no-video")
    await process_due(runtime, WorkQueue.DISPATCH)
    paused = await _post(admin, "/pause", reason="fal announces maintenance")
    assert (paused["state"], paused["reason"]) == ("paused", "fal announces maintenance")
    waiting = await create()
    await process_due(runtime, WorkQueue.DISPATCH)
    assert await status(runtime, waiting) is Status.QUEUED
    async with asyncio.timeout(60):
        while await status(runtime, running) is not Status.SUCCEEDED:
            clock.advance(timedelta(seconds=1))  # a slow sandbox must not come to the deadline of our clock
            await process_due(runtime, WorkQueue.POLL)
            await asyncio.sleep(0.02)
    ready = await anonymous.get("/readyz")
    assert (ready.status_code, ready.json()["dispatch"]) == (200, {"state": "paused", "draining": False})
    assert 'gateway_dispatch_paused{cause="paused"} 1.0' in await scrape()
    assert (await _post(admin, "/resume"))["state"] == "open"
    await process_due(runtime, WorkQueue.DISPATCH)
    assert await status(runtime, waiting) is Status.SUBMITTED


async def test_pause_outlives_every_process(runtime: Runtime, settings: Settings) -> None:
    from service.runtime import open_runtime

    await runtime.operations.gate.pause("night")
    async with open_runtime(settings) as another:
        gate = await another.operations.gate.read()
    assert (gate.hold, gate.reason) == (PauseCause.PAUSED, "night")


async def test_pause_is_not_ended_by_a_success(runtime: Runtime, clock: Clock, create: Create) -> None:
    await create()
    taken = (await runtime.stores.queue.claim(now=clock(), most=1, lease=timedelta(seconds=15), slots=9)).taken
    await runtime.operations.gate.pause("night")
    await runtime.queues.dispatch.submit(taken[0])
    assert (await runtime.operations.gate.read()).hold is PauseCause.PAUSED


async def test_drain_refuses_creates_and_finishes_the_rest(
    runtime: Runtime, admin: httpx.AsyncClient, api: httpx.AsyncClient, create: Create
) -> None:
    body = factories.create_body(prompt="sandbox:no-video sandbox:hang")
    key = {"idempotency-key": "order-7"}
    first = (await api.post("/v1/generations", json=body, headers=key)).json()
    drained = await _post(admin, "/drain", reason="moving house")
    assert (drained["draining"], drained["drain_reason"]) == (True, "moving house")
    refused = await api.post("/v1/generations", json=body)
    assert (refused.status_code, refused.json()["code"]) == (503, "draining")
    assert int(refused.headers["retry-after"]) > 0
    again = await api.post("/v1/generations", json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first["id"]), "a replay creates nothing"
    with pytest.raises(Draining):
        await create()
    assert await runtime.stores.queue.unfinished() == 1
    assert (await runtime.operations.audit.run()).differences == []
    await process_due(runtime, WorkQueue.DISPATCH)
    assert (await api.get(f"/v1/generations/{first['id']}")).json()["status"] == "submitted"
    await _post(admin, "/resume")
    assert (await api.post("/v1/generations", json=body)).status_code == 202


async def test_tenant_pause_is_shown_and_ends_with_resume(
    admin: httpx.AsyncClient, api: httpx.AsyncClient, scrape: Scrape, tenant: Tenant
) -> None:
    path = f"/tenants/{tenant.id}"
    paused = await _post(admin, f"{path}/pause", reason="an endless loop")
    assert paused["paused"]["reason"] == "an endless loop"
    assert (await _post(admin, f"{path}/pause", reason="another"))["paused"] == paused["paused"], "the first reason"
    created = await api.post("/v1/generations", json=factories.create_body())
    assert created.status_code == 202, "its keys go on"
    assert (await admin.get("/admin/v1/dispatch")).json()["paused_tenants"] == 1
    assert "gateway_tenants_paused 1.0" in await scrape()
    assert (await _post(admin, f"{path}/resume"))["paused"] is None
    assert (await admin.get("/admin/v1/dispatch")).json()["paused_tenants"] == 0


@pytest.mark.parametrize("path", ["/pause", "/drain"])
@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 501}, {"reason": 7}, {"why": "x"}]
)
async def test_pause_without_reason_is_refused(
    runtime: Runtime, admin: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await admin.post(f"/admin/v1{path}", json=body)
    assert answer.status_code == 422
    gate = await runtime.operations.gate.read()
    assert (gate.hold, gate.draining) == (None, False)
