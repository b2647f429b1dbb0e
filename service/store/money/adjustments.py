"""Adjustments of what was spent: record, windows, usage and ledger in one script."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from service.domain.adjustment import Correction
from service.domain.budgets import day
from service.domain.generation import Generation
from service.store import keys
from service.store.generations.generations import dump
from service.store.money.money import windows
from service.store.redis.client import Redis, Script

_ADJUST: Final = Script("adjust")

Result = Literal["adjusted", "changed", "gone", "below_zero"]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """``spent``: of the end user's day, in micro-USD; 0 unless adjusted or changed."""

    result: Result
    spent: int = 0


class AdjustmentStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def of_generation(self, before: Generation, correction: Correction) -> tuple[Adjusted, Generation]:
        """Change the cost of an ended generation, if its record still is the version that was read."""
        after = replace(before.adjusted(correction.amount), version=before.version + 1)
        created_on = day(before.created_at)
        adjusted = await self._run(
            before.tenant_id, before.end_user, created_on, correction, before=before, after=after
        )
        return adjusted, after

    async def of_day(
        self, tenant_id: str, end_user: str, date: str, correction: Correction, *, expected: int
    ) -> Adjusted:
        """Change what an end user has spent of a day, if it still is ``expected``."""
        return await self._run(tenant_id, end_user, date, correction, expected=expected)

    async def _run(
        self,
        tenant_id: str,
        end_user: str,
        date: str,
        correction: Correction,
        *,
        before: Generation | None = None,
        after: Generation | None = None,
        expected: int = 0,
    ) -> Adjusted:
        of_windows = windows(tenant_id, end_user, date)
        result, *spent = await self._redis.run(
            _ADJUST,
            [
                keys.LEDGER if before is None else keys.generation(before.id),  # a fixed number of keys
                *of_windows,
                keys.LEDGER,
                keys.usage(tenant_id, date),
                keys.usage_of_end_users(tenant_id, date),
            ],
            correction.amount,
            "" if before is None else before.version,
            "" if after is None else dump(after),
            expected,
            "" if before is None else before.id,
            tenant_id,
            end_user,
            date,
            correction.operator,
            correction.reason,
            keys.KEPT_SECONDS,
        )
        return Adjusted(result.decode(), *map(int, spent))
