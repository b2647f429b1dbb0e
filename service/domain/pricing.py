"""Prices of videos: integer micro-USD inside the gateway, decimal strings outside.

Source: fal's model pages. ``tokens = width * height * (24 * seconds + 1) / 1024``, US dollars = tokens / 1000 * rate.
The formula of the pages has one frame less; bills have this one. fal also publishes a price per second, which exceeds
the formula for some models: the higher one is held.

The seconds of input videos are billed as those of the output, and a video among the inputs makes the whole cheaper by a
factor. Images and sounds are free.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, Final, Literal

from service.domain.models.model import PIXELS as FRAME_PIXELS
from service.domain.models.model import MediaLimits, Model

FRAMES_PER_SECOND: Final = 24
#: Durations of Seedance 2.0.
SHORTEST_SECONDS: Final = 4
LONGEST_SECONDS: Final = 15
MICRO: Final = 1_000_000
_ONE: Final = Decimal(1)
_THOUSAND: Final = 1000
_CACHED_PRICES: Final = 1024

#: Most pixels of a frame of Seedance 2.0, by resolution.
PIXELS: Final[Mapping[str, int]] = FRAME_PIXELS

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
class Parts:
    """The prices of which an estimate is the higher one, in micro-USD."""

    seconds: int
    """Seconds of the output."""
    formula: int
    published: int | None
    """None: fal publishes no price per second."""
    input_seconds: Decimal | None = None
    """Seconds of the input videos; None: there is no video among the inputs."""
    unit_price: Decimal = _ONE
    """US dollars per billed unit, before the factor."""
    factor: Decimal = _ONE
    """Of both prices: for a video without audio, or with a video among its inputs."""

    @property
    def cost(self) -> int:
        return self.formula if self.published is None else max(self.formula, self.published)

    @property
    def decided_by(self) -> Literal["formula", "published"]:
        """The price that is the estimate."""
        return "formula" if self.cost == self.formula else "published"


@dataclass(frozen=True, slots=True)
class Rates:
    """The price of a model: US dollars per unit of 1,000 tokens, by resolution, and what changes it."""

    per_thousand_tokens: Mapping[Any, Decimal]
    per_second: Mapping[Any, Decimal] = field(default_factory=dict)
    """US dollars per second, as published."""
    shortest: int = SHORTEST_SECONDS
    longest: int = LONGEST_SECONDS
    """What ``auto`` counts as."""
    silent_factor: Decimal = _ONE
    unit_tokens: int = 1000
    """Tokens of a billed unit."""
    pixels: Mapping[str, int] = field(default_factory=lambda: PIXELS)
    video_input_factor: Decimal = _ONE
    input_videos: MediaLimits | None = None
    """Limits of the input videos; None: the model takes none."""

    @classmethod
    def of(cls, model: Model) -> "Rates":
        price = model.price
        return cls(
            {name: rate * 1000 / price.unit_tokens for name, rate in price.rates.items()},
            price.per_second,
            shortest=model.shortest_seconds,
            longest=model.longest_seconds,
            silent_factor=price.silent_factor,
            unit_tokens=price.unit_tokens,
            pixels=price.pixels,
            video_input_factor=price.video_input_factor,
            input_videos=model.input_videos,
        )

    def estimate(
        self, resolution: str, duration: str, *, audio: bool = True, input_seconds: Decimal | None = None
    ) -> int:
        """Return the most that a video can cost, in micro-USD, rounded up. ``auto`` counts as the longest duration.

        ``input_seconds``: of the input videos; None: there is no video among the inputs.
        """
        return self.parts(resolution, duration, audio=audio, input_seconds=input_seconds).cost

    def parts(
        self, resolution: str, duration: str, *, audio: bool = True, input_seconds: Decimal | None = None
    ) -> Parts:
        """Return the prices of which ``estimate`` is the higher one."""
        seconds = self.seconds(duration)
        billed = seconds if input_seconds is None else seconds + input_seconds
        rate, factor = self.per_thousand_tokens[resolution], self._factor(audio=audio, video=input_seconds is not None)
        formula = _micro(self.thousands_of_tokens(resolution, billed), rate * factor, ROUND_CEILING)
        second = self.per_second.get(resolution)
        published = None if second is None else _micro(Decimal(billed), second * factor, ROUND_CEILING)
        return Parts(seconds, formula, published, input_seconds, self._unit_price(rate), factor)

    def most_per_second(self, resolution: str) -> int:
        """Return the most micro-USD that are held per second: of the shortest video, which has one more frame too."""
        return -(-self.estimate(resolution, str(self.shortest)) // self.shortest)

    def input_seconds(self, measured: Sequence[Decimal | None]) -> Decimal | None:
        """Return the seconds of input videos that are priced; None: there is no video.

        ``measured``: the seconds of each video; None: not known. With an unknown one, the most seconds that the model
        allows are priced.
        """
        if not measured:
            return None
        known = sum((seconds for seconds in measured if seconds is not None), Decimal(0))
        return max(known, self._longest_input) if None in measured else known

    @property
    def _longest_input(self) -> Decimal:
        return (self.input_videos and self.input_videos.longest_seconds) or Decimal(0)

    def settle(
        self,
        resolution: str,
        billed_units: Decimal | None,
        held: int,
        *,
        audio: bool = True,
        video_input: bool = False,
    ) -> Settlement:
        """Turn fal's billed units into a cost within [0, 1.1 * held]. The units include the seconds of input videos.

        The units come from outside. Units that give a cost beyond these bounds are not used: the cost is ``held``.
        """
        if billed_units is None or billed_units.is_nan():
            return Settlement(held, "missing")
        if billed_units < 0:
            return Settlement(held, "negative")
        most = int(held * _MOST_OF_HOLD)
        rate = self._unit_price(self.per_thousand_tokens[resolution]) * self._factor(audio=audio, video=video_input)
        if billed_units > most / (rate * MICRO):  # compared before the multiplication: 1e999999 would overflow
            return Settlement(held, "above_hold")
        return Settlement(_micro(billed_units, rate, ROUND_HALF_UP))

    def expected_units(
        self, resolution: str, duration: str, *, input_seconds: Decimal | None = None
    ) -> tuple[Decimal, Decimal]:
        """Return the least and the most units that fal bills for a success, over all aspect ratios.

        For ``auto``, fal may choose any duration. Smaller aspect ratios and one frame less reduce a bill to 0.94 of the
        maximum. The published price, where it is the higher one, stands for units that the formula does not give.

        ``input_seconds``: as they are priced. If these are the longest, videos of unknown length can be shorter.
        """
        longest = self.seconds(duration)
        shortest = self.shortest if duration == "auto" else longest
        most, least = longest + (input_seconds or 0), shortest + self._least_input(input_seconds)
        unit = Decimal(self.unit_tokens) / _THOUSAND
        extra = max(_ONE, self._published_share(resolution, most))
        return (
            self.thousands_of_tokens(resolution, least) * _LEAST_SHARE / unit,
            self.thousands_of_tokens(resolution, most) * _MOST_SHARE * extra / unit,
        )

    def longest_billed(
        self, resolution: str, duration: str, units: Decimal | None, *, input_seconds: Decimal | None = None
    ) -> int:
        """Return the seconds of a video; of ``auto`` the most that the billed units allow, else the longest."""
        if duration != "auto" or units is None:
            return self.seconds(duration)
        expected = (
            (seconds, self.expected_units(resolution, str(seconds), input_seconds=input_seconds))
            for seconds in range(self.longest, self.shortest - 1, -1)
        )
        return next((seconds for seconds, (least, most) in expected if least <= units <= most), self.longest)

    def rescaled(self, cost: int, resolution: str, duration: str, *, to: str) -> int | None:
        """Return what a video that was billed at one resolution costs at another one; None: it has no price there."""
        if to not in self.per_thousand_tokens:
            return None
        return round(Decimal(cost) * self.estimate(to, duration) / self.estimate(resolution, duration))

    def _least_input(self, input_seconds: Decimal | None) -> Decimal:
        if input_seconds is None or self.input_videos is None:
            return Decimal(0)
        is_measured = input_seconds < self._longest_input
        return input_seconds if is_measured else min(input_seconds, self.input_videos.shortest_seconds)

    def _published_share(self, resolution: str, seconds: Decimal | int) -> Decimal:
        """Return the published price as a share of the formula's."""
        published = self.per_second.get(resolution, Decimal(0)) * seconds
        return published / (self.thousands_of_tokens(resolution, seconds) * self.per_thousand_tokens[resolution])

    def seconds(self, duration: str) -> int:
        """Return the seconds of a duration; ``auto`` counts as the longest."""
        return self.longest if duration == "auto" else int(duration)

    def _factor(self, *, audio: bool, video: bool) -> Decimal:
        factor = _ONE if audio else self.silent_factor
        return factor * self.video_input_factor if video else factor

    def _unit_price(self, rate: Decimal) -> Decimal:
        return rate * self.unit_tokens / _THOUSAND

    def thousands_of_tokens(self, resolution: str, seconds: Decimal | int) -> Decimal:
        """Return the most thousands of tokens that a video can have."""
        return Decimal(self.pixels[resolution] * (FRAMES_PER_SECOND * seconds + 1)) / 1024 / _THOUSAND


