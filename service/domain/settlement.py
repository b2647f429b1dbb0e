"""The cost of an ended generation, by what fal billed."""

from decimal import Decimal

from service.domain.generation import Generation
from service.domain.pricing import Rates, Settlement


def settled(g: Generation, billed_units: Decimal | None, rates: Rates) -> Settlement:
    """Return the cost for the units that fal billed. Its input says which factors of the price apply."""
    return rates.settle(
        g.input["resolution"],
        billed_units,
        g.estimated_cost,
        audio=g.input.get("generate_audio") is not False,
        video_input=g.input_seconds is not None,
    )
