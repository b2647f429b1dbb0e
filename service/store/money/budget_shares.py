"""Tenants by the share of their monthly budget that is held and spent, sampled in the background."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain.budgets import month
from service.store import keys
from service.store.redis.client import Redis, Script

_SAMPLE: Final = Script("sample_budgets")
#: Tenants that one script reads: Redis serves no other client meanwhile.
_SLICE: Final = 100


class BudgetShareStore:
    """Samples and reads the list."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def tenants(self, *, after: str, limit: int) -> list[str]:
        """Return ids of tenants in order; ``after`` is the last one of the page before, or ``""``."""
        lower = f"({after}" if after else "-"
        found = await self._redis.execute("ZRANGEBYLEX", keys.TENANTS, lower, "+", "LIMIT", 0, limit)
        return [name.decode() for name in found]

    async def highest(self, most: int, *, least_share: float = 0.0, first: int = 0) -> list[str]:
        """Return the tenants with the highest shares, the highest first; ``first``: entries before it.

        ``least_share``: 1 is the whole budget.
        """
        found = await self._redis.execute(
            "ZREVRANGE", keys.BUDGET_SHARES, first, first + most - 1, "WITHSCORES"
        )  # by rank: a bound of the share with an offset would count the entries before it
        least = int(least_share * 1000)
        return [name.decode() for name, share in zip(found[::2], found[1::2], strict=True) if float(share) >= least]

    async def sample(self, tenant_ids: Sequence[str], now: datetime) -> None:
        """Record the shares of these tenants."""
        prefix, _, suffix = keys.money_of_tenant("*", month(now)).partition("*")
        for start in range(0, len(tenant_ids), _SLICE):
            await self._redis.run(
                _SAMPLE,
                {"budget_shares": keys.BUDGET_SHARES},
                {
                    "tenant_prefix": keys.tenant(""),
                    "money_prefix": prefix,
                    "money_suffix": suffix,
                    "tenants": tenant_ids[start : start + _SLICE],
                },
                replicated=False,
            )
