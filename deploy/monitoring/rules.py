"""``alerts.yml``: recording rules of the objectives, and the alerts."""

import re
from typing import Any, Final

import yaml

from monitoring import alerts
from monitoring.alerts import Alert
from monitoring.objectives import OBJECTIVES, WINDOWS, recorded

_HEAD: Final = """\
# Generated: edit deploy/monitoring and run `make dashboards`. Every alert has a section in docs/runbook.md.
"""
#: Relative to the repository. Alertmanager's templates add the address at which it is published.
_RUNBOOK: Final = "docs/runbook.md"
_WINDOW: Final = re.compile(r"\{(\d+[smhd])\}")
_AGE: Final = re.compile(r"\{(\d+)\}")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def document(shortened: float = 1) -> str:
    """Return the file's text. ``shortened`` divides all windows and waits, for tests that wait for alerts."""
    groups = {"groups": [_recordings(shortened), _alerts(shortened)]}
    return _HEAD + yaml.safe_dump(groups, sort_keys=False, width=10_000, allow_unicode=True)


def section(alert: str) -> str:
    """Return the alert's section of the runbook: its name in kebab case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()


def _recordings(shortened: float) -> dict[str, Any]:
    rules = [
        {
            "record": recorded(window),
            "expr": objective.ratio(_duration(window, shortened)),
            "labels": {"slo": objective.name},
        }
        for objective in OBJECTIVES
        for window in WINDOWS
    ]
    return {"name": "seedance-gateway-objectives", "rules": rules}


def _alerts(shortened: float) -> dict[str, Any]:
    return {"name": "seedance-gateway-alerts", "rules": [_rule(alert, shortened) for alert in alerts.every()]}


def _rule(alert: Alert, shortened: float) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": _shorter(alert.expression, shortened),
        "for": _duration(alert.held, shortened),
        "labels": {"severity": alert.severity, **alert.labels},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{_RUNBOOK}#{section(alert.name)}",
        },
    }


def _shorter(expression: str, shortened: float) -> str:
    windows = _WINDOW.sub(lambda window: _duration(window[1], shortened), expression)
    return _AGE.sub(lambda age: f"{int(age[1]) / shortened:g}", windows)


def _duration(text: str, shortened: float) -> str:
    if shortened == 1:
        return text
    return f"{round(int(text[:-1]) * _SECONDS[text[-1]] / shortened * 1000)}ms"
