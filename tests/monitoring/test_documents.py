"""Dashboards and alerts match their generator, read existing metrics, and link to the runbook."""

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
    assert {path for path in GENERATED if path.suffix == ".json"} == set(documents.DASHBOARDS)
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
    assert len(texts) == 2
    for text in texts:
        assert text.count("runbook_url: ") == text.count(f"runbook_url: {wiki}#") == len(documents.alerts())


def test_runbook_sections_have_alerts() -> None:
    sections = re.findall(r"^## ([a-z-]+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    assert {section.replace("-", "") for section in sections} == {
        alert["alert"].lower() for alert in documents.alerts()
    }
