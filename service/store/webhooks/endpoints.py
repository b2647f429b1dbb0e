"""Webhook endpoints, all of a tenant in one hash: whoever moves a generation reads them in one command."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.webhook import Delivery
from service.domain.webhook_endpoint import MOST_ENDPOINTS, Endpoint
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Redis, Script
from service.store.tenants.sealing import Sealer
from service.store.webhooks.deliveries import arguments_of, keys_of

_PUT: Final = Script("put_endpoint")
_ANNOUNCE: Final = Script("announce")
_RECORD: Final = TypeAdapter(Endpoint)
_MOST_REMEMBERED: Final = 4096

Refusal = Literal["changed", "full", "orphan"]


@dataclass(frozen=True, slots=True)
class Announced:
    won: bool
    nudges: tuple[WorkQueue, ...] = ()


class EndpointStore:
    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis = redis
        self._sealer = sealer
        self._opened: dict[bytes, Endpoint] = {}
        """What was read before, by its bytes: unsealing costs more than reading."""

    async def of_tenant(self, tenant_id: str) -> list[Endpoint]:
        """Oldest first."""
        found = await self._redis.execute("HGETALL", keys.endpoints_of_tenant(tenant_id))
        return sorted((self._load(record) for record in found[1::2]), key=lambda endpoint: endpoint.id)

    async def load(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        record = await self._redis.execute("HGET", keys.endpoints_of_tenant(tenant_id), endpoint_id)
        return None if record is None else self._load(record)

    async def put(self, endpoint: Endpoint, *, forgive: bool = False) -> Endpoint | Refusal:
        """Write one made from the version it was read at, or a new one; ``forgive``: its failures are forgotten.

        Raises StoreFull for a new one.
        """
        if endpoint.version == 0:
            await self._redis.memory.demand_room()
        after = replace(endpoint, version=endpoint.version + 1)
        reply = await self._redis.run(
            _PUT,
            [
                keys.endpoints_of_tenant(endpoint.tenant_id),
                keys.tenant(endpoint.tenant_id),
                keys.health_of_lane(lane(endpoint)),
            ],
            endpoint.id,
            endpoint.version,
            self._dump(after),
            MOST_ENDPOINTS,
            "1" if forgive else "",
        )
        refusals: dict[bytes, Refusal] = {b"changed": "changed", b"full": "full", b"orphan": "orphan"}
        return refusals.get(reply, after)

    async def delete(self, endpoint: Endpoint) -> None:
        """What it still has to get dies at its next attempt."""
        await self._redis.gather(
            (
                ("HDEL", keys.endpoints_of_tenant(endpoint.tenant_id), endpoint.id),
                ("DEL", keys.health_of_lane(lane(endpoint))),
            )
        )

    async def failing_since(self, endpoint: Endpoint) -> datetime | None:
        first, streak = await self._redis.execute("HMGET", keys.health_of_lane(lane(endpoint)), "first", "streak")
        return ids.from_milliseconds(int(first)) if streak else None

    async def announce(
        self,
        read: Endpoint,
        events: Sequence[Delivery],
        *,
        now: datetime,
        retention: timedelta,
        after: Endpoint | None = None,
        stage: int | None = None,
        since: datetime | None = None,
    ) -> Announced:
        """Write deliveries that no generation causes; with ``stage`` once per decline, and the endpoint as it is after.

        It is lost when the endpoint is not what was read any more, or has not been failing ``since`` then.
        Raises StoreFull without a ``stage``: for a test.
        """
        if stage is None:
            await self._redis.memory.demand_room()
        won, nudge = await self._redis.run(
            _ANNOUNCE,
            [
                keys.endpoints_of_tenant(read.tenant_id),
                keys.health_of_lane(lane(read)),
                keys.due(WorkQueue.DELIVER),
                keys.nudged(WorkQueue.DELIVER),
                keys.due(WorkQueue.SWEEP),
                *keys_of(read.tenant_id, events),
            ],
            read.id,
            read.version,
            "" if after is None else self._dump(replace(after, version=read.version + 1)),
            "" if stage is None else stage,
            ids.milliseconds(now),
            ids.milliseconds(now + retention),
            "" if since is None else ids.milliseconds(since),
            *arguments_of(events),
        )
        return Announced(bool(won), (WorkQueue.DELIVER,) if nudge else ())

    async def reseal(self, tenant_id: str) -> None:
        """Seal a tenant's endpoints with the first key again."""
        for endpoint in await self.of_tenant(tenant_id):
            current: Endpoint | None = endpoint
            while current is not None and await self.put(current) == "changed":
                current = await self.load(tenant_id, endpoint.id)

    def _dump(self, endpoint: Endpoint) -> str:
        """The version in front, where scripts read it."""
        record = _RECORD.dump_json(endpoint, exclude_defaults=True).decode()
        return f"{endpoint.version} {self._sealer.seal(record)}"

    def _load(self, record: bytes) -> Endpoint:
        if (known := self._opened.get(record)) is not None:
            return known
        if len(self._opened) >= _MOST_REMEMBERED:
            self._opened.clear()
        sealed = record.partition(b" ")[2].decode()
        endpoint = self._opened[record] = _RECORD.validate_json(self._sealer.open(sealed))
        return endpoint


def lane(endpoint: Endpoint) -> str:
    """As its deliveries name it."""
    return f"{endpoint.tenant_id}:{endpoint.id}"
