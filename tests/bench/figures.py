"""A figure: a measurement and its target; printed as a table, and written to ``bench.json``."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Target:
    """The target of a figure: a bound of the value, or of the ratio to the floor if there is one."""

    limit: float
    at_least: bool = False

    def met_by(self, number: float) -> bool:
        return number >= self.limit if self.at_least else number <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {_short(self.limit)}"


@dataclass(frozen=True, kw_only=True)
class Figure:
    name: str
    value: float
    unit: str
    floor: float | None = None
    """The same measurement in the same run, of the smallest program that does the work."""
    target: Target | None = None
    """Of the ratio if there is a floor, else of the value; None: without a target."""
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return None if self.floor is None else self.value / self.floor

    @property
    def ok(self) -> bool | None:
        if self.target is None:
            return None
        return self.target.met_by(self.value if self.ratio is None else self.ratio)

    def record(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "floor": _rounded(self.floor),
            "ratio": _rounded(self.ratio),
            "target": None if self.target is None else self.target.limit,
            "ok": self.ok,
        }


def latency(name: str, samples: Sequence[float], *, at_most: float) -> Figure:
    """Return the median of latencies in seconds as milliseconds."""
    milliseconds = sorted(sample * 1000 for sample in samples)
    cuts = statistics.quantiles(milliseconds, n=100)
    return Figure(
        name=name,
        value=cuts[49],
        unit="ms (p50)",
        target=Target(at_most),
        raw={
            "samples": len(milliseconds),
            **{f"p{n}": round(cuts[n - 1], 2) for n in (10, 50, 90, 99)},
            "least": round(milliseconds[0], 2),
            "most": round(milliseconds[-1], 2),
        },
    )


def write(figures: Sequence[Figure], path: Path) -> None:
    path.write_text(json.dumps([figure.record() for figure in figures], indent=2) + "\n")


def write_raw(figures: Sequence[Figure], machine: dict[str, str], path: Path) -> None:
    """Write what each figure was computed from: the rounds and samples of all programs that were measured."""
    document = {"machine": machine, "figures": {figure.name: figure.raw for figure in figures}}
    path.write_text(json.dumps(document, indent=2) + "\n")


def show(figures: Sequence[Figure], console: Console) -> None:
    table = Table(title="Seedance Gateway: measured", title_justify="left")
    for heading in ("name", "value", "unit", "floor", "ratio", "target", "ok"):
        table.add_column(heading, justify="left" if heading in ("name", "unit") else "right", no_wrap=True)
    for figure in figures:
        table.add_row(
            figure.name,
            _short(figure.value),
            figure.unit,
            _short(figure.floor),
            _short(figure.ratio),
            "" if figure.target is None else str(figure.target),
            {None: "", True: "[green]yes[/]", False: "[bold red]NO[/]"}[figure.ok],
        )
    console.print(table)
    for figure in figures:
        if figure.raw:
            console.print(f"[bold]{figure.name}[/]: {json.dumps(figure.raw)}", highlight=False, soft_wrap=True)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)


def _short(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
