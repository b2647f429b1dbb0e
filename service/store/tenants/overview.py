"""The counters of a tenant that its limits and its monthly budget compare with, all read in one exchange."""

from dataclasses import dataclass

from service.domain.budgets import Standing
from service.store import keys
from service.store.redis.client import Redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Money in micro-USD. ``in_flight``: generations that have a slot, which are at fal or about to be."""

    month: Standing
    created_today: int
    new_end_users_today: int
    spent_today: int
    queued: int
    in_flight: int
    stored_deliveries: int


class OverviewStore:
    """Reads counters of tenants. No command depends on how much a tenant stores."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, tenant_id: str, *, today: str, this_month: str) -> Counters:
        """Return the counters of this day and month."""
        month, day, queued, in_flight, deliveries = await self._redis.gather(
            (
                ("HMGET", keys.money_of_tenant(tenant_id, this_month), "held", "spent", "count"),
                ("HMGET", keys.usage(tenant_id, today), "created", "new_end_users", "spent"),
                ("ZCARD", keys.queued_of_tenant(tenant_id)),
                ("SCARD", keys.slots_of_tenant(tenant_id)),
                ("ZCARD", keys.deliveries_of_tenant(tenant_id)),
            )
        )
        created, new_end_users, spent = (int(value or 0) for value in day)
        return Counters(
            month=Standing(*(int(value or 0) for value in month)),
            created_today=created,
            new_end_users_today=new_end_users,
            spent_today=spent,
            queued=queued,
            in_flight=in_flight,
            stored_deliveries=deliveries,
        )
