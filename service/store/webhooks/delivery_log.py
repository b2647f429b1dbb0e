"""Deliveries as their tenant sees them: listed by filters, sent again, made for a test."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.domain import ids
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryPage, DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.id_ranges import bounds
from service.store.redis.client import Redis, Script
from service.store.webhooks.deliveries import DeliveryStore, dump

_REPLAY: Final = Script("replay")

#: Entries of an index one listing looks at before it answers with what it has and a cursor.
LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class Replayed:
    """``won``: it goes now. Else it is under way, or was changed by another call.

    ``orphan``: the tenant was deleted after its key was looked up; nothing was changed.
    """

    won: bool
    orphan: bool = False
    nudges: tuple[WorkQueue, ...] = ()


class DeliveryLog:
    def __init__(self, redis: Redis, deliveries: DeliveryStore) -> None:
        self._redis = redis
        self._deliveries = deliveries

    async def page(self, tenant_id: str, wanted: DeliveryFilter, *, limit: int, after: str | None) -> DeliveryPage:
        """Newest first. A page may be short of ``limit`` and still not be the last one."""
        dead = wanted.status is DeliveryStatus.DEAD
        upper, lower = bounds(
            ids.DELIVERY, after=after, created_after=wanted.created_after, created_before=wanted.created_before
        )
        index = keys.dead_of_tenant(tenant_id) if dead else keys.deliveries_of_tenant(tenant_id)
        found = await self._redis.execute("ZREVRANGEBYLEX", index, upper, lower, "LIMIT", 0, LOOKED_AT)
        return await self._pick(tenant_id, [name.decode() for name in found], wanted, limit)

    async def _pick(self, tenant_id: str, found: list[str], wanted: DeliveryFilter, limit: int) -> DeliveryPage:
        """Deliveries of these ids that match.

        Ids without a record leave the indexes: earlier releases let records expire.
        """
        page: list[Delivery] = []
        for start in range(0, len(found), limit):
            names = found[start : start + limit]
            loaded = await self._deliveries.load_many(names)
            if None in loaded:
                gone = [name for name, delivery in zip(names, loaded, strict=True) if delivery is None]
                await self._deliveries.purge(tenant_id, gone)
            for name, delivery in zip(names, loaded, strict=True):
                if delivery is not None and wanted.takes(delivery):
                    page.append(delivery)
                if len(page) == limit:
                    return DeliveryPage(page, name if name != found[-1] or len(found) == LOOKED_AT else None)
        return DeliveryPage(page, found[-1] if len(found) == LOOKED_AT else None)

    async def replay(self, delivery: Delivery, now: datetime) -> Replayed:
        """The whole schedule again for one that is done; the next attempt now for one that waits.

        Raises StoreFull for one that is done.
        """
        pending = delivery.status is DeliveryStatus.PENDING
        if not pending:
            await self._redis.memory.demand_room()
        won, nudge = await self._redis.run(
            _REPLAY,
            [
                keys.delivery(delivery.id),
                keys.lane(delivery.lane),
                keys.leased_of_lane(delivery.lane),
                keys.due(WorkQueue.DELIVER),
                keys.nudged(WorkQueue.DELIVER),
                keys.deliveries_of_tenant(delivery.tenant_id),
                keys.dead_of_tenant(delivery.tenant_id),
                keys.tenant(delivery.tenant_id),
                keys.pending_of_tenant(delivery.tenant_id),
            ],
            delivery.id,
            delivery.version,
            "" if pending else dump(delivery.replayed(now)),
            ids.milliseconds(now),
            delivery.lane,
        )
        return Replayed(won > 0, orphan=won < 0, nudges=(WorkQueue.DELIVER,) if nudge else ())
