"""The JSON of a board for Grafana."""

from collections.abc import Iterator, Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from monitoring.panels import Board, Panel
from monitoring.visuals import SOURCE, draw

_HEIGHT: Final = 8
_NUMBER_HEIGHT: Final = 4
_COLUMNS: Final = 24
_TAG: Final = "seedance-gateway"


def document(board: Board, *, runbook: str) -> str:
    built = (
        dashboard.Dashboard(f"Seedance Gateway: {board.title}")
        .uid(f"seedance-gateway-{board.name}")
        .description(board.description)
        .tags([_TAG])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(_other_boards())
        .link(dashboard.DashboardLink("Runbook").type(DashboardLinkType.LINK).url("${runbook}").target_blank(True))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    if board.tenants:
        built = built.with_variable(_tenants())
    built = built.with_variable(dashboard.TextBoxVariable("runbook").label("Runbook").default_value(runbook))
    for name, expression, color in _ANNOTATIONS:
        built = built.annotation(_annotation(name, expression, color))
    for row in board.rows:
        built = built.with_row(dashboard.Row(row.title))
        for panel, width, height in _laid_out(row.panels):
            built = built.with_panel(draw(panel, width=width, height=height))
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


_RELEASES: Final = "count by (version, commit) (gateway_build_info)"
_ANNOTATIONS: Final = (
    ("Alerts", 'ALERTS{alertstate="firing"}', "red"),
    (
        "New release",
        f"{_RELEASES} unless {_RELEASES[:-1]} offset 2m)",
        "blue",
    ),
    ("Dispatch paused", "max by (cause) (gateway_dispatch_paused) == 1", "orange"),
)


def _annotation(name: str, expression: str, color: str) -> dashboard.AnnotationQuery:
    return dashboard.AnnotationQuery().name(name).datasource(SOURCE).expr(expression).enable(True).icon_color(color)


def _laid_out(panels: Sequence[Panel]) -> Iterator[tuple[Panel, int, int]]:
    """Yield each panel with its width and height. Each line is full: numbers share one, others are two or three."""
    numbers = [panel for panel in panels if panel.kind == "number"]
    others = [panel for panel in panels if panel.kind != "number"]
    for panel in numbers:
        yield panel, _COLUMNS // len(numbers), _NUMBER_HEIGHT
    pairs = len(others) - (0 if len(others) % 2 == 0 else 3)
    lines = [others[n : n + 2] for n in range(0, pairs, 2)]
    for line in [*lines, others[max(pairs, 0) :]]:
        for panel in line:
            yield panel, _COLUMNS // len(line), _HEIGHT


def _other_boards() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Boards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([_TAG])
        .as_dropdown(True)
        .keep_time(True)
    )


def _tenants() -> dashboard.QueryVariable:
    """Select by name; the value is the id."""
    return (
        dashboard.QueryVariable("tenant")
        .label("Tenant")
        .datasource(SOURCE)
        .query("query_result(topk by (tenant) (1, gateway_tenant_info))")
        .regex('/name="(?<text>[^"]+)|tenant="(?<value>[^"]+)/g')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(text="All", value="$__all"))
    )
