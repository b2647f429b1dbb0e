"""Rows of each kind that pages of the console list, each with its record: no page is measured empty.

Rows are written directly, so that thousands take seconds. They are newer than those of ``large_history``, and what is
listed from the oldest on waits longer: the first page of each list has them.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, cycle, islice, repeat
from typing import Any, Final

import redis as redis_py

from service.domain import ids
from service.domain.actor import Actor, ActorKind
from service.domain.budgets import day
from service.domain.bulk import BulkKind, Selection
from service.domain.end_user import pseudonym
from service.domain.failure import Failure
from service.domain.generation import Generation
from service.domain.identity.trusted_issuer import MOST_OF_TENANT
from service.domain.operator import Role
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.webhook import Attempt, Delivery, DeliveryFilter, DeliveryStatus, EventType
from service.domain.webhook_endpoint import MOST_ENDPOINTS
from service.runtime import Runtime
from service.store import keys
from service.store.generations import records, terms
from service.store.webhooks import deliveries
from service.usecases.tenants.trusted_issuers import NewTrustedIssuer
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.support import factories, tokens

#: The pair of metadata of each generation.
METADATA: Final = ("order", "7")
_STATUSES: Final = (Status.QUEUED, Status.IN_PROGRESS, Status.SUCCEEDED, Status.FAILED, Status.CANCELED)
_MODELS: Final = ("bytedance/seedance-2.0/image-to-video", "bytedance/seedance-2.0/text-to-video")
_DAYS: Final = 93
_LONG_AGO: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Rows:
    """Ids of rows: of a generation with many deliveries, of one that is unconfirmed, and so on."""

    ended: str
    unconfirmed: str
    lost: str
    delivery: str
    endpoint_id: str
    end_user: str
    erased: str
    bulk_job_id: str
    own_bulk_job_id: str
    key_id: str
    issuer_id: str

    def values(self, tenant: Tenant, now: datetime) -> dict[str, str]:
        """Return parameters and filters that select these rows."""
        return {
            "tenant_id": tenant.id,
            "generation_id": self.ended,
            "unconfirmed": self.unconfirmed,
            "lost": self.lost,
            "delivery_id": self.delivery,
            "endpoint_id": self.endpoint_id,
            "end_user_id": self.end_user,
            "erased": self.erased,
            "bulk_job_id": self.bulk_job_id,
            "own_bulk_job_id": self.own_bulk_job_id,
            "key_id": self.key_id,
            "issuer_id": self.issuer_id,
            "section": "redis-unavailable",
            "action": "pause",
            "today": day(now),
        }


async def add(runtime: Runtime, url: str, tenant: Tenant, *, rows: int) -> Rows:
    """Add ``rows`` rows of each kind, most of them of ``tenant``; fewer where a tenant has a limit."""
    actor = Actor(kind=ActorKind.OPERATOR, id=ids.new(ids.OPERATOR, runtime.clock()), name="Ada", role=Role.ADMIN)
    for number in range(rows):
        async with runtime.trail.act(actor, "pause_tenant", target=tenant.id, tenant_id=tenant.id, reason=str(number)):
            pass
    endpoints = [endpoint.id for endpoint in await runtime.webhooks.endpoints.list(tenant)]
    spec = EndpointSpec("http://127.0.0.1:8080/hook", tuple(EventType), "", None, ed25519=True, enabled=True)
    while len(endpoints) < MOST_ENDPOINTS:
        endpoints.append((await runtime.webhooks.endpoints.create(tenant, spec)).id)
    key_id = (await runtime.tenants.api_keys.create(tenant.id)).key.id
    own = Actor(kind=ActorKind.API_KEY, id=key_id, name="a key", tenant_id=tenant.id)
    jobs = {keys.BULK_JOBS: await _begin_bulk_job(runtime, tenant, actor)}
    jobs[keys.bulk_jobs_of_tenant(tenant.id)] = await _begin_bulk_job(runtime, tenant, own)
    with redis_py.Redis.from_url(url) as client, client.pipeline(transaction=False) as pipeline:
        writer = _Writer(pipeline, tenant, runtime.clock(), rows)
        writer.end_users()
        found = writer.generations(endpoints)
        writer.tenants(_text(client, keys.tenant(tenant.id)), endpoints)
        writer.api_keys(key_id, _text(client, keys.api_key(key_id)))
        writer.usage()
        newest, newest_own = [writer.bulk_jobs(key, client.hgetall(keys.bulk_job(name))) for key, name in jobs.items()]
        pipeline.execute()
    await runtime.stores.erasures.begin(
        tenant.id,
        pseudonym(tenant, found.erased),
        now=runtime.clock(),
        continued_at=runtime.clock() + timedelta(days=1),
    )
    issuer_id = await _add_issuers(runtime, tenant)
    return replace(found, bulk_job_id=newest, own_bulk_job_id=newest_own, key_id=key_id, issuer_id=issuer_id)


def _text(client: redis_py.Redis, name: str) -> str:
    found = client.get(name)
    assert isinstance(found, bytes)
    return found.decode()


async def _add_issuers(runtime: Runtime, tenant: Tenant) -> str:
    """Add trusted issuers up to the limit of a tenant; return the id of one."""
    issuers = runtime.tenants.trusted_issuers
    for number in range(len(await issuers.list(tenant.id)), MOST_OF_TENANT):
        wanted = NewTrustedIssuer(
            issuer=f"https://issuer-{number}.example.com",
            audience=tokens.AUDIENCE,
            subject=tokens.SERVICE_ACCOUNT,
            jwks=json.dumps(tokens.public(tokens.key())),
            scopes=(),
        )
        await issuers.add(tenant.id, wanted)
    return (await issuers.list(tenant.id))[0][0].id


async def _begin_bulk_job(runtime: Runtime, tenant: Tenant, actor: Actor) -> str:
    begun = await runtime.stores.bulk_jobs.begin(
        BulkKind.REPLAY,
        Selection(filter=DeliveryFilter(tenant_id=tenant.id, status=DeliveryStatus.DEAD)),
        previewed_at=runtime.clock(),
        reason="rows",
        actor=actor,
        now=runtime.clock(),
    )
    return begun.job_id


@dataclass(frozen=True)
class _Writer:
    redis: Any
    """A pipeline."""
    tenant: Tenant
    now: datetime
    rows: int

    @property
    def times(self) -> Iterable[datetime]:
        """Return the times of rows, one after the other within the last minute."""
        return (self.now - timedelta(milliseconds=number) for number in range(self.rows))

    def names(self) -> Iterator[str]:
        """Return names of end users, for ever."""
        return cycle([f"user-{number:06}" for number in range(self.rows)])

    def generations(self, endpoints: list[str]) -> Rows:
        """Write generations of each status, and the deliveries of the first one that has succeeded."""
        made = {status: self._of_status(status) for status in _STATUSES}
        ended = made[Status.SUCCEEDED][0]
        pairs = zip(cycle((DeliveryStatus.DEAD, DeliveryStatus.DELIVERED)), cycle(endpoints), strict=False)
        owned = [self._delivery(ended, at, *pair) for at, pair in zip(self.times, pairs, strict=False)]
        self._record(replace(ended, deliveries=tuple(each.id for each in owned)))
        return Rows(
            ended=ended.id,
            unconfirmed=self._waiting(Status.UNCONFIRMED, keys.UNCONFIRMED),
            lost=self._waiting(Status.FAILED, keys.PAID_AND_LOST),
            delivery=owned[0].id,
            endpoint_id=endpoints[0],
            end_user=next(self.names()),
            erased=next(islice(self.names(), 1, None)),
            bulk_job_id="",
            own_bulk_job_id="",
            key_id="",
            issuer_id="",
        )

    def _of_status(self, status: Status) -> list[Generation]:
        """Write generations, every other one of the first end user."""
        names = chain.from_iterable(zip(repeat(next(self.names())), self.names(), strict=False))
        return [self._generation(status, at, name) for at, name in zip(self.times, names, strict=False)]

    def _generation(self, status: Status, at: datetime, name: str) -> Generation:
        g = factories.in_status(
            status,
            id=ids.new(ids.GENERATION, at),
            created_at=at,
            tenant_id=self.tenant.id,
            end_user_id=name,
            end_user=pseudonym(self.tenant, name),
            metadata=dict([METADATA]),
        )
        if g.error is not None:
            g = replace(g, error=Failure("internal", "It failed."))
        self._record(g)
        for key in (
            keys.GENERATIONS,
            keys.generations_of_tenant(g.tenant_id),
            keys.generations_of_end_user(g.tenant_id, g.end_user),
        ):
            self.redis.zadd(key, {g.id: 0})
        for key, found in (
            (keys.GENERATION_TERMS, terms.account_terms(g)),
            (keys.generation_terms_of_tenant(g.tenant_id), terms.tenant_terms(g)),
        ):
            self.redis.zadd(key, {term + g.id.encode(): 0 for term in found})
        return g

    def _record(self, g: Generation) -> None:
        self.redis.hset(keys.generation(g.id), mapping={"v": 9, "s": g.status.value, "d": records.dump(g)})

    def _waiting(self, status: Status, key: str) -> str:
        """Write generations into a list whose order is that of times, the longest wait first."""
        made = self._of_status(status)
        for number, g in enumerate(made):
            self.redis.zadd(key, {g.id: ids.milliseconds(self.now - _LONG_AGO) + number})
        return made[0].id

    def _delivery(self, g: Generation, at: datetime, status: DeliveryStatus, endpoint_id: str) -> Delivery:
        made = factories.delivery(
            id=ids.new(ids.DELIVERY, at),
            created_at=at,
            tenant_id=g.tenant_id,
            generation_id=g.id,
            endpoint_id=endpoint_id,
            status=status,
            attempts=(Attempt(at=at, latency_ms=12, status=500, answer="oops"),),
        )
        self.redis.hset(keys.delivery(made.id), mapping={"v": 9, "d": deliveries.dump(made), "e": made.id})
        self.redis.hset(keys.event(made.id), mapping={"b": made.body, "n": 1})
        self.redis.zadd(keys.deliveries_of_tenant(g.tenant_id), {made.id: 0})
        if status is DeliveryStatus.DEAD:
            self.redis.zadd(keys.dead_letters_of_tenant(g.tenant_id), {made.id: 0})
            self.redis.zadd(keys.DEAD_LETTERS, {made.id: 0})
        return made

    def end_users(self) -> None:
        today = day(self.now)
        for number, name in enumerate(islice(self.names(), self.rows)):
            who = pseudonym(self.tenant, name)
            self.redis.hset(keys.end_user(self.tenant.id, who), mapping={"id": name, "refusals": 1})
            self.redis.zadd(keys.end_users(self.tenant.id), {name: ids.milliseconds(self.now) + number})
            self.redis.zadd(keys.end_user_names(self.tenant.id), {name: 0})
            for period in (today, today[:7]):
                spent = 10_000_000_000 + number
                self.redis.zadd(keys.usage_of_end_users(self.tenant.id, period), {who: spent})
            window = keys.money_of_end_user(self.tenant.id, who, today)
            self.redis.hset(window, mapping={"held": 0, "spent": 5, "count": 1, "succeeded": 1})
            if number % 2:
                self.redis.zadd(keys.blocked_end_users(self.tenant.id), {who: 0})
                blocked = {"blocked": "2026-01-31T00:00:00Z", "block_reason": "spam"}
                self.redis.hset(keys.end_user(self.tenant.id, who), mapping=blocked)

    def tenants(self, record: str, endpoints: list[str]) -> None:
        """Write tenants with a budget, money of this month, and a receiver that only fails."""
        month = day(self.now)[:7]
        for number, at in enumerate(self.times):
            fields = json.loads(record)
            fields.update(id=ids.new(ids.TENANT, at), name=f"shop {number}")
            fields["limits"] = {**fields.get("limits", {}), "monthly_budget": 1_000_000}
            name = fields["id"]
            self.redis.set(keys.tenant(name), json.dumps(fields))
            self.redis.zadd(keys.TENANTS, {name: 0})
            self.redis.hset(keys.money_of_tenant(name, month), mapping={"held": 5, "spent": 900_000, "count": 3})
            self.redis.zadd(keys.BUDGET_SHARES, {name: 900 + number})
            self.redis.zadd(keys.tenants_of_month(month), {name: 10**12 + number})
            self._failing(f"{name}:{number:032x}")
        for endpoint_id in endpoints:
            self._failing(f"{self.tenant.id}:{endpoint_id}")

    def _failing(self, queue: str) -> None:
        since = ids.milliseconds(self.now - _LONG_AGO)
        self.redis.hset(keys.endpoint_health(queue), mapping={"first": since, "last": since, "failures": 9})
        self.redis.zadd(keys.FAILING_RECEIVERS, {queue: since})

    def api_keys(self, key_id: str, record: str) -> None:
        for number in range(self.rows):
            name = f"{key_id[:-6]}{number:06}"
            self.redis.set(keys.api_key(name), record.replace(key_id, name))
            self.redis.set(keys.api_key_used(name), "2026-01-31T00:00Z")
            self.redis.zadd(keys.api_keys_of_tenant(self.tenant.id), {name: 0})

    def usage(self) -> None:
        """Write the counters of three months, of the tenant and of the account."""
        for number in range(_DAYS):
            date = day(self.now - timedelta(days=number))
            fields = {"created": 9, "succeeded": 5, "failed:internal": 2, "canceled": 1, "spent": 700}
            fields |= {"cost:failed:internal": 7, "refused:queue_full": 4}
            for model in _MODELS:
                fields |= {f"m:{model}:{name}": 3 for name in ("created", "succeeded", "spent", "held")}
            for owner in (self.tenant.id, keys.ACCOUNT):
                self.redis.hset(keys.usage(owner, date), mapping=fields)

    def bulk_jobs(self, key: str, record: Any) -> str:
        name = ""
        for at in self.times:
            name = ids.new(ids.BULK_JOB, at)
            self.redis.hset(keys.bulk_job(name), mapping={**record, b"state": "done", b"finished": 1})
            self.redis.zadd(key, {name: 0})
        return name
