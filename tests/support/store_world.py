"""One record of each kind, written while Redis has memory."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from service.config.settings import Settings
from service.domain import ids
from service.domain.bulk import BulkJob, BulkKind, Selection
from service.domain.callback import Callback
from service.domain.generation import Due, Generation
from service.domain.generation_filter import Filter
from service.domain.identity.trusted_issuer import TrustedIssuer
from service.domain.operator import OperatorToken
from service.domain.signing import new_key
from service.domain.tenant import ApiKey, Limits, Tenant
from service.domain.webhook import Delivery
from service.domain.webhook_endpoint import Endpoint
from service.runtime.stores import Stores
from service.store.generations.callbacks import Received
from service.store.generations.creation import Call
from service.store.redis.client import Redis
from tests.support import factories, tokens
from tests.support.factories import NOW

MINUTE: Final = timedelta(minutes=1)
TODAY: Final = NOW.date()


@dataclass(frozen=True, slots=True)
class World:
    """One record of each kind."""

    stores: Stores
    tenant: Tenant
    key: ApiKey
    issuer: TrustedIssuer
    endpoint: Endpoint
    queued: Generation
    submitted: Generation
    reported: Generation
    """A submitted generation with a stored callback."""
    ended: Generation
    given_up: Generation
    pending: Delivery
    dead: Delivery
    collecting_job: BulkJob
    running_job: BulkJob
    revoked: OperatorToken

    @property
    def end_user(self) -> tuple[str, str]:
        return self.tenant.id, self.queued.end_user

    def call(self) -> Call:
        return Call("digest", NOW, NOW + MINUTE, MINUTE)


async def build_world(redis: Redis, settings: Settings) -> World:
    stores = Stores(redis, settings)
    owner = factories.tenant(limits=Limits(requests_per_minute=60))
    assert await stores.tenants.insert(owner)
    key, _ = factories.api_key(owner.id)
    assert await stores.api_keys.insert(key)
    issuer = tokens.trusted_issuer(owner.id)
    assert await stores.trusted_issuers.insert(issuer) == "inserted"
    endpoint = await stores.endpoints.put(fresh_endpoint(owner))
    assert isinstance(endpoint, Endpoint)
    queued = await _created(stores, owner)
    submitted, reported, ended = [await _submitted(stores, await _created(stores, owner)) for _ in range(3)]
    assert (await report(stores, reported)).reception == "accepted"
    pending, dead = [delivery_to(endpoint, ended) for _ in range(2)]
    ended = replace(ended.succeeded(factories.output(), 1_000, NOW), deliveries=(pending.id, dead.id))
    ended = (await stores.generations.finish(ended, Due(sweep=NOW), [pending, dead], now=NOW)).generation
    dead = dead.dead(factories.attempt())
    assert (await stores.deliveries.save_attempt(dead, now=NOW)).won
    assert (await stores.usage_reports.begin(owner.id, TODAY, TODAY, now=NOW)).result == "begun"
    given_up = await _given_up(stores, await _created(stores, owner))
    collecting, running = await bulk_job_of(stores, "gen_1"), await bulk_job_of(stores, "gen_2")
    assert await stores.bulk_jobs.collect(running, ["gen_2"], after=None)
    running = await _loaded(stores, running.id)
    return World(
        stores,
        owner,
        key,
        issuer,
        endpoint,
        queued,
        submitted,
        reported,
        ended,
        given_up,
        pending,
        dead,
        collecting,
        running,
        await _revoked(stores),
    )


async def bulk_job_of(stores: Stores, item: str) -> BulkJob:
    """Return a new bulk job over this item, which collects."""
    wanted, actor = Selection(filter=Filter(), ids=(item,)), factories.actor()
    begun = await stores.bulk_jobs.begin(
        BulkKind.CANCEL, wanted, previewed_at=NOW, reason="flood", actor=actor, now=NOW
    )
    return await _loaded(stores, begun.job_id)


async def _loaded(stores: Stores, job_id: str) -> BulkJob:
    job = await stores.bulk_jobs.load(job_id)
    assert job is not None
    return job


async def _revoked(stores: Stores) -> OperatorToken:
    operator = factories.operator()
    token, _ = factories.operator_token(operator.id, revoked_at=NOW)
    assert await stores.operators.insert(operator)
    assert await stores.operators.insert_token(token)
    return token


async def _created(stores: Stores, owner: Tenant) -> Generation:
    g = factories.generation(tenant_id=owner.id)
    await stores.generations.create(g, factories.due(), call=Call(g.id, NOW, NOW + MINUTE, MINUTE))
    return g


async def _submitted(stores: Stores, g: Generation) -> Generation:
    g = (await stores.generations.save(g.submitting(NOW), Due(sweep=NOW))).generation
    return (await stores.generations.save(g.submitted(factories.request_id()), Due(poll=NOW, sweep=NOW))).generation


async def _given_up(stores: Stores, g: Generation) -> Generation:
    g = (await stores.generations.save(g.submitting(NOW), Due(sweep=NOW))).generation
    g = (await stores.generations.save(g.unconfirmed(), Due(sweep=NOW))).generation
    end = g.failed(factories.failure(code="submission_unconfirmed"), 0, NOW)
    return (await stores.generations.finish(end, Due(sweep=NOW), [], now=NOW)).generation


async def report(stores: Stores, g: Generation) -> Received:
    callback = Callback(g.request_id or "", 200, {"video": {"url": "https://v3b.fal.media/x"}})
    return await stores.callbacks.receive(g.id, g.callback_token, callback, now=NOW, succeeded=True)


def fresh_endpoint(owner: Tenant) -> Endpoint:
    return Endpoint(
        id=ids.new(ids.ENDPOINT, NOW),
        tenant_id=owner.id,
        url="https://receiver.example/",
        keys=(new_key(ed25519=False),),
        created_at=NOW,
    )


def delivery_to(endpoint: Endpoint, g: Generation) -> Delivery:
    return factories.delivery(tenant_id=endpoint.tenant_id, endpoint_id=endpoint.id, generation_id=g.id)
