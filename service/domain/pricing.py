"""Prices of videos: integer micro-USD inside the gateway, decimal strings outside.

Source: fal's model page. ``tokens = width * height * (24 * seconds + 1) / 1024``, US dollars = tokens / 1000 * rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Final, Literal

from service.domain.request import Resolution

FRAMES_PER_SECOND: Final = 24
LONGEST_SECONDS: Final = 15  # the longest that fal may choose for ``auto``
SHORTEST_SECONDS: Final = "4"
MICRO: Final = 1_000_000

#: Largest pixel count a resolution is rendered at, over all aspect ratios. 1080p and 4k are estimates: fal publishes
#: no sizes for them.
PIXELS: Final[Mapping[Resolution, int]] = {
    "480p": 992 * 432,
    "720p": 1112 * 834,
    "1080p": 2206 * 946,
    "4k": 4412 * 1892,
}


#: Billed units cost at most this share of the hold. The hold is the formula's maximum, so a larger bill is an error.
_MOST_OF_HOLD: Final = Decimal("1.1")

#: Bounds of expected units, as shares of the maximum of a duration.
_LEAST_SHARE: Final = Decimal("0.92")
_MOST_SHARE: Final = Decimal("1.02")

EstimateReason = Literal["missing", "negative", "above_hold"]
"""Why billed units were not used: absent or no number, below 0, or more than 1.1 times the hold."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The cost of an ended generation in micro-USD. ``reason``: why it is the estimate; None: it is the bill."""

    cost: int
    reason: EstimateReason | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per 1,000 tokens, by resolution."""

    per_thousand_tokens: Mapping[Resolution, Decimal]

    def estimate(self, resolution: Resolution, duration: str) -> int:
        """Return the most that a video can cost, in micro-USD, rounded up. ``auto`` counts as the longest duration."""
        return _micro(thousands_of_tokens(resolution, duration), self.per_thousand_tokens[resolution], ROUND_CEILING)

    def settle(self, resolution: Resolution, billed_units: Decimal | None, held: int) -> Settlement:
        """Turn fal's billed units (thousands of tokens) into a cost within [0, 1.1 * held].

        The units come from outside. Units that give a cost beyond these bounds are not used: the cost is ``held``.
        """
        if billed_units is None or billed_units.is_nan():
            return Settlement(held, "missing")
        if billed_units < 0:
            return Settlement(held, "negative")
        most = int(held * _MOST_OF_HOLD)
        rate = self.per_thousand_tokens[resolution]
        if billed_units > most / (rate * MICRO):  # compared before the multiplication: 1e999999 would overflow
            return Settlement(held, "above_hold")
        return Settlement(_micro(billed_units, rate, ROUND_HALF_UP))


def thousands_of_tokens(resolution: Resolution, duration: str) -> Decimal:
    """Return the most units that fal can bill for a video. ``auto`` counts as the longest duration."""
    seconds = LONGEST_SECONDS if duration == "auto" else int(duration)
    return Decimal(PIXELS[resolution] * (FRAMES_PER_SECOND * seconds + 1)) / 1024 / 1000


def expected_units(resolution: Resolution, duration: str) -> tuple[Decimal, Decimal]:
    """Return the least and the most units that fal bills for a success, over all aspect ratios.

    For ``auto``, fal may choose any duration. Smaller aspect ratios and one frame less reduce a bill to 0.94 of the
    maximum.
    """
    shortest = SHORTEST_SECONDS if duration == "auto" else duration
    return (
        thousands_of_tokens(resolution, shortest) * _LEAST_SHARE,
        thousands_of_tokens(resolution, duration) * _MOST_SHARE,
    )


def usd(micro: int) -> str:
    """Return micro-USD as a decimal string of US dollars: 1512000 gives ``"1.512000"``."""
    sign = "-" if micro < 0 else ""
    return f"{sign}{abs(micro) // MICRO}.{abs(micro) % MICRO:06d}"


def _micro(thousands_of_tokens: Decimal, rate: Decimal, rounding: str) -> int:
    return int((thousands_of_tokens * rate * MICRO).to_integral_value(rounding))
