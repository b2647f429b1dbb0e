"""A deleted tenant: its key is cached for a moment, and no write of the key in that time remains."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.errors import TenantBusy
from service.runtime import Runtime
from service.store import keys
from service.store.generations.creation import Created, Refused
from service.store.generations.generations import GenerationStore
from service.store.redis.client import Redis
from service.usecases.lifecycle.transition_service import Transition
from service.usecases.tenants import authentication
from tests.support import factories
from tests.support.factories import Clock, create_body
from tests.support.trail import is_of_trail
from tests.support.waiting import process_due
from tests.support.webhooks import DELIVERIES, ENDPOINTS, endpoint

END_USER = "/v1/end-users/anna"
#: Every route by which a tenant's key writes, with a body where it needs one. ``{…}`` as in ``Left``.
WRITES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/generations"): create_body(end_user_id="anna"),
    ("POST", "/v1/generations/estimate"): create_body(),
    ("POST", "/v1/generations/{generation_id}/cancel"): None,
    ("POST", "/v1/generations/{generation_id}/complete"): None,
    ("POST", "/v1/generations/{generation_id}/stream-tickets"): None,
    ("POST", "/v1/uploads"): b"an image",
    ("POST", "/v1/end-users/{end_user_id}/block"): None,
    ("POST", "/v1/end-users/{end_user_id}/unblock"): None,
    ("DELETE", "/v1/end-users/{end_user_id}"): None,
    ("POST", "/v1/webhook-endpoints"): {"url": "https://receiver.example/"},
    ("PUT", "/v1/webhook-endpoints/{endpoint_id}"): {"url": "https://receiver.example/"},
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): {"enabled": False},
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): None,
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): {},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): None,
    ("POST", "/v1/webhook-endpoints/default/rotate-secret"): {},
    ("POST", "/v1/deliveries/{delivery_id}/redeliver"): None,
    ("POST", "/v1/deliveries/replay"): {},
    ("POST", "/v1/usage-reports"): {"start": "2025-01-01", "end": "2025-01-31"},
}


async def contents(redis: Redis) -> dict[str, bytes]:
    """Return all stored data, except rate limits and lists of ended generations, which expire."""
    names = sorted(name.decode() for name in await redis.execute("KEYS", "*"))
    compared = [name for name in names if ":rate:" not in name and ":broker:" not in name]
    compared = [name for name in compared if not is_of_trail(name)]
    return {name: await redis.execute("DUMP", name) for name in compared}


@pytest.fixture
async def left(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Return a tenant with a generation, a dead letter and an endpoint, deleted while its key is cached."""
    monkeypatch.setattr(authentication, "CACHE_SECONDS", 3600)
    made = await endpoint(api, "http://127.0.0.1:19999/hook")
    body = create_body(end_user_id="anna", webhook_url="http://127.0.0.1:19999/own")
    g = (await api.post("/v1/generations", json=body)).json()
    await api.post(f"/v1/generations/{g['id']}/cancel")
    for _ in range(len(runtime.settings.webhook_schedule)):
        await process_due(runtime, WorkQueue.DELIVER)
        clock.advance(timedelta(hours=13))
    every = (await api.get(DELIVERIES, params={"status": "dead"})).json()["data"]
    (delivery,) = [each for each in every if each["endpoint_id"] is None]  # its replay reads no endpoint
    await runtime.tenants.service.delete(tenant.id, drain=False)
    return {
        "generation_id": g["id"],
        "delivery_id": delivery["id"],
        "endpoint_id": made["id"],
        "end_user_id": "anna",
    }


def test_deletion_table_has_every_write_route(app: Any) -> None:
    paths = {
        (method.upper(), path.replace(":path", ""))
        for path, verbs in app.openapi()["paths"].items()
        for method in verbs
        if path.startswith("/v1/") and method != "get"
    }
    assert paths - {("POST", "/v1/callbacks/{generation_id}")} <= set(WRITES), sorted(paths - set(WRITES))


@pytest.mark.parametrize(("method", "path"), WRITES, ids=lambda part: part.removeprefix("/v1/"))
async def test_write_after_tenant_delete_changes_nothing(
    api: httpx.AsyncClient, redis: Redis, left: dict[str, str], method: str, path: str
) -> None:
    body = WRITES[(method, path)]
    sent = {"content": body, "headers": {"content-type": "image/png"}} if isinstance(body, bytes) else {"json": body}
    before = await contents(redis)

    answer = await api.request(method, path.format(**left), **({} if body is None else sent))

    assert answer.status_code in (200, 204, 401, 403, 404, 409), answer.text  # 403: no model completes drafts
    assert (answer.status_code == 200) <= (path in ("/v1/generations/estimate", "/v1/deliveries/replay"))
    assert await contents(redis) == before


async def test_create_after_tenant_delete_returns_401(api: httpx.AsyncClient, left: dict[str, str]) -> None:
    answer = await api.post("/v1/generations", json=create_body())
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_use_of_deleted_key_is_not_recorded(
    runtime: Runtime, redis: Redis, tenant: Tenant, clock: Clock, left: dict[str, str]
) -> None:
    """The first use in another minute follows the DELETE."""
    other = await runtime.tenants.service.create("other")
    new = await runtime.tenants.api_keys.create(other.id)
    await runtime.tenants.authenticator.authenticate(new.text, new.key.scopes[0])
    await runtime.tenants.service.delete(other.id, drain=False)
    clock.advance(timedelta(minutes=1))
    await runtime.tenants.authenticator.authenticate(new.text, new.key.scopes[0])
    assert await redis.execute("KEYS", f"*{new.key.id}*") == []


