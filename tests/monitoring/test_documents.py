"""Dashboards and alerts are what the code makes, name metrics that exist, and lead to the runbook."""

import re
from pathlib import Path
from typing import Any

import pytest

from monitoring import __main__ as generator
from reference import metrics
from tests.guards.repository import ROOT
from tests.monitoring import documents

GENERATED = generator.files()


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_what_is_committed_is_what_is_generated(path: Path) -> None:
    assert path.read_text() == GENERATED[path], "run: make dashboards"


def test_no_other_dashboard_lies_about() -> None:
    assert {path for path in GENERATED if path.suffix == ".json"} == set(documents.DASHBOARDS)
    assert {path.stem for path in documents.DASHBOARDS} == {
        "overview",
        "tenants",
        "upstream",
        "webhooks",
        "internals",
    }


@pytest.mark.parametrize(("name", "panel"), list(documents.panels()))
def test_every_panel_says_what_it_shows_and_in_which_unit(name: str, panel: Any) -> None:
    assert len(panel["description"]) > 15, name
    assert panel["fieldConfig"]["defaults"]["unit"], name
    assert panel["targets"], name
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def exposed() -> dict[str, set[str]]:
    """Each metric's name and the names of its series."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {name: {name + suffix for suffix in suffixes.get(kind, ("",))} for name, kind in metrics.types().items()}


def asked_for(texts: list[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"\bgateway_\w+", re.sub(r"slo:\w+", "", text))}


def every_expression() -> list[str]:
    return [expression for _, expression in documents.queries()] + [rule["expr"] for rule in documents.rules()]


def test_every_metric_that_is_asked_for_exists() -> None:
    recorded = {rule["record"] for rule in documents.rules() if "record" in rule}
    assert asked_for(every_expression()) <= set().union(*exposed().values())
    assert {name for text in every_expression() for name in re.findall(r"\bslo:[\w:]+", text)} == recorded


def test_every_metric_is_asked_for() -> None:
    asked = asked_for(every_expression())
    assert [name for name, series in exposed().items() if not series & asked] == [], "give it a panel"


def test_state_is_never_summed_over_gateways() -> None:
    """Each of them exports the same."""
    state = {gauge.name for gauge in metrics.state_gauges()}
    for text in every_expression():
        for name in re.findall(
            r"(?<!max )(?<!\w)(gateway_\w+)", re.sub(r"(max|min|topk)( by \([\w, ]+\))? \((1, )?gateway_\w+", "", text)
        ):
            assert name not in state or f"absent({name}" in text, text


@pytest.mark.parametrize("alert", documents.alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_leads_to_its_section_of_the_runbook(alert: Any) -> None:
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert f"\n## {anchor}\n" in (ROOT / page).read_text()
    assert anchor.replace("-", "") == alert["alert"].lower()
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"]


def test_every_section_of_the_runbook_has_an_alert() -> None:
    sections = re.findall(r"^## ([a-z-]+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    assert {section.replace("-", "") for section in sections} == {
        alert["alert"].lower() for alert in documents.alerts()
    }
