"""Boards, rows and panels as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["graph", "number", "states", "table", "alerts"]
"""``states``: when something was on. ``table``: one row for each series, now or in the selected time."""


@dataclass(frozen=True)
class Query:
    """``legend``: the name of the series, or the heading of the column in a table, with its own ``unit`` if given."""

    expression: str
    legend: str
    unit: str = ""


@dataclass(frozen=True)
class Limits:
    """Where a value is shown in orange and in red. ``lowest``: values below the limits are the bad ones."""

    warning: float
    critical: float
    lowest: bool = False


@dataclass(frozen=True)
class Panel:
    """``unit`` is a unit of Grafana. ``states``: name and colour of each value."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = "graph"
    limits: Limits | None = None
    states: Mapping[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """``name`` is the file name and part of the uid. ``tenants``: add a variable that selects tenants."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]
    tenants: bool = False
