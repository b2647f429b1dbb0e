"""Adjustments: corrections of settled costs by operators. A repeated call changes nothing more."""

from dataclasses import dataclass

from service.domain.adjustment import Correction
from service.domain.budgets import day
from service.domain.generation import Generation
from service.domain.pricing import usd
from service.errors import CostChanged, NotFound, NotSettled, SpentBelowZero
from service.observability import log
from service.store.generations.generations import GenerationStore
from service.store.money.adjustments import Adjusted, AdjustmentStore
from service.usecases.conflicts import LOST, MAX_ATTEMPTS, Lost, retry_on_conflict
from service.usecases.trail.recording import note, note_change, note_target


@dataclass(frozen=True, slots=True)
class _Cost:
    """A cost in the audit trail."""

    cost_micro_usd: int


class AdjustmentService:
    def __init__(self, generations: GenerationStore, adjustments: AdjustmentStore) -> None:
        self._generations = generations
        self._adjustments = adjustments
        self._log = log.get(__name__)

    async def of_generation(self, generation_id: str, correction: Correction, *, expected: int) -> Generation:
        """Correct the cost of an ended generation, and with it all windows and usage reports.

        Raises:
            NotFound: the record or its windows do not exist any more.
            NotSettled: the generation has not ended.
            CostChanged: its cost is not ``expected``: it was adjusted already, perhaps by the same call.
            SpentBelowZero: the correction would make the cost negative.

        """

        async def attempt() -> Generation | Lost:
            before = _require_adjustable(await self._generations.load(generation_id), correction, expected)
            adjusted, after = await self._adjustments.of_generation(before, correction)
            if adjusted.result == "changed":  # rare: its end user was erased, or it was adjusted
                return LOST
            _check_adjusted(adjusted)
            note_change(_Cost(before.actual_cost or 0), _Cost(after.actual_cost or 0))
            return after

        after = await retry_on_conflict(attempt)
        if after is LOST:
            raise AssertionError(f"{generation_id}: lost {MAX_ATTEMPTS} races in a row")
        self._report(correction, after.tenant_id, day(after.created_at), generation_id=after.id)
        return after

    async def of_day(self, tenant_id: str, end_user: str, date: str, correction: Correction, *, expected: int) -> int:
        """Correct the spending of an end user on a day whose records are purged; return the new spending.

        Raises NotFound, CostChanged, SpentBelowZero.
        """
        adjusted = await self._adjustments.of_day(tenant_id, end_user, date, correction, expected=expected)
        if adjusted.result == "changed":
            raise CostChanged(f"The end user has spent {usd(adjusted.spent)} US dollars of that day.")
        _check_adjusted(adjusted)
        note_change(_Cost(expected), _Cost(adjusted.spent))
        self._report(correction, tenant_id, date, pseudonym=end_user)
        return adjusted.spent

    def _report(self, correction: Correction, tenant_id: str, date: str, **subject: str) -> None:
        note_target(subject.get("generation_id") or subject["pseudonym"], tenant_id=tenant_id)
        note(amount_usd=usd(correction.amount), day=date)
        self._log.warning(
            "cost_adjusted",
            tenant_id=tenant_id,
            day=date,
            amount=usd(correction.amount),
            operator=correction.operator,
            reason=correction.reason,
            **subject,
        )


def _require_adjustable(g: Generation | None, correction: Correction, expected: int) -> Generation:
    if g is None:
        raise NotFound("There is no such generation. If its record was purged, give tenant, end user and day.")
    if not g.is_terminal or g.actual_cost is None:
        raise NotSettled(f"Only an ended generation can be adjusted; this one is {g.public_status}.")
    if g.actual_cost != expected:
        raise CostChanged(f"Its cost is {usd(g.actual_cost)} US dollars.")
    if g.actual_cost + correction.amount < 0:
        raise SpentBelowZero(f"Its cost is {usd(g.actual_cost)} US dollars; the correction would make it negative.")
    return g


def _check_adjusted(adjusted: Adjusted) -> None:
    match adjusted.result:
        case "gone":
            raise NotFound("There are no sums of that tenant, end user and day, or they have expired.")
        case "below_zero":
            raise SpentBelowZero("The correction would make the spending negative.")
