"""Dashboards and alerts match their generator, read existing metrics, and link to the runbook."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from monitoring import __main__ as generator
from reference import metrics
from tests.guards.repository import ROOT
from tests.monitoring import documents

GENERATED = generator.files()


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert path.read_text() == GENERATED[path], "run: make dashboards"


def test_dashboards_are_the_generated_ones() -> None:
    generated = {path for path in GENERATED if path.suffix == ".json"}
    assert {path for path in generated if path.is_relative_to(ROOT / "deploy/grafana")} == set(documents.DASHBOARDS)
    assert {path.stem for path in documents.DASHBOARDS} == {
        "overview",
        "tenants",
        "upstream",
        "webhooks",
        "internals",
    }


@pytest.mark.parametrize(("name", "panel"), list(documents.panels()))
def test_panel_has_description_unit_and_source(name: str, panel: Any) -> None:
    assert len(panel["description"]) > 15, name
    assert panel["fieldConfig"]["defaults"]["unit"], name
    assert panel["targets"], name
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize(("name", "query"), list(documents.targets()))
def test_query_has_a_legend(name: str, query: Any) -> None:
    """A query without labels draws a line without a name, unless its legend is a word."""
    assert query["legendFormat"] not in ("", "__auto"), name
    words = re.sub(r"{{\w+}}", "", query["legendFormat"])
    assert words or not query["expr"].endswith("on () vector(0)"), name


@pytest.mark.parametrize("path", documents.DASHBOARDS, ids=lambda path: path.stem)
def test_lines_of_panels_have_no_holes(path: Path) -> None:
    lines: dict[int, list[Any]] = {}
    for panel in json.loads(path.read_text())["panels"]:
        lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])
    for line in lines.values():
        assert sum(position["w"] for position in line) == 24, line
        assert len({position["h"] for position in line}) == 1, line


@pytest.mark.parametrize("path", documents.DASHBOARDS, ids=lambda path: path.stem)
def test_board_has_links_annotations_and_a_table(path: Path) -> None:
    board = json.loads(path.read_text())
    assert {link["type"] for link in board["links"]} == {"dashboards", "link"}
    assert {"Alerts", "New release", "Dispatch paused"} <= {each["name"] for each in board["annotations"]["list"]}
    assert any(panel["type"] == "table" for panel in board["panels"])


@pytest.mark.parametrize(("name", "panel"), list(documents.panels()))
def test_switches_are_state_timelines(name: str, panel: Any) -> None:
    """A metric that is on or off is not drawn as a line."""
    switches = {
        "gateway_dispatch_paused",
        "gateway_draining",
        "gateway_redis_durable",
        "gateway_redis_up",
        "gateway_tenant_dispatch_stopped",
    }
    if any(switches & metrics_in([target["expr"]]) for target in panel["targets"]):
        assert panel["type"] == "state-timeline", name
        assert panel["fieldConfig"]["defaults"]["mappings"], name


def has_limits(panel: Any) -> bool:
    return "thresholds" in panel["fieldConfig"]["defaults"] or panel["type"] == "state-timeline"


#: Alerts compare increases or ratios of these; no value of the metric itself is a limit.
WITHOUT_LIMIT = {
    "gateway_completions_total",
    "gateway_cost_micro_usd_total",
    "gateway_generations_refused_total",
    "gateway_http_request_seconds",
    "gateway_accept_seconds",
    "gateway_settled_at_estimate_total",
    "gateway_tenant_info",
    "gateway_tenant_stored_bytes",
}


def test_metrics_of_alerts_have_a_panel_with_limits() -> None:
    limited = [target["expr"] for _, panel in documents.panels() if has_limits(panel) for target in panel["targets"]]
    alerted = metrics_in([rule["expr"] for rule in documents.alerts()])
    without = {name for name, series in exposed().items() if series & alerted and not series & metrics_in(limited)}
    assert without <= WITHOUT_LIMIT, "an alert has a limit, and no panel shows it"


def test_no_panel_counts_per_second() -> None:
    units = {panel["fieldConfig"]["defaults"]["unit"] for _, panel in documents.panels()}
    assert not units & {"reqps", "ops", "cps"}


@pytest.mark.parametrize("alert", documents.alerts(), ids=lambda alert: alert["alert"])
def test_texts_of_alerts_have_names_of_tenants(alert: Any) -> None:
    assert "$labels.tenant" not in "".join(alert["annotations"].values())
    if "by (tenant" in alert["expr"] and "sum (" not in alert["expr"]:
        assert "$labels.name" in alert["annotations"]["summary"]


def exposed() -> dict[str, set[str]]:
    """Return the names of the series of each metric."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {name: {name + suffix for suffix in suffixes.get(kind, ("",))} for name, kind in metrics.types().items()}


def metrics_in(texts: list[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"\bgateway_\w+", re.sub(r"slo:\w+", "", text))}


def every_expression() -> list[str]:
    return [expression for _, expression in documents.queries()] + [rule["expr"] for rule in documents.rules()]


def test_queries_read_existing_metrics() -> None:
    recorded = {rule["record"] for rule in documents.rules() if "record" in rule}
    assert metrics_in(every_expression()) <= set().union(*exposed().values())
    assert {name for text in every_expression() for name in re.findall(r"\bslo:[\w:]+", text)} == recorded


def test_every_metric_has_a_panel_or_alert() -> None:
    asked = metrics_in(every_expression())
    assert [name for name, series in exposed().items() if not series & asked] == [], "give it a panel"


def test_state_gauges_are_never_summed() -> None:
    """Every gateway exports the same values."""
    state = {gauge.name for gauge in metrics.state_gauges()}
    for text in every_expression():
        for name in re.findall(
            r"(?<!max )(?<!\w)(gateway_\w+)", re.sub(r"(max|min|topk)( by \([\w, ]+\))? \((1, )?gateway_\w+", "", text)
        ):
            assert name not in state or f"absent({name}" in text, text


@pytest.mark.parametrize("alert", documents.alerts(), ids=lambda alert: alert["alert"])
def test_alert_links_to_its_runbook_section(alert: Any) -> None:
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    url = urlsplit(page)
    assert url.scheme.startswith("http"), "a pager opens it"
    assert f"\n## {anchor}\n" in (ROOT / url.path.strip("/")).read_text()
    assert anchor.replace("-", "") == alert["alert"].lower()
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"]


def test_runbook_url_is_an_argument_of_the_generator() -> None:
    wiki = "https://wiki.example.com/runbook"
    texts = [text for path, text in generator.files(wiki).items() if path.suffix != ".json"]
    assert len(texts) == 3
    for text in texts:
        assert text.count("runbook_url: ") == text.count(f"runbook_url: {wiki}#") == len(documents.alerts())


def test_runbook_sections_have_alerts() -> None:
    sections = re.findall(r"^## ([a-z-]+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    assert {section.replace("-", "") for section in sections} == {
        alert["alert"].lower() for alert in documents.alerts()
    }
