"""Check of what fal billed for each ended generation: unusable bills are counted, a changed price is reported."""

from decimal import Decimal
from typing import Final

from service.domain.generation import Generation
from service.domain.outcomes import Canceled, Failed, ResultOutcome, Succeeded
from service.domain.pricing import EstimateReason, Rates, expected_units
from service.errors import StoreUnavailable
from service.observability import log, metrics
from service.store.money.prices import PriceStore

#: Successes of one resolution in a row, billed other units than expected, that mean a changed price.
MISMATCHES: Final = 5


class PriceMonitor:
    def __init__(self, prices: PriceStore, *, rates: Rates) -> None:
        self._prices = prices
        self._rates = rates
        self._log = log.get(__name__)

    async def observe(self, g: Generation, result: ResultOutcome) -> None:
        """Compare a bill with the hold and with the price formula. Call it once per generation, after its end is saved.

        A process that is killed in between loses one count, and no money.
        """
        match result:
            case Succeeded(_, units):
                self._check_bounds(g, units)
                if units is not None:
                    await self._check_price(g, units)
            case Failed(_, units, presumed_billed) if units is not None or presumed_billed:
                self._check_bounds(g, units)
            case Canceled(units) if units is not None:
                self._check_bounds(g, units)

    def _check_bounds(self, g: Generation, units: Decimal | None) -> None:
        match self._rates.settle(g.input["resolution"], units, g.estimated_cost).reason:
            case None:
                return
            case "missing":
                self._report(g, units, "missing", "billed_units_missing")
            case reason:
                self._report(g, units, reason, "billed_units_out_of_bounds")

    def _report(self, g: Generation, units: Decimal | None, reason: EstimateReason, event: str) -> None:
        metrics.SETTLED_AT_ESTIMATE.labels(reason).inc()
        self._log.warning(
            event, generation_id=g.id, reason=reason, units=None if units is None else str(units), held=g.estimated_cost
        )

    async def _check_price(self, g: Generation, units: Decimal) -> None:
        """Other units than the formula gives for this resolution and duration, several times in a row: a new price."""
        resolution = g.input["resolution"]
        least, most = expected_units(resolution, g.input["duration"])
        try:
            if least <= units <= most:
                await self._prices.reset(resolution)
            elif await self._prices.count_mismatch(resolution) == MISMATCHES:
                self._log.error(
                    "price_changed",
                    generation_id=g.id,
                    resolution=resolution,
                    units=str(units),
                    expected=f"{least:.3f} to {most:.3f}",
                )
        except StoreUnavailable:
            self._log.warning("redis_unavailable", operation="check_price")  # one comparison less; the end is saved
