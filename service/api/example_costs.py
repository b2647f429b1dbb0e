"""Costs in the examples of the OpenAPI document, from the prices of the default model. US dollars."""

from typing import Final

from service.domain.models.registry import seed
from service.domain.pricing import MICRO, Rates, usd

_RATES: Final = Rates.of(seed())
_SHORT: Final = _RATES.estimate("480p", "5")

SHORT: Final = usd(_SHORT)
"""Of 5 seconds at 480p. 16:9 has the most pixels of 480p, so the bill of such a video is what was held."""
LONGEST: Final = usd(_RATES.estimate("720p", "auto"))
"""Held with the defaults."""
TWO_SHORT: Final = usd(2 * _SHORT)
CREDITED: Final = usd(_SHORT - 300_000)
"""After a correction of -0.30."""
MONTH_LEFT: Final = usd((1000 - 42) * MICRO - _SHORT)
"""Of 1,000 with 42 spent, and one short video held."""
