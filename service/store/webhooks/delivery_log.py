"""Deliveries for their tenant: lists with filters, and replays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from service.domain import ids
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.paging import ENTRIES_READ, Index, Page, Range, read_page
from service.store.redis.client import Redis, Script
from service.store.webhooks.deliveries import DeliveryStore, dump

_REPLAY: Final = Script("replay")


@dataclass(frozen=True, slots=True)
class Replayed:
    """Result of a replay. ``won``: the delivery is due now; otherwise it is under way, or another call has changed it.

    ``orphan``: the tenant was deleted after its API key was read; nothing was changed.
    """

    won: bool
    orphan: bool = False
    nudges: tuple[WorkQueue, ...] = ()


class DeliveryLog:
    """Lists and replays deliveries. Lists use the client ``reports``."""

    def __init__(self, redis: Redis, deliveries: DeliveryStore, *, reports: Redis | None = None) -> None:
        self._redis = redis
        self._reports = redis if reports is None else reports
        self._deliveries = deliveries
        self._listed = DeliveryStore(self._reports)

    async def page_over_all(
        self, wanted: DeliveryFilter, *, limit: int, after: str | None, oldest_first: bool = False
    ) -> Page[Delivery]:
        """Return a page of deliveries of the filter's tenant; without a tenant, of the dead letters of all tenants.

        ``limit``: deliveries that are read, so that a page may be shorter and not be the last one.
        """
        read = self.page_of_dead_letters if wanted.tenant_id is None else partial(self.page, wanted.tenant_id)
        return await read(wanted, limit=limit, after=after, oldest_first=oldest_first, most_read=limit)

    async def dead_letter_count(self, wanted: DeliveryFilter) -> int:
        """Count the dead letters of the filter's tenant, or of all tenants, that were created within its times."""
        tenant_id = wanted.tenant_id
        index = Index(keys.DEAD_LETTERS if tenant_id is None else keys.dead_letters_of_tenant(tenant_id))
        last, first = index.bounds(Range(ids.DELIVERY, None, wanted.created_after, wanted.created_before))
        return int(await self._reports.execute("ZLEXCOUNT", index.key, first, last))

    async def page(
        self,
        tenant_id: str,
        wanted: DeliveryFilter,
        *,
        limit: int,
        after: str | None,
        oldest_first: bool = False,
        most_read: int = ENTRIES_READ,
    ) -> Page[Delivery]:
        """Return a page of a tenant's deliveries, the newest first."""
        is_dead = wanted.status is DeliveryStatus.DEAD
        index = keys.dead_letters_of_tenant(tenant_id) if is_dead else keys.deliveries_of_tenant(tenant_id)

        async def load(delivery_ids: Sequence[str]) -> Sequence[Delivery | None]:
            return await self._load(tenant_id, delivery_ids)

        part = Range(ids.DELIVERY, after, wanted.created_after, wanted.created_before, oldest_first)
        return await read_page(
            self._reports, Index(index), part, limit=limit, load=load, matches=wanted.takes, most_read=most_read
        )

    async def page_of_dead_letters(
        self,
        wanted: DeliveryFilter,
        *,
        limit: int,
        after: str | None,
        oldest_first: bool = False,
        most_read: int = ENTRIES_READ,
    ) -> Page[Delivery]:
        """Return a page of the dead letters of all tenants, the newest first."""
        part = Range(ids.DELIVERY, after, wanted.created_after, wanted.created_before, oldest_first)
        return await read_page(
            self._reports,
            Index(keys.DEAD_LETTERS),
            part,
            limit=limit,
            load=self._listed.load_many,
            # A replay may have been first since the index was read.
            matches=lambda delivery: delivery.status is DeliveryStatus.DEAD and wanted.takes(delivery),
            most_read=most_read,
        )

    async def _load(self, tenant_id: str, delivery_ids: Sequence[str]) -> Sequence[Delivery | None]:
        """Load deliveries. Ids without a record are removed from the indexes: earlier releases let records expire."""
        found = await self._listed.load_many(delivery_ids)
        gone = [name for name, delivery in zip(delivery_ids, found, strict=True) if delivery is None]
        if gone:
            await self._deliveries.purge(tenant_id, gone)
        return found

    async def replay(self, delivery: Delivery, now: datetime) -> Replayed:
        """Start the whole schedule of a finished delivery again, or make the next attempt of a pending one due now.

        Raises:
            StoreFull: the delivery is finished, and Redis accepts nothing new.

        """
        is_pending = delivery.status is DeliveryStatus.PENDING
        if not is_pending:
            await self._redis.memory.demand_room(delivery.tenant_id)
        won, nudge = await self._redis.run(
            _REPLAY,
            {
                "delivery": keys.delivery(delivery.id),
                "endpoint_queue": keys.endpoint_queue(delivery.endpoint_queue),
                "endpoint_leases": keys.endpoint_leases(delivery.endpoint_queue),
                "due_deliver": keys.due(WorkQueue.DELIVER),
                "nudged_deliver": keys.nudged(WorkQueue.DELIVER),
                "tenant_deliveries": keys.deliveries_of_tenant(delivery.tenant_id),
                "dead_letters": keys.dead_letters_of_tenant(delivery.tenant_id),
                "all_dead_letters": keys.DEAD_LETTERS,
                "tenant": keys.tenant(delivery.tenant_id),
                "pending_deliveries": keys.pending_deliveries_of_tenant(delivery.tenant_id),
            },
            {
                "delivery_id": delivery.id,
                "version": delivery.version,
                "after": "" if is_pending else dump(delivery.replayed(now)),
                "now_ms": ids.milliseconds(now),
                "queue_name": delivery.endpoint_queue,
            },
        )
        return Replayed(won > 0, orphan=won < 0, nudges=(WorkQueue.DELIVER,) if nudge else ())
