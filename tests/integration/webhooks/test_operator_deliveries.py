"""Deliveries and receivers of all tenants, for operators: lists, replays, health, and indexes without remains."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from tests.integration.trail.test_acts import operator_of
from tests.support import factories
from tests.support.factories import Clock, create_body
from tests.support.receiver import Receiver
from tests.support.trail import entries
from tests.support.webhooks import DELIVERIES, ENDPOINTS, drained, ended, endpoint, read

ALL = "/admin/v1/deliveries"
RECEIVERS = "/admin/v1/failing-receivers"
WHY = {"reason": "the receiver works again"}


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, webhook_schedule=(timedelta(0), timedelta(hours=1)))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.otherwise = 500
        yield running


async def exhausted(runtime: Runtime, clock: Clock) -> None:
    """Make both attempts of the pending deliveries."""
    await drained(runtime)
    clock.advance(timedelta(hours=2))
    await drained(runtime)


async def listed(operator: httpx.AsyncClient, **parameters: Any) -> list[str]:
    """Return the ids of all pages."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await operator.get(ALL, params={"limit": 2, **parameters, **cursor})
        assert answer.status_code == 200, answer.text
        found += [each["id"] for each in answer.json()["data"]]
        if answer.json()["next_cursor"] is None:
            return found
        cursor = {"cursor": answer.json()["next_cursor"]}


async def members(redis: Redis, key: str) -> set[str]:
    return {name.decode() for name in await redis.execute("ZRANGE", key, 0, -1)}


async def test_dead_letters_of_all_tenants_are_listed(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    clock: Clock,
    receiver: Receiver,
    tenant: Tenant,
) -> None:
    made = await endpoint(api, receiver.url)
    await endpoint(other_api, receiver.url)
    for client in (api, other_api, api):
        clock.advance(timedelta(minutes=1))
        await ended(client)
    await exhausted(runtime, clock)
    receiver.otherwise = 204
    await ended(api)  # delivered
    await drained(runtime)

    of_tenant = [each["id"] for each in (await api.get(DELIVERIES, params={"status": "dead"})).json()["data"]]
    of_other = [each["id"] for each in (await other_api.get(DELIVERIES)).json()["data"]]

    assert (len(of_tenant), len(of_other)) == (2, 1)
    everything = await listed(operator, status="dead")
    assert everything == sorted(of_tenant + of_other, reverse=True)
    assert await listed(operator, status="dead", endpoint_id=made["id"]) == of_tenant
    assert await listed(operator, status="dead", event="generation.succeeded") == []
    assert await listed(operator, status="dead", created_after=clock().isoformat()) == []
    assert await listed(operator, tenant_id=tenant.id, status="dead") == of_tenant
    assert len(await listed(operator, tenant_id=tenant.id)) == 3
    assert len(await listed(operator, tenant_id=tenant.id, status="delivered")) == 1
    assert await listed(operator, tenant_id="ten_unknown") == []


@pytest.mark.parametrize("status", [None, "pending", "delivered"])
async def test_list_without_tenant_is_of_dead_letters_or_generation(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, receiver: Receiver, tenant: Tenant, status: str | None
) -> None:
    await endpoint(api, receiver.url)
    generation_id = await ended(api)
    parameters = {} if status is None else {"status": status}

    refused = await operator.get(ALL, params=parameters)
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/query/tenant_id"], refused.text
    expected = 0 if status == "delivered" else 1
    assert len(await listed(operator, generation_id=generation_id, **parameters)) == expected
    assert len(await listed(operator, generation_id=generation_id, tenant_id=tenant.id, **parameters)) == expected
    for other in ({"generation_id": "gen_1"}, {"generation_id": generation_id, "tenant_id": "ten_other"}):
        assert await listed(operator, **other, **parameters) == []


