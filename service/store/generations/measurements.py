"""Measurements of uploaded clips, by tenant and URL, so that a request that names the URL has an exact price."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from service.domain.measurement import Measurement
from service.store import keys
from service.store.redis.client import Redis
from service.store.times import milliseconds

#: A request that names an older upload is priced by the longest clip that its model accepts.
LIFETIME: Final = timedelta(days=7)


class MeasurementStore:
    """fal's URLs of uploads are permanent, and their files do not change."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def demand_room(self, tenant_id: str) -> None:
        """Do nothing if a measurement can be saved. Raises StoreFull, TenantStoreFull."""
        await self._redis.memory.demand_room(tenant_id)

    async def save(self, tenant_id: str, url: str, clip: Measurement) -> None:
        content = json.dumps(clip.as_json(), separators=(",", ":"))
        await self._redis.execute("SET", keys.measurement(tenant_id, url), content, "PX", milliseconds(LIFETIME))

    async def of(self, tenant_id: str, urls: Sequence[str]) -> list[Decimal | None]:
        """Return the seconds of each file; None: the tenant has not uploaded it here, or long ago."""
        found = await self.find(tenant_id, urls)
        return [found[url].seconds if url in found else None for url in urls]

    async def find(self, tenant_id: str, urls: Sequence[str]) -> dict[str, Measurement]:
        """Return the measurements of those URLs that the tenant has uploaded, in one exchange."""
        if not urls:
            return {}
        found = await self._redis.execute("MGET", *(keys.measurement(tenant_id, url) for url in urls))
        return {
            url: Measurement.of_json(json.loads(content))
            for url, content in zip(urls, found, strict=True)
            if content is not None
        }
