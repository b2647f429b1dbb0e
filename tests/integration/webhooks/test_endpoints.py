"""Endpoints of a tenant: their subscriptions, their secrets, and what is refused."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import SecretStr

from service.config.settings import Settings
from service.domain import ids
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.domain.webhook_endpoint import Health
from service.errors import TenantBusy
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.store.webhooks.endpoints import queue_name
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.support import factories
from tests.support.factories import Clock, create_body
from tests.support.receiver import Receiver
from tests.support.webhooks import ENDPOINTS, changed, deliveries, drained, ended, endpoint, read

ALL = [
    *("generation.submitted", "generation.in_progress", "generation.succeeded", "generation.failed"),
    *("generation.canceled", "endpoint.failing", "endpoint.disabled", "webhook.test"),
]
HOOK = "https://receiver.example/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


async def test_end_is_delivered_to_each_subscribed_endpoint(
    api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver
) -> None:
    first = await endpoint(api, receiver.url)
    second = await endpoint(api, receiver.url, events=["generation.canceled", "generation.failed"])
    await endpoint(api, receiver.url, events=["generation.succeeded"])
    name = await ended(api, webhook_url=receiver.url)

    await drained(runtime)

    assert len(receiver.received) == 3, "two endpoints, and the request's own webhook_url"
    assert len({r.headers["webhook-id"] for r in receiver.received}) == 3
    assert len({r.body for r in receiver.received}) == 1
    sent = await deliveries(api, generation_id=name)
    assert {d["endpoint_id"] for d in sent} == {first["id"], second["id"], None}
    assert {d["status"] for d in sent} == {"delivered"}
    by_id = {r.headers["webhook-id"]: r for r in receiver.received}
    for d in sent:
        secret = {first["id"]: first["secret"], second["id"]: second["secret"]}.get(d["endpoint_id"])
        if secret is not None:
            assert by_id[d["id"]].verified(secret)["data"]["id"] == name


async def test_request_webhook_is_signed_with_tenant_secret(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, receiver: Receiver
) -> None:
    shown = (await api.get(f"{ENDPOINTS}/default/secret")).json()
    await ended(api, webhook_url=receiver.url)
    await drained(runtime)
    assert shown["secret"] == tenant.webhook_secret
    assert receiver.received[0].verified(tenant.webhook_secret)["type"] == "generation.canceled"


async def test_progress_events_reach_subscribed_endpoints(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    await endpoint(api, receiver.url, events=ALL)
    await endpoint(api, receiver.url)
    created = (await api.post("/v1/generations", json=create_body(webhook_url=receiver.url))).json()
    moves = runtime.transitions
    steps: list[Any] = [
        lambda g: g.submitting(clock()),
        lambda g: g.submitted("request-1"),
        lambda g: g.polled(position=3, logs=()),
        lambda g: g.started(clock()),
        lambda g: g.polled(position=None, logs=(factories.log_line(),)),
        lambda g: g.succeeded(factories.output(), 1, clock()),
    ]
    for step in steps:
        after: Generation | None = await moves.apply(created["id"], step)
        assert after is not None
        clock.advance(timedelta(seconds=1))
    await drained(runtime)

    assert sorted(r.json["type"] for r in receiver.received) == [
        "generation.in_progress",
        "generation.submitted",
        *["generation.succeeded"] * 3,
    ]
    sent = await deliveries(api, generation_id=created["id"])
    assert len(sent) == 5
    assert {d["id"] for d in sent} == {d["id"] for d in await deliveries(api)}


async def test_erased_generation_sends_no_events(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    await endpoint(api, receiver.url, events=ALL)
    created = (await api.post("/v1/generations", json=create_body(end_user_id="customer-7"))).json()
    moves = runtime.transitions
    await moves.apply(created["id"], lambda g: g.submitting(clock()))
    await moves.apply(created["id"], lambda g: g.submitted("request-1"))
    assert len(await deliveries(api)) == 1

    await api.delete("/v1/end-users/customer-7")

    assert await deliveries(api) == [], "a response that quotes the prompt is removed"
    await moves.apply(created["id"], lambda g: g.succeeded(factories.output(), 1, clock()))
    await drained(runtime)
    assert receiver.received == []


async def test_delivery_has_custom_headers_and_traceparent(
    api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    made = await endpoint(api, receiver.url, headers={"X-Api-Key": "s3cret", "authorization": "Bearer x"})
    created = (await api.post("/v1/generations", json=create_body(), headers={"traceparent": trace})).json()
    await api.post(f"/v1/generations/{created['id']}/cancel")
    await drained(runtime)
    (came,) = receiver.received
    assert (came.headers["x-api-key"], came.headers["authorization"]) == ("s3cret", "Bearer x")
    assert (came.headers["content-type"], came.headers["traceparent"]) == ("application/json", trace)
    assert (await read(api, made))["headers"] == ["authorization", "x-api-key"]
    await changed(api, made, description="kept")
    await ended(api)
    await drained(runtime)
    assert receiver.received[1].headers["x-api-key"] == "s3cret", "omitted headers are unchanged"
    assert "traceparent" not in receiver.received[1].headers
    await changed(api, made, headers={})
    assert (await read(api, made))["headers"] == []


@pytest.mark.parametrize("trace", ["", "x", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "00-4bf92f\r\nx: y"])
async def test_delivery_malformed_traceparent_is_omitted(
    api: httpx.AsyncClient, runtime: Runtime, receiver: Receiver, trace: str
) -> None:
    await endpoint(api, receiver.url)
    created = await api.post("/v1/generations", json=create_body(), headers={b"traceparent": trace.encode()})
    assert created.status_code == 202
    await api.post(f"/v1/generations/{created.json()['id']}/cancel")
    await drained(runtime)
    assert "traceparent" not in receiver.received[0].headers


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "http://8.8.8.8/"}, "/url"),
        ({"url": "https://2130706433/"}, "/url"),
        ({"url": "https://user:pass@example.com/"}, "/url"),
        ({"url": "not a url"}, "/url"),
        ({}, "/url"),
        ({"url": HOOK, "events": []}, "/events"),
        ({"url": HOOK, "events": ["generation.exploded"]}, "/events/0"),
        ({"url": HOOK, "headers": {"Host": "evil"}}, "/headers"),
        ({"url": HOOK, "headers": {"Webhook-Id": "mine"}}, "/headers"),
        ({"url": HOOK, "headers": {"Content-Length": "1"}}, "/headers"),
        ({"url": HOOK, "headers": {"a b": "x"}}, "/headers"),
        ({"url": HOOK, "headers": {"a": "x\r\ny: z"}}, "/headers"),
        ({"url": HOOK, "headers": {"a": "é"}}, "/headers"),
        ({"url": HOOK, "headers": {"a": "1", "A": "2"}}, "/headers"),
        ({"url": HOOK, "headers": {f"x-{n}": "1" for n in range(11)}}, "/headers"),
        ({"url": HOOK, "description": "x" * 501}, "/description"),
        ({"url": HOOK, "ed25519": "yes"}, "/ed25519"),
        ({"url": HOOK, "secret": "whsec_mine"}, "/secret"),
    ],
)
async def test_endpoint_invalid_field_returns_422(api: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    answer = await api.post(ENDPOINTS, json=body)
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    made = await endpoint(api, HOOK)
    assert (await api.put(f"{ENDPOINTS}/{made['id']}", json=body)).status_code == 422


async def test_endpoint_forbidden_address_is_refused_at_create(redis_url: str, clock: Clock) -> None:
    settings = factories.settings(redis_url, webhook_allowed_networks=())
    async with open_runtime(settings, clock=clock) as runtime:
        owner = await runtime.tenants.service.create("acme")
        runtime.connections.sender._resolver = FixedResolver("10.0.0.7")
        with pytest.raises(Exception, match="not allowed"):
            await runtime.webhooks.endpoints.create(
                owner, EndpointSpec("https://internal.example/", (), "", None, False, True)
            )
        runtime.connections.sender._resolver = FixedResolver()
        made = await runtime.webhooks.endpoints.create(
            owner, EndpointSpec("https://later.example/", (), "", None, False, True)
        )
        assert made.url == "https://later.example/"


class FixedResolver(AbstractResolver):
    """A name server that always returns the same addresses; without addresses the name does not exist."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if not self._addresses:
            raise OSError("no such name")
        return [
            ResolveResult(hostname=host, host=a, port=port, family=family, proto=0, flags=0) for a in self._addresses
        ]

    async def close(self) -> None:
        pass


