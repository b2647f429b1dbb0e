"""The dashboards and alerts as Grafana and Prometheus load them."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.guards.repository import ROOT

DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
ALERTS = ROOT / "deploy/prometheus/alerts.yml"


def panels() -> Iterator[tuple[str, Any]]:
    """Yield every panel except rows, with its board and title."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] != "row":
                yield f"{path.stem}: {panel['title']}", panel


def targets() -> Iterator[tuple[str, Any]]:
    for name, panel in panels():
        for target in panel["targets"]:
            yield f"{name} ({target['refId']})", target


def queries() -> Iterator[tuple[str, str]]:
    for name, panel in panels():
        for target in panel["targets"]:
            yield f"{name} ({target['refId']})", target["expr"]


def rules() -> list[Any]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[Any]:
    return [rule for rule in rules() if "alert" in rule]
