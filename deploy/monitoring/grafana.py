"""Boards as data, and their JSON for Grafana."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
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
class Limits:
    """Where a value is shown in orange and in red. ``lowest``: values below the limits are the bad ones."""

    warning: float
    critical: float
    lowest: bool = False


@dataclass(frozen=True)
class Panel:
    """``unit`` is a unit of Grafana. ``single``: show a number instead of a graph."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    single: bool = False
    width: int = 12
    limits: Limits | None = None


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
        .link(_other_boards())
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    if board.tenants:
        built = built.with_variable(_tenants())
    for row in board.rows:
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(_single(panel) if panel.single else _graph(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def _other_boards() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Boards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["seedance-gateway"])
        .as_dropdown(True)
        .keep_time(True)
    )


def _tenants() -> dashboard.QueryVariable:
    """Select by name; the value is the id."""
    return (
        dashboard.QueryVariable("tenant")
        .label("Tenant")
        .datasource(_SOURCE)
        .query("query_result(topk by (tenant) (1, gateway_tenant_info))")
        .regex('/name="(?<text>[^"]+)|tenant="(?<value>[^"]+)/g')
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
    if panel.limits is not None:
        style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        graph = graph.thresholds(_thresholds(panel.limits)).thresholds_style(style)
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
    if panel.limits is not None:
        number = number.thresholds(_thresholds(panel.limits)).color_mode(BigValueColorMode.BACKGROUND)
    for target in _targets(panel):
        number = number.with_target(target)
    return number


def _thresholds(limits: Limits) -> dashboard.ThresholdsConfig:
    """Grafana's steps: each colour holds from its value upwards."""
    if limits.lowest:
        steps = [Threshold(None, "red"), Threshold(limits.critical, "orange"), Threshold(limits.warning, "green")]
    else:
        steps = [Threshold(None, "green"), Threshold(limits.warning, "orange"), Threshold(limits.critical, "red")]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