async def test_endpoint_limit_returns_409(api: httpx.AsyncClient) -> None:
    for n in range(20):
        await endpoint(api, f"https://receiver.example/{n}")
    answer = await api.post(ENDPOINTS, json={"url": HOOK})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    listed = (await api.get(ENDPOINTS)).json()["data"]
    assert {each["url"].rpartition("/")[2] for each in listed} == {str(n) for n in range(20)}
    assert (await api.delete(f"{ENDPOINTS}/{listed[0]['id']}")).status_code == 204
    await endpoint(api, HOOK)


async def test_endpoint_secret_is_shown_once_and_encrypted(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    made = await endpoint(api, "https://receiver.example/?token=hidden", headers={"x-key": "hidden"}, ed25519=True)
    shown = (await api.get(f"{ENDPOINTS}/{made['id']}/secret")).json()
    assert shown["secret"] == made["secret"]
    assert made["secret"].startswith("whsec_")
    assert made["public_key"].startswith("whpk_")
    for path in (ENDPOINTS, f"{ENDPOINTS}/{made['id']}"):
        assert "whsec_" not in (await api.get(path)).text
    (record,) = (await runtime.redis.execute("HGETALL", keys.endpoints_of_tenant(tenant.id)))[1::2]
    assert b"hidden" not in record
    assert b"wh" not in record.partition(b" ")[0]
    (found,) = await runtime.webhooks.endpoints.list(tenant)
    assert "hidden" not in repr(found)
    assert "whsec_" not in repr(found)


async def test_secret_key_rotation_keeps_endpoint_secrets(
    redis_url: str, settings: Settings, api: httpx.AsyncClient
) -> None:
    made = await endpoint(api, HOOK)
    await api.post(f"{ENDPOINTS}/default/rotate-secret", json={})
    new = factories.OTHER_SECRET_KEY
    both = factories.settings(redis_url, secret_key=SecretStr(f"{new},{factories.SECRET_KEY}"))
    async with open_runtime(both) as runtime:
        await runtime.tenants.service.reseal()
    async with open_runtime(factories.settings(redis_url, secret_key=SecretStr(new))) as runtime:
        (owner,) = await runtime.tenants.service.page()
        (found,) = await runtime.webhooks.endpoints.list(owner)
        assert found.keys[0].secret == made["secret"]
        assert len(await runtime.webhooks.endpoints.keys(owner, "default")) == 2


async def test_tenant_delete_removes_endpoints(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, receiver: Receiver
) -> None:
    made = await endpoint(api, receiver.url)
    await ended(api)
    await api.post(f"{ENDPOINTS}/{made['id']}/test")
    with pytest.raises(TenantBusy):
        await runtime.tenants.service.delete(tenant.id, drain=False)
    await drained(runtime)
    assert len(receiver.received) == 2, "both were pending"
    await runtime.tenants.service.delete(tenant.id, drain=False)
    assert await runtime.redis.execute("KEYS", "*:endpoints") == []
    assert await runtime.redis.execute("KEYS", "*:endpoint:*") == []


async def test_410_of_old_url_does_not_disable_endpoint(
    api: httpx.AsyncClient, runtime: Runtime, clock: Clock, receiver: Receiver
) -> None:
    """A receiver that moves answers 410 to attempts in progress when its tenant has set the new URL."""
    made, loop = await endpoint(api, receiver.url), asyncio.get_running_loop()
    moved = changed(api, made, url=f"{receiver.base_url}/new")
    receiver.answers[:] = [410]

    def move(_: Receiver) -> None:
        asyncio.run_coroutine_threadsafe(moved, loop).result(10)

    receiver.meanwhile = move
    await ended(api)
    await drained(runtime)
    receiver.meanwhile = None
    assert (await read(api, made))["enabled"]
    clock.advance(timedelta(seconds=7))
    await drained(runtime)
    assert [r.path for r in receiver.received] == ["/hook", "/new"]
    assert len({r.headers["webhook-id"] for r in receiver.received}) == 1


async def test_failures_of_old_url_do_not_disable_endpoint(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, clock: Clock
) -> None:
    made = await endpoint(api, HOOK)
    before = await runtime.webhooks.endpoints.get(tenant, made["id"])
    await changed(api, made, url=f"{HOOK}/new")
    await runtime.redis.execute("HSET", keys.endpoint_health(queue_name(before)), "first", ids.milliseconds(clock()))
    decline = runtime.queues.endpoint_health
    await decline.note(before, Health(clock(), percent=100), clock())
    await decline.gone(before, clock())
    assert (await read(api, made))["enabled"]
