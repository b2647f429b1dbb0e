"""Webhook endpoints, all of a tenant in one hash, so that a transition reads them in one command."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.tenant import Limits
from service.domain.webhook import Delivery
from service.domain.webhook_endpoint import MOST_ENDPOINTS, Endpoint, Failures
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Argument, Redis, Script
from service.store.tenants.sealing import Sealer
from service.store.times import moment, score
from service.store.webhooks.deliveries import delivery_arguments, delivery_keys

_PUT: Final = Script("put_endpoint")
_DELETE: Final = Script("delete_endpoint")
_ANNOUNCE: Final = Script("announce")
_RECORD: Final = TypeAdapter(Endpoint)
_MOST_CACHED: Final = 4096
_NO_LIMITS: Final = Limits()

Refusal = Literal["changed", "full", "orphan"]


@dataclass(frozen=True, slots=True)
class Announced:
    """Whether the deliveries were written, and which work queues have something to do since."""

    won: bool
    nudges: tuple[WorkQueue, ...] = ()
    refusal: Literal["deliveries_full", "too_many_tests"] | None = None
    """A limit of the tenant is reached. Only tests are refused: other events are owed to the tenant."""
    count: int = 0


@dataclass(frozen=True, slots=True)
class FailureStage:
    """A stage of the failures of an endpoint, which is announced once."""

    percent: int
    """Of the time after which they disable the endpoint."""
    since: datetime | None = None
    """When the failures began. Nothing is announced if they have ended."""
    after: Endpoint | None = None
    """The endpoint that they disable. None: it is unchanged."""


class EndpointStore:
    """Records of webhook endpoints, and deliveries about endpoints."""

    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis = redis
        self._sealer = sealer
        self._cache: dict[bytes, Endpoint] = {}
        """Endpoints by the bytes of their record: opening a sealed record costs more than reading it."""

    async def of_tenant(self, tenant_id: str) -> list[Endpoint]:
        """Return the endpoints of a tenant, the oldest first."""
        found = await self._redis.execute("HGETALL", keys.endpoints_of_tenant(tenant_id))
        return sorted((self._load(record) for record in found[1::2]), key=lambda endpoint: endpoint.id)

    async def load(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        record = await self._redis.execute("HGET", keys.endpoints_of_tenant(tenant_id), endpoint_id)
        return None if record is None else self._load(record)

    async def load_many(self, pairs: Sequence[tuple[str, str]]) -> list[Endpoint | None]:
        """Return the endpoints of these tenants and ids, in order; None: there is none."""
        records = await self._redis.gather(
            ("HGET", keys.endpoints_of_tenant(tenant_id), endpoint_id) for tenant_id, endpoint_id in pairs
        )
        return [None if record is None else self._load(record) for record in records]

    async def put(self, endpoint: Endpoint, *, forgive: bool = False, limit: int | None = None) -> Endpoint | Refusal:
        """Write an endpoint that still has this version, or a new one; ``forgive``: its failures are deleted.

        ``limit``: the most endpoints of its tenant; None: ``MOST_ENDPOINTS``.

        Raises:
            StoreFull: the endpoint is new, and Redis accepts nothing new.

        """
        if endpoint.version == 0:
            await self._redis.memory.demand_room(endpoint.tenant_id)
        after = replace(endpoint, version=endpoint.version + 1)
        reply = await self._redis.run(
            _PUT,
            {
                "endpoints": keys.endpoints_of_tenant(endpoint.tenant_id),
                "tenant": keys.tenant(endpoint.tenant_id),
                "endpoint_health": keys.endpoint_health(queue_name(endpoint)),
                "failing_receivers": keys.FAILING_RECEIVERS,
            },
            {
                "endpoint_id": endpoint.id,
                "version": endpoint.version,
                "after": self._dump(after),
                "limit": MOST_ENDPOINTS if limit is None else min(limit, MOST_ENDPOINTS),
                "resets_health": "1" if forgive else "",
                "queue_name": queue_name(endpoint),
            },
        )
        refusals: dict[bytes, Refusal] = {b"changed": "changed", b"full": "full", b"orphan": "orphan"}
        return refusals.get(reply, after)

    async def delete(self, endpoint: Endpoint) -> bool:
        """Delete an endpoint that still has this version. Return whether it is deleted.

        Its pending deliveries become dead letters at their next attempt.
        """
        reply = await self._redis.run(
            _DELETE,
            {
                "endpoints": keys.endpoints_of_tenant(endpoint.tenant_id),
                "endpoint_health": keys.endpoint_health(queue_name(endpoint)),
                "failing_receivers": keys.FAILING_RECEIVERS,
            },
            {"endpoint_id": endpoint.id, "version": endpoint.version, "queue_name": queue_name(endpoint)},
        )
        return bool(reply)

    async def failures(self, endpoints: Sequence[Endpoint]) -> list[Failures | None]:
        """Return the failures of each endpoint since its last success; None: there are none."""
        fields = ("first", "last", "failures", "streak")
        found = await self._redis.gather(
            ("HMGET", keys.endpoint_health(queue_name(endpoint)), *fields) for endpoint in endpoints
        )
        return [_failures(*each) for each in found]

    def open(self, record: bytes) -> Endpoint:
        """Return the endpoint of a sealed record."""
        return self._load(record)

    async def announce(
        self,
        read: Endpoint,
        events: Sequence[Delivery],
        *,
        now: datetime,
        retention: timedelta,
        stage: FailureStage | None = None,
        limits: Limits = _NO_LIMITS,
    ) -> Announced:
        """Write deliveries that no generation causes: about a stage of failures, or a test, to which ``limits`` apply.

        Nothing is written if the endpoint has changed since it was read.

        Raises:
            StoreFull: there is no ``stage`` (a test), and Redis accepts nothing new.

        """
        if stage is None:
            await self._redis.memory.demand_room(read.tenant_id)
        sealed = {body: self._sealer.seal(body) for body in {event.body for event in events}}
        stored = [replace(event, body=sealed[event.body], sealed=True) for event in events]
        reply = await self._redis.run(
            _ANNOUNCE,
            {
                "endpoints": keys.endpoints_of_tenant(read.tenant_id),
                "endpoint_health": keys.endpoint_health(queue_name(read)),
                "due_deliver": keys.due(WorkQueue.DELIVER),
                "nudged_deliver": keys.nudged(WorkQueue.DELIVER),
                "due_sweep": keys.due(WorkQueue.SWEEP),
                "undelivered_tests": keys.undelivered_tests_of_tenant(read.tenant_id),
                **delivery_keys(read.tenant_id, stored),
            },
            {
                "endpoint_id": read.id,
                "version": read.version,
                **self._stage_arguments(read, stage),
                "now_ms": ids.milliseconds(now),
                "purge_ms": ids.milliseconds(now + retention),
                "deliveries_limit": _limit(limits.stored_deliveries),
                "tests_limit": _limit(limits.undelivered_tests),
                "deliveries": delivery_arguments(stored),
            },
        )
        match reply:
            case [b"deliveries_full" | b"too_many_tests" as refusal, count]:
                return Announced(won=False, refusal=refusal.decode(), count=count)
        won, nudge = reply
        return Announced(bool(won), (WorkQueue.DELIVER,) if nudge else ())

    def _stage_arguments(self, read: Endpoint, stage: FailureStage | None) -> dict[str, Argument]:
        if stage is None:
            return dict.fromkeys(("stage", "failing_since_ms", "after"), "")
        after = "" if stage.after is None else self._dump(replace(stage.after, version=read.version + 1))
        return {"stage": stage.percent, "failing_since_ms": score(stage.since), "after": after}

    def body_of(self, delivery: Delivery) -> str:
        """Return the body that its attempts send."""
        return self._sealer.open(delivery.body) if delivery.sealed and delivery.body else delivery.body

    async def reseal(self, tenant_id: str) -> None:
        """Seal a tenant's endpoints with the first key."""
        for endpoint in await self.of_tenant(tenant_id):
            current: Endpoint | None = endpoint
            while current is not None and await self.put(current) == "changed":
                current = await self.load(tenant_id, endpoint.id)

    def _dump(self, endpoint: Endpoint) -> str:
        """The version comes first, where scripts read it."""
        record = _RECORD.dump_json(endpoint, exclude_defaults=True).decode()
        return f"{endpoint.version} {self._sealer.seal(record)}"

    def _load(self, record: bytes) -> Endpoint:
        if (known := self._cache.get(record)) is not None:
            return known
        if len(self._cache) >= _MOST_CACHED:
            self._cache.clear()
        sealed = record.partition(b" ")[2].decode()
        endpoint = self._cache[record] = _RECORD.validate_json(self._sealer.open(sealed))
        return endpoint


def _failures(first: bytes | None, last: bytes | None, count: bytes | None, streak: bytes | None) -> Failures | None:
    since, last_at = moment(first), moment(last)
    if since is None or last_at is None:
        return None
    return Failures(since, last_at, int(count or 0), is_streak=streak is not None)


def _limit(limit: int | None) -> int | str:
    return "" if limit is None else limit


def queue_name(endpoint: Endpoint) -> str:
    """Name of its endpoint queue, as its deliveries have it."""
    return f"{endpoint.tenant_id}:{endpoint.id}"
