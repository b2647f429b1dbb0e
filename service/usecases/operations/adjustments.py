"""An operator corrects what was spent, where fal's bill says otherwise: once per call, however often it is sent."""

from service.domain.adjustment import Correction
from service.domain.budgets import day
from service.domain.generation import Generation
from service.domain.pricing import usd
from service.errors import CostChanged, NotFound, NotSettled, SpentBelowZero
from service.observability import log
from service.store.generations.generations import GenerationStore
from service.store.money.adjustments import Adjusted, AdjustmentStore
from service.usecases.conflicts import LOST, MAX_ATTEMPTS, Lost, retry_on_conflict


class AdjustmentService:
    def __init__(self, generations: GenerationStore, adjustments: AdjustmentStore) -> None:
        self._generations = generations
        self._adjustments = adjustments
        self._log = log.get(__name__)

    async def of_generation(self, generation_id: str, correction: Correction, *, expected: int) -> Generation:
        """Correct the cost of an ended generation, and with it all windows and usage reports.

        Raises:
            NotFound: there is no such record (any more), or its windows have expired.
            NotSettled: it has not ended.
            CostChanged: its cost is not ``expected``: it was adjusted already, perhaps by the same call.
            SpentBelowZero: it cost less than is taken off.

        """

        async def attempt() -> Generation | Lost:
            before = _settled(await self._generations.load(generation_id), correction, expected)
            adjusted, after = await self._adjustments.of_generation(before, correction)
            if adjusted.result == "changed":  # seldom: its end user was erased, or it was adjusted
                return LOST
            _must_be_adjusted(adjusted)
            return after

        after = await retry_on_conflict(attempt)
        if after is LOST:
            raise AssertionError(f"{generation_id}: lost {MAX_ATTEMPTS} races in a row")
        self._report(correction, after.tenant_id, day(after.created_at), generation_id=after.id)
        return after

    async def of_day(self, tenant_id: str, end_user: str, date: str, correction: Correction, *, expected: int) -> int:
        """Correct what an end user has spent of a day whose records are purged; return what it is then.

        Raises NotFound, CostChanged, SpentBelowZero.
        """
        adjusted = await self._adjustments.of_day(tenant_id, end_user, date, correction, expected=expected)
        if adjusted.result == "changed":
            raise CostChanged(f"The end user has spent {usd(adjusted.spent)} US dollars of that day.")
        _must_be_adjusted(adjusted)
        self._report(correction, tenant_id, date, pseudonym=end_user)
        return adjusted.spent

    def _report(self, correction: Correction, tenant_id: str, date: str, **subject: str) -> None:
        self._log.warning(
            "cost_adjusted",
            tenant_id=tenant_id,
            day=date,
            amount=usd(correction.amount),
            operator=correction.operator,
            reason=correction.reason,
            **subject,
        )


def _settled(g: Generation | None, correction: Correction, expected: int) -> Generation:
    if g is None:
        raise NotFound("There is no such generation. Where its record is purged, give tenant, end user and day.")
    if not g.is_terminal or g.actual_cost is None:
        raise NotSettled(f"Only an ended generation can be adjusted; this one is {g.public_status}.")
    if g.actual_cost != expected:
        raise CostChanged(f"Its cost is {usd(g.actual_cost)} US dollars.")
    if g.actual_cost + correction.amount < 0:
        raise SpentBelowZero(f"Its cost is {usd(g.actual_cost)} US dollars; more than that cannot be taken off.")
    return g


def _must_be_adjusted(adjusted: Adjusted) -> None:
    match adjusted.result:
        case "gone":
            raise NotFound("The sums of that tenant, end user and day are not kept (any more).")
        case "below_zero":
            raise SpentBelowZero("Less than that was spent.")
