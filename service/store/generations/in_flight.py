"""What is in flight, as the sets of the tenants and of the account have it: for the audit."""

from typing import Final

from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.scan import members_of_sets

_PAGE: Final = 200


class InFlightStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def slots(self) -> set[str]:
        return {name.decode() for name in await self._redis.execute("SMEMBERS", keys.SLOTS)}

    async def tenant_slots(self) -> set[str]:
        """Generations in the slot set of any tenant."""
        return await members_of_sets(self._redis, keys.slots_of_tenant("*"))

    async def slotless(self) -> set[str]:
        """Generations that a tenant counts as in flight, though they are neither queued nor have a slot."""
        return await members_of_sets(self._redis, keys.slotless_of_tenant("*"))

    async def claimed(self) -> set[str]:
        return {name.decode() for name in await self._redis.execute("ZRANGE", keys.CLAIMED, 0, -1)}

    async def pending(self) -> set[str]:
        """Deliveries that a tenant counts as in flight."""
        return await members_of_sets(self._redis, keys.pending_of_tenant("*"))

    async def waiting(self) -> set[str]:
        """Deliveries that wait in the queue of their receiver."""
        lanes = [name.decode() for name in await self._redis.execute("ZRANGE", keys.due(WorkQueue.DELIVER), 0, -1)]
        found: set[str] = set()
        for start in range(0, len(lanes), _PAGE):
            pages = await self._redis.gather(
                ("ZRANGE", keys.lane(lane), 0, -1) for lane in lanes[start : start + _PAGE]
            )
            found.update(name.decode() for page in pages for name in page)
        return found
