"""What a video costs: integer micro-USD inside, decimal strings outside.

Source: the model page. ``tokens = width * height * (24 * seconds + 1) / 1024``, US dollars = tokens / 1000 * rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Final

from service.domain.request import Resolution

FRAMES_PER_SECOND: Final = 24
LONGEST_SECONDS: Final = 15  # what ``auto`` may choose at worst
MICRO: Final = 1_000_000

#: Largest pixel count a resolution is rendered at, over all aspect ratios. 1080p and 4k are estimates: fal publishes
#: no sizes for them (see "Conflicts and unknowns" of the upstream's contract).
PIXELS: Final[Mapping[Resolution, int]] = {
    "480p": 992 * 432,
    "720p": 1112 * 834,
    "1080p": 2206 * 946,
    "4k": 4412 * 1892,
}


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per 1,000 tokens, by resolution."""

    per_thousand_tokens: Mapping[Resolution, Decimal]

    def estimate(self, resolution: Resolution, duration: str) -> int:
        """The most this request can cost, in micro-USD, rounded up; ``auto`` counts as its longest."""
        return _micro(thousands_of_tokens(resolution, duration), self.per_thousand_tokens[resolution], ROUND_CEILING)

    def settle(self, resolution: Resolution, billable_units: Decimal | None, estimated: int) -> int:
        """What it did cost, in micro-USD: fal's billed units (thousands of tokens) when known, else the estimate."""
        if billable_units is None:
            return estimated
        return _micro(billable_units, self.per_thousand_tokens[resolution], ROUND_HALF_UP)


def thousands_of_tokens(resolution: Resolution, duration: str) -> Decimal:
    """The most a video can be billed at, in fal's billed units; ``auto`` counts as its longest."""
    seconds = LONGEST_SECONDS if duration == "auto" else int(duration)
    return Decimal(PIXELS[resolution] * (FRAMES_PER_SECOND * seconds + 1)) / 1024 / 1000


def usd(micro: int) -> str:
    """1512000 -> ``"1.512000"``."""
    sign = "-" if micro < 0 else ""
    return f"{sign}{abs(micro) // MICRO}.{abs(micro) % MICRO:06d}"


def _micro(thousands_of_tokens: Decimal, rate: Decimal, rounding: str) -> int:
    return int((thousands_of_tokens * rate * MICRO).to_integral_value(rounding))
