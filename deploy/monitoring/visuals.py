"""Panels as Grafana draws them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.panels import Kind, Limits, Panel, Query

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_TENANTS_BOARD: Final = "/d/seedance-gateway-tenants?var-tenant=${__data.fields.tenant}&${__url_time_range}"


def draw(panel: Panel, *, width: int, height: int) -> Any:
    """Return the builder of a panel of this size."""
    built = _DRAW[panel.kind](panel)
    built = built.title(panel.title).description(panel.description).unit(panel.unit).datasource(SOURCE)
    built = built.height(height).span(width)
    if panel.limits is not None:
        built = built.thresholds(_thresholds(panel.limits))
    for number, query in enumerate(panel.queries):
        built = built.with_target(_target(panel, query, number))
    return built


def _target(panel: Panel, query: Query, number: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(_letter(number))
    return target.instant().format(PromQueryFormat.TABLE) if panel.kind == "table" else target


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _graph(panel: Panel) -> Any:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    graph = (
        timeseries.Panel()
        .draw_style(GraphDrawStyle.LINE)
        .fill_opacity(8)
        .min(0)
        .legend(legend.show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    if panel.limits is None:
        return graph
    return graph.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))


def _number(panel: Panel) -> Any:
    number = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return number if panel.limits is None else number.color_mode(BigValueColorMode.BACKGROUND)


def _states(panel: Panel) -> Any:
    results = {
        str(value): ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(panel.states.items())
    }
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return statetimeline.Panel().mappings([ValueMap(options=results)]).legend(legend.show_legend(True))


def _table(panel: Panel) -> Any:
    """Join the queries by their labels, and name the column of each after its legend. The first one sorts."""
    several = len(panel.queries) > 1
    columns = {f"Value #{_letter(number)}" if several else "Value": query for number, query in enumerate(panel.queries)}
    names = {column: query.legend for column, query in columns.items()}
    drawn = table.Panel().with_transformation(DataTransformerConfig(id_val="merge", options={}))
    drawn = drawn.with_transformation(
        DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": names})
    )
    drawn = drawn.sort_by([common.TableSortByFieldState().display_name(panel.queries[0].legend).desc(True)])
    for query in panel.queries:
        if query.unit:
            drawn = drawn.override_by_name(query.legend, [DynamicConfigValue(id_val="unit", value=query.unit)])
    link = {"title": "Tenants and money", "url": _TENANTS_BOARD}
    return drawn.override_by_name("name", [DynamicConfigValue(id_val="links", value=[link])])


def _alerts(_: Panel) -> Any:
    """A list of the alerts that fire or are about to. Grafana needs no query for the list."""
    shown = {"firing": True, "pending": True, "error": True, "noData": False, "normal": False}
    return dashboard.Panel().type("alertlist").options({"viewMode": "list", "maxItems": 50, "stateFilter": shown})


_DRAW: Final[Mapping[Kind, Callable[[Panel], Any]]] = {
    "graph": _graph,
    "number": _number,
    "states": _states,
    "table": _table,
    "alerts": _alerts,
}


def _thresholds(limits: Limits) -> dashboard.ThresholdsConfig:
    """Grafana's steps: each colour holds from its value upwards."""
    if limits.lowest:
        steps = [Threshold(None, "red"), Threshold(limits.critical, "orange"), Threshold(limits.warning, "green")]
    else:
        steps = [Threshold(None, "green"), Threshold(limits.warning, "orange"), Threshold(limits.critical, "red")]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