SUBMITTING: Transition = lambda g: g.submitting(factories.NOW)  # noqa: E731
UNCONFIRMED: Transition = lambda g: g.unconfirmed()  # noqa: E731
SUBMITTED: Transition = lambda g: g.submitted("request-1")  # noqa: E731
#: Every status before the end of a generation.
PLACES: dict[str, tuple[Transition, ...]] = {
    "queued": (),
    "submitting": (SUBMITTING,),
    "unconfirmed": (SUBMITTING, UNCONFIRMED),
    "unconfirmed without a slot": (SUBMITTING, UNCONFIRMED, lambda g: g.without_slot()),
    "submitted": (SUBMITTING, SUBMITTED),
    "in progress": (SUBMITTING, SUBMITTED, lambda g: g.started(factories.NOW)),
    "copying": (SUBMITTING, SUBMITTED, lambda g: g.copying_started(factories.output(), 1, factories.NOW)),
    "queued again": (SUBMITTING, lambda g: g.requeued()),
}


@pytest.mark.parametrize("drain", [False, True])
@pytest.mark.parametrize("place", PLACES)
async def test_tenant_delete_waits_for_generation_that_is(
    runtime: Runtime, clock: Clock, place: str, *, drain: bool
) -> None:
    owner = await runtime.tenants.service.create("acme")
    g = (await runtime.generations.creator.create(owner, factories.create_request())).generation
    moves = runtime.transitions
    for verb in PLACES[place]:
        assert await moves.apply(g.id, verb)
    assert (await runtime.operations.audit.run()).differences == []
    with pytest.raises(TenantBusy) as busy:
        await runtime.tenants.service.delete(owner.id, drain=drain)
    assert busy.value.extra == {"in_flight": 1, "webhooks": 0}
    assert (await runtime.tenants.service.get(owner.id)).suspended is drain
    end: Transition = lambda g: (  # noqa: E731
        g.copied(clock()) if g.status is Status.COPYING else g.failed(factories.failure(), 0, clock())
    )
    assert await moves.apply(g.id, end)
    await runtime.tenants.service.delete(owner.id, drain=drain)


async def test_tenant_delete_waits_for_pending_webhooks(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    """The deletion waits until each delivery is delivered or dead; a replay makes it pending again."""
    made = await endpoint(api, "http://127.0.0.1:19999/hook")
    await api.post(f"{ENDPOINTS}/{made['id']}/test")
    g = (await runtime.generations.creator.create(tenant, factories.create_request())).generation
    await runtime.generations.canceller.cancel(tenant, g.id)

    async def refused() -> dict[str, object]:
        assert (await runtime.operations.audit.run()).differences == []
        with pytest.raises(TenantBusy) as busy:
            await runtime.tenants.service.delete(tenant.id, drain=False)
        return busy.value.extra

    assert await refused() == {"in_flight": 2, "webhooks": 2}
    await process_due(runtime, WorkQueue.DELIVER)
    assert await refused() == {"in_flight": 2, "webhooks": 2}, "one attempt failed"
    for _ in range(len(runtime.settings.webhook_schedule)):
        clock.advance(timedelta(hours=13))
        await process_due(runtime, WorkQueue.DELIVER)
    (one, _) = (await api.get(DELIVERIES, params={"status": "dead"})).json()["data"]
    await api.post(f"{DELIVERIES}/{one['id']}/redeliver")
    assert await refused() == {"in_flight": 1, "webhooks": 1}
    await runtime.webhooks.endpoints.delete(tenant, made["id"])
    await process_due(runtime, WorkQueue.DELIVER)
    await runtime.tenants.service.delete(tenant.id, drain=False)
    assert await runtime.redis.execute("KEYS", f"*{tenant.id}:pending_deliveries") == []


async def test_key_created_during_tenant_delete_is_deleted(redis: Redis, runtime: Runtime) -> None:
    for _ in range(10):
        owner = await runtime.tenants.service.create("acme")
        await asyncio.gather(
            runtime.tenants.service.delete(owner.id, drain=False),
            *(runtime.tenants.api_keys.create(owner.id) for _ in range(4)),
            return_exceptions=True,
        )
        assert await redis.execute("KEYS", "*api_key*") == []


async def test_create_races_tenant_delete_one_wins(redis: Redis, runtime: Runtime) -> None:
    """In any order, no generation remains without its tenant."""
    store = GenerationStore(redis)
    for _ in range(20):
        owner = await runtime.tenants.service.create("acme")
        g = factories.generation(tenant_id=owner.id)
        racers: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda g=g: store.create(g, factories.due(), tenant_must_exist=True),  # type: ignore[misc]
            lambda owner=owner: runtime.stores.tenants.delete(owner, now=factories.NOW),  # type: ignore[misc]
        )
        created, _ = await asyncio.gather(*(racer() for racer in racers))
        exists = await redis.execute("EXISTS", keys.tenant(owner.id))
        assert (created == Refused("gone")) is not isinstance(created, Created)
        assert bool(exists) is isinstance(created, Created)
