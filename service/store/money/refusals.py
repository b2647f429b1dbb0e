"""Counts of refused creates: by error code for each tenant's day, and up to a bound for its end users."""

from collections.abc import Mapping
from typing import Final

from service.store import keys
from service.store.money.money import usage_keys
from service.store.redis.client import Argument, Redis, Script

_COUNT: Final = Script("count_refusals")
#: Fields of one tenant's day for its end users, each with a pseudonym and a code. The sums of codes have no bound.
MOST_FIELDS: Final = 256
#: Counts that one script adds: Redis serves no other client meanwhile.
_SLICE: Final = 250

Counts = Mapping[tuple[str, str], int]
"""By error code and pseudonym, which is ``""`` if the end user is not known."""


class RefusalStore:
    """Writes counts of refusals."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, tenant_id: str, day: str, counts: Counts) -> None:
        """Add counts to the usage of a tenant's day. A lost write loses counts and nothing else."""
        names = list(counts)
        for start in range(0, len(names), _SLICE):
            given: list[Argument] = []
            for code, pseudonym in names[start : start + _SLICE]:
                given += [code, pseudonym, counts[code, pseudonym]]
            await self._redis.run(
                _COUNT,
                {**usage_keys(tenant_id, day), "refused_end_users": keys.refused_end_users(tenant_id, day)},
                {
                    "tenant_id": tenant_id,
                    "most_fields": MOST_FIELDS,
                    "retention_seconds": keys.MONEY_RETENTION_SECONDS,
                    "counts": given,
                },
                replicated=False,
            )
