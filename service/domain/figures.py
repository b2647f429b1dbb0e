"""Figures of usage: counts of generations and money of one group, and the groups of some days by model and by code.

All rows of one grouping add up to the figures of the whole period, whatever the grouping.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final, Self

_FAILED: Final = "failed:"


@dataclass(frozen=True, slots=True)
class Figures:
    """Generations by their creation in the period, refused creates of the period, and money in micro-USD."""

    created: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0
    refused: int = 0
    spent: int = 0
    held: int = 0
    """Of generations that have not ended, as of now."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    @property
    def is_empty(self) -> bool:
        return self == type(self)()


NOTHING: Final = Figures()


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What the usage of one day has: sums, and parts of them. ``outcomes``: ``succeeded``, ``failed:<error code>``."""

    created: int
    spent: int
    outcomes: dict[str, int]
    refusals: dict[str, int]
    """Refused creates by error code."""
    models: dict[str, Figures]
    """Without refusals. ``""``: adjustments of days whose generations are deleted."""
    costs: dict[str, int]
    """Spent on failed generations, by error code."""

    @property
    def figures(self) -> Figures:
        return Figures(
            created=self.created,
            succeeded=self.outcomes.get("succeeded", 0),
            failed=sum(self.failures.values()),
            canceled=self.outcomes.get("canceled", 0),
            refused=sum(self.refusals.values()),
            spent=self.spent,
            held=sum(model.held for model in self.models.values()),
        )

    @property
    def failures(self) -> dict[str, int]:
        """Failed generations by error code."""
        return {name.removeprefix(_FAILED): count for name, count in self.outcomes.items() if name.startswith(_FAILED)}


def total(days: Iterable[Booked]) -> Figures:
    return sum((day.figures for day in days), NOTHING)


def by_model(days: Iterable[Booked]) -> dict[str | None, Figures]:
    """Return the figures of each model. None: what belongs to no model, like refused creates."""
    found: defaultdict[str | None, Figures] = defaultdict(Figures)
    for day in days:
        for model, figures in day.models.items():
            found[model or None] += figures
        found[None] += day.figures - sum(day.models.values(), NOTHING)
    return _ordered(found)


def by_code(days: Iterable[Booked]) -> dict[str | None, Figures]:
    """Return the figures of each error code, of failures and of refusals. None: generations without an error."""
    found: defaultdict[str | None, Figures] = defaultdict(Figures)
    for day in days:
        rest = day.figures
        for code in {**day.failures, **day.refusals, **day.costs}:
            failed = day.failures.get(code, 0)
            part = Figures(
                created=failed, failed=failed, refused=day.refusals.get(code, 0), spent=day.costs.get(code, 0)
            )
            found[code] += part
            rest -= part
        found[None] += rest
    return _ordered(found)


def _ordered(found: dict[str | None, Figures]) -> dict[str | None, Figures]:
    """Return the groups with the highest spending first, without empty ones."""
    rows = [(name, figures) for name, figures in found.items() if not figures.is_empty]
    return dict(sorted(rows, key=lambda row: (-row[1].spent, -row[1].created, -row[1].refused, row[0] or "")))
