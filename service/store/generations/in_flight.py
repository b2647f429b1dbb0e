"""Work in flight by the sets of the tenants and of the account, for the audit."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.scan import keys_like, members, members_of_sets, scores

#: Endpoint queues that are read concurrently.
_PAGE: Final = 200


class InFlightStore:
    """Reads the sets that count work in flight."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def slots(self) -> set[str]:
        """Return the generations that hold a slot of the account."""
        return await members(self._redis, keys.SLOTS)

    async def tenant_slots(self) -> set[str]:
        """Return the generations that hold a slot of any tenant."""
        return await members_of_sets(self._redis, keys.slots_of_tenant("*"))

    async def slotless(self) -> set[str]:
        """Return the generations that a tenant counts as in flight although they are not queued and hold no slot."""
        return await members_of_sets(self._redis, keys.slotless_of_tenant("*"))

    async def claimed(self) -> set[str]:
        """Return the generations that are claimed for a submit."""
        return set(await scores(self._redis, keys.CLAIMED))

    async def pending(self) -> set[str]:
        """Return the deliveries that a tenant counts as pending."""
        return await members_of_sets(self._redis, keys.pending_deliveries_of_tenant("*"))

    async def waiting(self) -> set[str]:
        """Return the deliveries in the queues of their endpoints."""
        queues = [name async for name in self._endpoint_queues()]
        found: set[str] = set()
        for start in range(0, len(queues), _PAGE):
            page = (scores(self._redis, keys.endpoint_queue(name)) for name in queues[start : start + _PAGE])
            found.update(*await asyncio.gather(*page))
        return found

    async def _endpoint_queues(self) -> AsyncIterator[str]:
        pattern = keys.endpoint_queues_of_tenant("*", proven=True) + "*"
        async for key in keys_like(self._redis, pattern):
            for name in await scores(self._redis, key):
                yield name
