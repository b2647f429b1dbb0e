"""Boards, described as data, in Grafana's own JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphDrawStyle, LegendDisplayMode, LegendPlacement, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT: Final = 8
_STAT_HEIGHT: Final = 4
_COLUMNS: Final = 24


@dataclass(frozen=True)
class Query:
    expression: str
    legend: str = "__auto"


@dataclass(frozen=True)
class Panel:
    """``unit`` is one of Grafana's; ``single``: a number instead of a graph."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    single: bool = False
    width: int = 12


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """``name`` is the file's and the uid; ``tenants``: it can be narrowed to some of them."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]
    tenants: bool = False


def document(board: Board) -> str:
    built = (
        dashboard.Dashboard(f"Seedance Gateway: {board.title}")
        .uid(f"seedance-gateway-{board.name}")
        .description(board.description)
        .tags(["seedance-gateway"])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    if board.tenants:
        built = built.with_variable(_tenants())
    for row in board.rows:
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(_single(panel) if panel.single else _graph(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def _tenants() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("tenant")
        .label("Tenant")
        .datasource(_SOURCE)
        .query("label_values(gateway_queued, tenant)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(text="All", value="$__all"))
    )


def _targets(panel: Panel) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(chr(ord("A") + number))
        for number, query in enumerate(panel.queries)
    ]


def _graph(panel: Panel) -> timeseries.Panel:
    graph = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(_SOURCE)
        .height(_HEIGHT)
        .span(panel.width)
        .draw_style(GraphDrawStyle.LINE)
        .fill_opacity(8)
        .min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for target in _targets(panel):
        graph = graph.with_target(target)
    return graph


def _single(panel: Panel) -> stat.Panel:
    number = (
        stat.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(_SOURCE)
        .height(_STAT_HEIGHT)
        .span(panel.width)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    for target in _targets(panel):
        number = number.with_target(target)
    return number
