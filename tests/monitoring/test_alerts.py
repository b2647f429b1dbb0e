"""promtool plays series to every alert, firing and silent."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring import documents
from tests.support.prometheus import binary

SCENARIOS = sorted((Path(__file__).parent / "alerts").glob("*.yml"))


def scenarios() -> list[Any]:
    return [test for path in SCENARIOS for test in yaml.safe_load(path.read_text())["tests"]]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_alert_scenarios(path: Path) -> None:
    played = subprocess.run(
        [binary("promtool"), "test", "rules", path.name], cwd=path.parent, capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr


def test_rules_are_valid_for_prometheus() -> None:
    checked = subprocess.run(
        [binary("promtool"), "check", "rules", str(documents.ALERTS)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", documents.alerts(), ids=lambda alert: f"{alert['alert']} {alert['labels']}")
def test_alert_has_a_firing_and_a_silent_scenario(alert: Any) -> None:
    played = [test for scenario in scenarios() for test in scenario.get("alert_rule_test", [])]
    mine = [test for test in played if test["alertname"] == alert["alert"]]
    assert any(fired["exp_labels"].items() >= alert["labels"].items() for test in mine for fired in test["exp_alerts"])
    assert any(test["exp_alerts"] == [] for test in mine)
