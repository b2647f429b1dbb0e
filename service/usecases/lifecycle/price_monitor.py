"""Price monitor: checks what fal billed for each ended generation. Counts unusable bills, reports a changed price."""

from decimal import Decimal
from typing import Final

from service.domain.generation import Generation
from service.domain.outcomes import Canceled, Failed, ResultOutcome, Succeeded
from service.domain.pricing import EstimateReason, Prices
from service.domain.settlement import settled
from service.errors import StoreUnavailable
from service.observability import log, metrics
from service.observability.outages import log_store_failure
from service.store.money.prices import PriceStore

#: So many consecutive successes of one resolution with other billed units than expected mean that the price changed.
MISMATCHES: Final = 5


class PriceMonitor:
    def __init__(self, mismatches: PriceStore, prices: Prices) -> None:
        self._mismatches = mismatches
        self._prices = prices
        self._log = log.get(__name__)

    async def observe(self, g: Generation, result: ResultOutcome) -> None:
        """Compare a bill with the hold and with the price formula. Call it once per generation, after its end is saved.

        A process that is killed between the two loses one count and no money.
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
        match settled(g, units, self._prices.of(g.model)).reason:
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
        """Report a new price after several consecutive bills with other units than the formula gives."""
        resolution = g.input["resolution"]
        rates = self._prices.of(g.model)
        least, most = rates.expected_units(resolution, g.input["duration"], input_seconds=g.input_seconds)
        counted = resolution if g.model == self._prices.default else f"{resolution} of {g.model}"
        try:
            if least <= units <= most:
                await self._mismatches.reset(counted)
            elif await self._mismatches.count_mismatch(counted) == MISMATCHES:
                self._log.error(
                    "price_changed",
                    generation_id=g.id,
                    model=g.model,
                    resolution=resolution,
                    units=str(units),
                    expected=f"{least:.3f} to {most:.3f}",
                )
        except StoreUnavailable as error:
            log_store_failure(self._log, error, operation="check_price")  # one comparison is lost; the end is saved
