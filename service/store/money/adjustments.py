"""Adjustments of spent money: record, budget windows, usage and ledger change in one script."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from service.domain.adjustment import Correction
from service.domain.budgets import day
from service.domain.generation import Generation
from service.store import keys
from service.store.generations.records import dump
from service.store.generations.write import of_draft, outcome
from service.store.money.money import usage_keys, window_keys
from service.store.redis.client import Redis, Script

_ADJUST: Final = Script("adjust")

Result = Literal["adjusted", "changed", "gone", "below_zero"]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """``spent``: of the end user's day, in micro-USD; 0 unless the result is adjusted or changed."""

    result: Result
    spent: int = 0


class AdjustmentStore:
    """Writes adjustments."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def of_generation(self, before: Generation, correction: Correction) -> tuple[Adjusted, Generation]:
        """Change the cost of an ended generation, if its record still has the version that was read."""
        after = replace(before.adjusted(correction.amount), version=before.version + 1)
        created_on = day(before.created_at)
        adjusted = await self._run(
            before.tenant_id, before.end_user, created_on, correction, before=before, after=after
        )
        return adjusted, after

    async def of_day(
        self, tenant_id: str, end_user: str, date: str, correction: Correction, *, expected: int
    ) -> Adjusted:
        """Change the spent money of an end user's day, if it still is ``expected``."""
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
        result, *spent = await self._redis.run(
            _ADJUST,
            {
                "generation": keys.LEDGER if before is None else keys.generation(before.id),  # unused without a record
                **window_keys(tenant_id, end_user, date),
                "ledger": keys.LEDGER,
                **usage_keys(tenant_id, date),
            },
            {
                "amount": correction.amount,
                "version": "" if before is None else before.version,
                "record": "" if after is None else dump(after),
                "expected_spent": expected,
                "of_draft": "" if before is None else of_draft(before),
                "generation_id": "" if before is None else before.id,
                "model": "" if before is None else before.model,
                "outcome": "" if before is None else outcome(before),
                "tenant_id": tenant_id,
                "pseudonym": end_user,
                "day": date,
                "operator": correction.operator,
                "reason": correction.reason,
                "retention_seconds": keys.MONEY_RETENTION_SECONDS,
            },
        )
        return Adjusted(result.decode(), *map(int, spent))
