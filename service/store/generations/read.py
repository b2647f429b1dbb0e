"""Reads of generations: by id, and in pages by tenant or end user."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain import ids
from service.domain.generation import Generation
from service.domain.status import PublicStatus
from service.store import keys
from service.store.generations.records import load
from service.store.paging import Page, Range, read_page
from service.store.redis.client import Redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions of a page; None: no condition."""

    status: PublicStatus | None = None
    end_user: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    oldest_first: bool = False
    """The order of the page."""


class GenerationReader:
    """Reads generations."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def load(self, generation_id: str) -> Generation | None:
        """Return a generation; None: there is none."""
        record = await self._redis.execute("HGET", keys.generation(generation_id), "d")
        return None if record is None else load(record)

    async def load_with_position(self, tenant_id: str, generation_id: str) -> tuple[Generation | None, int | None]:
        """Return a generation, and how many of its tenant are before it; None: it is not queued."""
        record, rank = await self._redis.gather(
            (
                ("HGET", keys.generation(generation_id), "d"),
                ("ZRANK", keys.queued_of_tenant(tenant_id), generation_id),
            )
        )
        return None if record is None else load(record), rank

    async def load_many(self, generation_ids: Sequence[str]) -> list[Generation | None]:
        """Return the generations of these ids, in order; None: there is none."""
        records = await self._redis.gather(("HGET", keys.generation(name), "d") for name in generation_ids)
        return [None if record is None else load(record) for record in records]

    async def page(self, tenant_id: str, wanted: Filter, *, limit: int, after: str | None) -> Page[Generation]:
        """Return a page of a tenant's generations, the newest first unless the filter says otherwise."""
        index = (
            keys.generations_of_tenant(tenant_id)
            if wanted.end_user is None
            else keys.generations_of_end_user(tenant_id, wanted.end_user)
        )
        part = Range(ids.GENERATION, after, wanted.created_after, wanted.created_before, wanted.oldest_first)
        return await read_page(
            self._redis,
            index,
            part,
            limit=limit,
            load=self.load_many,
            matches=lambda g: wanted.status in (None, g.public_status),
        )
