"""Several processes change one endpoint: each script lets one of them win, and returns the conflict to the others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from service.domain import ids
from service.domain.signing import new_key
from service.domain.tenant import Tenant
from service.domain.webhook import EventType
from service.domain.webhook_endpoint import MOST_ENDPOINTS, Disabled, Endpoint
from service.runtime import Runtime
from service.store import keys
from service.store.redis.client import Redis
from service.store.tenants.sealing import Purpose, Sealer
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.endpoints import EndpointStore, FailureStage, queue_name
from service.usecases.webhooks.fanout import endpoint_events
from tests.support import factories
from tests.support.factories import NOW, SECRET_KEY
from tests.support.webhooks import ENDPOINTS, endpoint

RACERS = 8
DAY = timedelta(days=1)


@pytest.fixture
async def racers(redis_url: str) -> AsyncIterator[list[EndpointStore]]:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Redis(redis_url, timeout=5)) for _ in range(RACERS)]
        yield [EndpointStore(redis, Sealer([SECRET_KEY], Purpose.ENDPOINTS)) for redis in opened]


def fresh(tenant_id: str) -> Endpoint:
    return Endpoint(
        id=ids.new(ids.ENDPOINT, NOW),
        tenant_id=tenant_id,
        url="https://receiver.example/",
        keys=(new_key(ed25519=False),),
        events=(EventType.FAILING, EventType.DISABLED),
        created_at=NOW,
    )


async def test_endpoint_delete_loses_to_concurrent_update(runtime: Runtime, racers: list[EndpointStore]) -> None:
    owner = await runtime.tenants.service.create("acme")
    stored = await racers[0].put(fresh(owner.id))
    assert isinstance(stored, Endpoint)

    changed, *deleted = await asyncio.gather(
        racers[0].put(replace(stored, description="changed")), *(racer.delete(stored) for racer in racers[1:])
    )

    assert [isinstance(changed, Endpoint), *deleted].count(True) == 1
    assert (await racers[1].load(owner.id, stored.id) is None) == (not isinstance(changed, Endpoint))


async def test_endpoint_concurrent_updates_one_wins(runtime: Runtime, racers: list[EndpointStore]) -> None:
    owner = await runtime.tenants.service.create("acme")
    stored = await racers[0].put(fresh(owner.id))
    assert isinstance(stored, Endpoint)
    answers = await asyncio.gather(*(racer.put(replace(stored, description=str(n))) for n, racer in enumerate(racers)))
    (won,) = [answer for answer in answers if isinstance(answer, Endpoint)]
    assert Counter(answer for answer in answers if answer != won) == {"changed": RACERS - 1}
    assert await racers[1].load(owner.id, stored.id) == won


async def test_endpoint_concurrent_creates_respect_limit(runtime: Runtime, racers: list[EndpointStore]) -> None:
    owner = await runtime.tenants.service.create("acme")
    answers = await asyncio.gather(*(racer.put(fresh(owner.id)) for racer in racers for _ in range(5)))
    assert Counter(answer if isinstance(answer, str) else "written" for answer in answers) == {
        "written": MOST_ENDPOINTS,
        "full": 5 * RACERS - MOST_ENDPOINTS,
    }


async def test_endpoint_of_deleted_tenant_is_not_written(racers: list[EndpointStore]) -> None:
    assert await racers[0].put(fresh(factories.tenant().id)) == "orphan"


async def test_concurrent_failures_publish_stage_once(runtime: Runtime, racers: list[EndpointStore]) -> None:
    owner = await runtime.tenants.service.create("acme")
    failing, other = await racers[0].put(fresh(owner.id)), await racers[0].put(fresh(owner.id))
    assert isinstance(failing, Endpoint)
    assert isinstance(other, Endpoint)
    answers = await asyncio.gather(
        *(
            racer.announce(
                failing,
                endpoint_events(failing, EventType.FAILING, [failing, other], NOW),
                now=NOW,
                retention=DAY,
                stage=FailureStage(50),
            )
            for racer in racers
        )
    )
    assert Counter(answer.won for answer in answers) == {True: 1, False: RACERS - 1}
    assert sum(bool(answer.nudges) for answer in answers) == 1
    assert await runtime.redis.execute("ZCARD", keys.endpoint_queue(queue_name(other))) == 1
    disabled = replace(failing, disabled=Disabled("failing", NOW))
    late = await racers[0].announce(
        replace(failing, version=7), [], now=NOW, retention=DAY, stage=FailureStage(100, after=disabled)
    )
    assert not late.won, "the endpoint has changed since it was read"
    assert await racers[0].load(owner.id, failing.id) == failing


async def test_concurrent_purges_of_delivery_count_once(runtime: Runtime, racers: list[EndpointStore]) -> None:
    owner = await runtime.tenants.service.create("acme")
    stored = await racers[0].put(fresh(owner.id))
    assert isinstance(stored, Endpoint)
    events = endpoint_events(replace(stored, id="whe_other"), EventType.FAILING, [stored], NOW)
    await racers[0].announce(stored, events, now=NOW, retention=DAY)
    await asyncio.gather(
        *(DeliveryStore(racer._redis).delete(owner.id, [event.id for event in events]) for racer in racers)
    )
    left = {name.decode() for name in await runtime.redis.execute("KEYS", "*")}
    assert {name for name in left if "tenant" in name} == {
        keys.tenant(owner.id),
        keys.TENANTS,
        keys.endpoints_of_tenant(owner.id),
    }


async def test_concurrent_rotations_lose_no_secret(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    """Each rotation returns a secret that signs, up to the limit of secrets."""
    made = await endpoint(api, "https://receiver.example/")
    for name in (made["id"], "default"):
        answers = await asyncio.gather(*(api.post(f"{ENDPOINTS}/{name}/rotate-secret", json={}) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {200}
        shown = (await api.get(f"{ENDPOINTS}/{name}/secret")).json()
        assert {answer.json()["secret"] for answer in answers} < {key["secret"] for key in shown["keys"]}
        assert len(shown["keys"]) == 4
