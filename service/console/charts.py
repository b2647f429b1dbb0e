"""Bar charts as SVG, with the same figures as a table for readers who do not see them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 600
_HEIGHT: Final = 120
#: The share of a bar's width that is the gap to the next bar.
_GAP: Final = 0.2
#: A value above zero is visible.
_LOWEST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    text: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class BarChart:
    title: str
    axis: str
    """What the labels are, like "Day"."""
    unit: str
    """What the values are, like "Spent"."""
    summary: str
    bars: tuple[Bar, ...]
    is_empty: bool
    """Whether all values are zero."""
    width: int = _WIDTH
    height: int = _HEIGHT


def bar_chart(
    title: str, points: Sequence[tuple[str, int]], *, axis: str, unit: str, text: Callable[[int], str]
) -> BarChart:
    """Return the bars of labels and values, none of them below zero. ``text`` renders a value."""
    largest = max((value for _, value in points), default=0)
    step = _WIDTH / max(1, len(points))
    bars = tuple(
        _bar(label, text(value), x=number * step, step=step, share=value / largest if largest else 0.0)
        for number, (label, value) in enumerate(points)
    )
    summary = f"{title}: nothing yet."
    if largest:
        first = next(label for label, value in points if value == largest)
        summary = f"{title}: {points[0][0]} to {points[-1][0]}; the highest: {text(largest)}, {first}"
    return BarChart(title, axis, unit, summary, bars, is_empty=not largest)


def _bar(label: str, text: str, *, x: float, step: float, share: float) -> Bar:
    height = max(_LOWEST, share * _HEIGHT) if share else 0.0
    return Bar(
        label,
        text,
        round(x + step * _GAP / 2, 2),
        round(_HEIGHT - height, 2),
        round(step * (1 - _GAP), 2),
        round(height, 2),
    )
