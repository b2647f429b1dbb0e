"""Judgement of curves: whether a measured value still grows after a warm-up, faster than a bound.

After the warm-up, the first quarter of a run, the rest has three parts. A leak raises the floor of a curve from each
part to the next, so the growth of a curve is the smaller one of the two differences between the floors of its parts.
The floor is the 10th percentile: load adds to a value for a time, and a leak adds to its lowest values too. A single
step (an arena of the allocator, a cache that fills once) lies in one difference only.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WARM_UP: Final = 0.25
_PARTS: Final = 3
_HOUR: Final = 3600.0
_FLOOR: Final = 0.1
#: Fewer samples in a part say nothing about its floor.
_LEAST_SAMPLES: Final = 3

Sample = tuple[float, float]
"""Seconds since the start, and the value."""


@dataclass(frozen=True)
class Bound:
    """The growth that is allowed: ``per_hour``, and in any case ``noise`` between two parts of a run."""

    per_hour: float
    noise: float


@dataclass(frozen=True)
class Judgement:
    """``before`` and ``after``: floors of the first and the last part. ``growth`` and ``allowed`` are per hour."""

    before: float
    after: float
    growth: float
    allowed: float

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.allowed


def judge(samples: Sequence[Sample], bound: Bound) -> Judgement:
    """Judge a curve. Falling curves are flat: their growth is 0 or less.

    Raises:
        ValueError: too few samples.

    """
    if len(samples) < _PARTS * _LEAST_SAMPLES:
        raise ValueError(f"{len(samples)} samples are too few for a judgement")
    first, last = samples[0][0], samples[-1][0]
    begin = first + (last - first) * WARM_UP
    length = (last - begin) / _PARTS
    parts: list[list[float]] = [[] for _ in range(_PARTS)]
    for at, value in samples:
        if at >= begin:
            parts[min(_PARTS - 1, int((at - begin) / length))].append(value)
    if min(map(len, parts)) < _LEAST_SAMPLES:
        raise ValueError(f"{len(samples)} samples are too few for a judgement")
    floors = [sorted(part)[int(len(part) * _FLOOR)] for part in parts]
    hours = length / _HOUR
    growth = min(later - earlier for earlier, later in itertools.pairwise(floors)) / hours
    return Judgement(floors[0], floors[-1], growth, max(bound.per_hour, bound.noise / hours))