async def test_operator_reads_attempts_without_body_and_secrets(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    await endpoint(api, f"{receiver.url}/hook?token=s3cret")
    await ended(api, end_user_id="anna")
    await exhausted(runtime, clock)
    (delivery_id,) = await listed(operator, status="dead")

    shown = await operator.get(f"{ALL}/{delivery_id}")

    assert [attempt["status"] for attempt in shown.json()["attempts"]] == [500, 500]
    assert shown.json()["url"] == f"{receiver.url}/hook"
    own = (await api.get(f"{DELIVERIES}/{delivery_id}")).json()
    assert {**own, "url": shown.json()["url"], "tenant_id": shown.json()["tenant_id"]} == {
        **shown.json(),
        "body": own["body"],
    }
    assert "s3cret" not in shown.text + (await operator.get(ALL, params={"status": "dead"})).text
    assert "anna" not in shown.text


async def test_operator_replay_is_sent_and_needs_reason(
    api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    clock: Clock,
    receiver: Receiver,
    tenant: Tenant,
) -> None:
    made = await endpoint(api, receiver.url)
    await ended(api)
    await exhausted(runtime, clock)
    (delivery_id,) = await listed(operator, status="dead")
    path = f"{ALL}/{delivery_id}/replay"

    for body in ({}, {"reason": " "}, {"reason": 7}, {**WHY, "force": True}):
        assert (await operator.post(path, json=body)).status_code == 422
    for unknown in ("msg_1", delivery_id[:-1] + ("0" if delivery_id[-1] != "0" else "1")):
        assert (await operator.post(f"{ALL}/{unknown}/replay", json=WHY)).status_code == 404
    at_endpoint = (
        f"/admin/v1/tenants/{(await operator.get(ALL, params={'status': 'dead'})).json()['data'][0]['tenant_id']}"
    )
    await operator.post(f"{at_endpoint}/webhook-endpoints/{made['id']}/disable", json=WHY)
    assert (await operator.post(path, json=WHY)).status_code == 409
    enabled = await operator.post(f"{at_endpoint}/webhook-endpoints/{made['id']}/enable", json=WHY)
    assert (enabled.status_code, enabled.json()["failing"]) == (200, None)

    receiver.otherwise = 204
    before = len(receiver.received)
    answer = await operator.post(path, json=WHY)
    await drained(runtime)

    assert (answer.status_code, answer.json()["status"]) == (202, "pending"), answer.text
    assert len(receiver.received) == before + 1
    assert await listed(operator, status="dead") == []


@dataclass
class Case:
    """A tenant with dead letters."""

    api: httpx.AsyncClient
    runtime: Runtime
    clock: Clock
    tenant_id: str
    dead: list[str]

    async def purge(self) -> None:
        self.clock.advance(timedelta(days=60))
        await self.runtime.queues.run(WorkQueue.SWEEP)
        await self.runtime.queues.consumers[WorkQueue.SWEEP].idle()


#: Every way by which a dead letter ends.
ENDINGS: dict[str, Callable[[Case], Awaitable[Any]]] = {
    "redelivery": lambda case: case.api.post(f"{DELIVERIES}/{case.dead[0]}/redeliver"),
    "replay of all": lambda case: case.api.post(f"{DELIVERIES}/replay", json={"status": "dead"}),
    "erasure": lambda case: case.api.delete("/v1/end-users/anna"),
    "purge": lambda case: case.purge(),
    "deletion of the tenant": lambda case: case.runtime.tenants.service.delete(case.tenant_id, drain=False),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_index_of_dead_letters_is_that_of_each_tenant(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    runtime: Runtime,
    clock: Clock,
    receiver: Receiver,
    tenant: Tenant,
    ending: str,
    redis: Redis,
) -> None:
    made = await endpoint(api, receiver.url)
    await endpoint(other_api, receiver.url)
    for client in (api, api, other_api):
        await ended(client, end_user_id="anna")
    await exhausted(runtime, clock)
    await api.patch(f"{ENDPOINTS}/{made['id']}", json={"enabled": False})
    await ended(api, end_user_id="anna")  # for a disabled endpoint: dead at once, or at its first attempt
    await drained(runtime)
    own = await members(redis, keys.dead_letters_of_tenant(tenant.id))
    everything = await members(redis, keys.DEAD_LETTERS)
    assert (len(own), len(everything)) == (3, 4)
    await api.patch(f"{ENDPOINTS}/{made['id']}", json={"enabled": True})

    await ENDINGS[ending](Case(api, runtime, clock, tenant.id, sorted(own)))

    left = await members(redis, keys.dead_letters_of_tenant(tenant.id))
    assert len(left) < 3
    others = set() if ending == "purge" else everything - own
    assert await members(redis, keys.DEAD_LETTERS) == left | others


async def test_failing_receivers_are_listed_until_success(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    clock: Clock,
    receiver: Receiver,
    tenant: Tenant,
) -> None:
    made = await endpoint(api, receiver.url)
    await ended(api)
    await ended(api)
    await drained(runtime)
    begun = (await read(api, made))["failing"]
    clock.advance(timedelta(minutes=80))  # the wait of an hour may be a fifth longer
    with Receiver() as healthy:
        await endpoint(other_api, healthy.url)
        await ended(other_api)
        await drained(runtime)

    answer = (await operator.get(RECEIVERS)).json()

    assert answer["count"] == 1
    (found,) = answer["data"]
    assert {name: found[name] for name in ("tenant_id", "tenant_name", "endpoint_id", "enabled", "since")} == {
        "tenant_id": tenant.id,
        "tenant_name": "acme",
        "endpoint_id": made["id"],
        "enabled": True,
        "since": begun["since"],
    }
    assert (found["attempts"], found["pending"]) == (4, 0)
    assert (begun["attempts"], begun["percent"]) == (2, 0)
    assert (await operator.get(RECEIVERS, params={"minutes": 81})).json()["data"] == []

    receiver.otherwise = 204
    await ended(api)
    await drained(runtime)
    assert (await operator.get(RECEIVERS, params={"minutes": 0})).json() == {"object": "list", "data": [], "count": 0}
    assert (await read(api, made))["failing"] is None


async def test_failing_receiver_of_webhook_url_shows_last_answer(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, receiver: Receiver
) -> None:
    created = await api.post("/v1/generations", json=create_body(webhook_url=f"{receiver.url}/hook?token=s3cret"))
    await api.post(f"/v1/generations/{created.json()['id']}/cancel")
    await drained(runtime)

    (found,) = (await operator.get(RECEIVERS, params={"minutes": 0})).json()["data"]

    assert (found["endpoint_id"], found["enabled"], found["pending"]) == (None, None, 1)
    assert (found["url"], found["last_attempt"]["status"]) == (f"{receiver.url}/hook", 500)


@pytest.mark.parametrize("end", ["delete", "enable", "tenant", "expiry"])
async def test_failing_receivers_has_no_remains(
    api: httpx.AsyncClient,
    operator: httpx.AsyncClient,
    runtime: Runtime,
    clock: Clock,
    receiver: Receiver,
    tenant: Tenant,
    end: str,
    redis: Redis,
) -> None:
    made = await endpoint(api, receiver.url)
    await ended(api)
    await exhausted(runtime, clock)
    path = f"/admin/v1/tenants/{tenant.id}/webhook-endpoints/{made['id']}"
    assert await members(redis, keys.FAILING_RECEIVERS) == {f"{tenant.id}:{made['id']}"}

    if end == "delete":
        await api.delete(f"{ENDPOINTS}/{made['id']}")
    elif end == "enable":
        for act in ("disable", "enable"):
            assert (await operator.post(f"{path}/{act}", json=WHY)).status_code == 200
    elif end == "tenant":
        await operator.delete(f"/admin/v1/tenants/{tenant.id}")
    else:
        await redis.execute("DEL", keys.endpoint_health(f"{tenant.id}:{made['id']}"))
        assert (await operator.get(RECEIVERS)).json() == {"object": "list", "data": [], "count": 0}

    assert await members(redis, keys.FAILING_RECEIVERS) == set()


async def test_attempts_remove_receivers_whose_health_expired(
    api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, tenant: Tenant, redis: Redis
) -> None:
    for number in range(3):
        await redis.execute("ZADD", keys.FAILING_RECEIVERS, 1, f"ten_gone:{number}")
    made = await endpoint(api, receiver.url)
    for _ in range(12):
        await ended(api)
        await drained(runtime)
    assert f"{tenant.id}:{made['id']}" in await members(redis, keys.FAILING_RECEIVERS)
    assert len(await members(redis, keys.FAILING_RECEIVERS)) < 4


async def test_operator_lists_and_tests_endpoints(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, tenant: Tenant
) -> None:
    made = await endpoint(api, f"{receiver.url}?token=s3cret", headers={"X-Key": "s3cret"})
    path = f"/admin/v1/tenants/{tenant.id}/webhook-endpoints"

    sent = await operator.post(f"{path}/{made['id']}/test", json=WHY)
    await drained(runtime)
    listing = await operator.get(path)

    assert (sent.status_code, sent.json()["event"]) == (202, "webhook.test"), sent.text
    (found,) = listing.json()["data"]
    assert (found["id"], found["tenant_id"], found["headers"]) == (made["id"], tenant.id, ["x-key"])
    assert (found["failing"]["attempts"], found["failing"]["percent"]) == (1, 0)
    assert "s3cret" not in listing.text + sent.text
    await operator.post(f"{path}/{made['id']}/disable", json=WHY)
    assert (await read(api, made))["disabled"]["reason"] == "requested"
    assert (await operator.post(f"{path}/{made['id']}/test", json=WHY)).status_code == 409


@pytest.mark.parametrize("act", ["enable", "disable", "test"])
async def test_operator_act_on_endpoint_of_other_tenant_is_not_found(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, act: str
) -> None:
    made = await endpoint(api, receiver.url)
    other = await runtime.tenants.service.create("other")

    for tenant_id, endpoint_id in ((other.id, made["id"]), ("ten_1", made["id"]), (other.id, "whe_1")):
        path = f"/admin/v1/tenants/{tenant_id}/webhook-endpoints/{endpoint_id}/{act}"
        assert (await operator.post(path, json=WHY)).status_code == 404
        assert (await operator.post(path, json={})).status_code in (404, 422)


async def test_viewer_reads_and_operator_acts(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver, tenant: Tenant
) -> None:
    made = await endpoint(api, receiver.url)
    await ended(api)
    await exhausted(runtime, clock)
    of_endpoints = f"/admin/v1/tenants/{tenant.id}/webhook-endpoints"
    async with operator_of(app, Role.VIEWER) as viewer, operator_of(app, Role.OPERATOR) as on_call:
        (delivery_id,) = await listed(viewer, status="dead")
        for path in (RECEIVERS, f"{ALL}/{delivery_id}", of_endpoints):
            assert (await viewer.get(path)).status_code == 200
        acts = [f"{of_endpoints}/{made['id']}/{act}" for act in ("enable", "disable", "enable", "test")]
        for path in (*acts, f"{ALL}/{delivery_id}/replay"):
            assert (await viewer.post(path, json=WHY)).status_code == 403, path
            assert (await on_call.post(path, json=WHY)).status_code in (200, 202), path

    newest = [(entry.action, entry.target, entry.tenant_id, entry.reason) for entry in await entries(runtime)][-2:]
    assert newest == [
        ("replay_delivery", delivery_id, None, None),  # refused: neither body nor delivery was read
        ("replay_delivery", delivery_id, tenant.id, WHY["reason"]),
    ]