class Prices:
    """The price of each model. A model that is not known any more has the default one's."""

    def __init__(self, models: Iterable[Model], default: Model) -> None:
        self._rates = {model.id: Rates.of(model) for model in models}
        self.default = default.id
        #: ``Rates.parts`` of a model. Most requests are for few combinations, and decimals take 3 us of each create.
        self.parts = lru_cache(maxsize=_CACHED_PRICES)(self._parts)

    def known(self, model_id: str) -> Rates | None:
        return self._rates.get(model_id)

    def of(self, model_id: str) -> Rates:
        return self._rates.get(model_id) or self._rates[self.default]

    def _parts(self, model_id: str, resolution: str, duration: str, audio: bool, seconds: Decimal | None) -> Parts:  # noqa: FBT001  (a cache has positional keys)
        return self.of(model_id).parts(resolution, duration, audio=audio, input_seconds=seconds)


#: Seedance 2.0: its units depend on no rate.
_SEED: Final = Rates(dict.fromkeys(PIXELS, _ONE))


def thousands_of_tokens(resolution: str, duration: str) -> Decimal:
    """Return the most units that fal can bill for a video of Seedance 2.0."""
    return _SEED.thousands_of_tokens(resolution, _SEED.seconds(duration))


def expected_units(resolution: str, duration: str) -> tuple[Decimal, Decimal]:
    """Return the least and the most units that fal bills for a success of Seedance 2.0."""
    return _SEED.expected_units(resolution, duration)


def usd(micro: int) -> str:
    """Return micro-USD as a decimal string of US dollars: 1512000 gives ``"1.512000"``."""
    sign = "-" if micro < 0 else ""
    return f"{sign}{abs(micro) // MICRO}.{abs(micro) % MICRO:06d}"


def _micro(thousands_of_tokens: Decimal, rate: Decimal, rounding: str) -> int:
    return int((thousands_of_tokens * rate * MICRO).to_integral_value(rounding))
