"""Recording rules of the objectives, and the alerts: ``alerts.yml``, and the same as a PrometheusRule."""

import re
from typing import Any, Final

import yaml

from monitoring import alerts
from monitoring.alerts import Alert
from monitoring.objectives import OBJECTIVES, WINDOWS, recorded

_HEAD: Final = """\
# Generated: edit deploy/monitoring and run `make dashboards`. Every alert has a section in docs/runbook.md.
"""
#: Where the gateway of deploy/compose.yaml serves the page. `make dashboards RUNBOOK=URL` writes another address.
COMPOSE_RUNBOOK: Final = "http://127.0.0.1:8080/docs/runbook.md"
#: The overlay of deploy/kubernetes replaces what is in front of /docs by GATEWAY_PUBLIC_URL.
_KUBERNETES_RUNBOOK: Final = "https://gateway.example.com/docs/runbook.md"
_WINDOW: Final = re.compile(r"\{(\d+[smhd])\}")
_AGE: Final = re.compile(r"\{(\d+)\}")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def document(shortened: float = 1, *, runbook: str | None = None) -> str:
    """Return the text of ``alerts.yml``. ``shortened`` divides windows and waits, for tests that see alerts fire."""
    return _dump(_groups(shortened, runbook or COMPOSE_RUNBOOK))


def prometheus_rule(*, runbook: str | None = None) -> str:
    """Return the text of the PrometheusRule, which the Prometheus Operator loads."""
    return _dump(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "seedance-gateway"},
            "spec": _groups(1, runbook or _KUBERNETES_RUNBOOK),
        }
    )


def _groups(shortened: float, runbook: str) -> dict[str, Any]:
    return {"groups": [_recordings(shortened), _alerts(shortened, runbook)]}


def _dump(content: dict[str, Any]) -> str:
    return _HEAD + yaml.safe_dump(content, sort_keys=False, width=10_000, allow_unicode=True)


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


def _alerts(shortened: float, runbook: str) -> dict[str, Any]:
    return {"name": "seedance-gateway-alerts", "rules": [_rule(alert, shortened, runbook) for alert in alerts.every()]}


def _rule(alert: Alert, shortened: float, runbook: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": _shorter(alert.expression, shortened),
        "for": _duration(alert.held, shortened),
        "labels": {"severity": alert.severity, **alert.labels},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{runbook}#{section(alert.name)}",
        },
    }


def _shorter(expression: str, shortened: float) -> str:
    windows = _WINDOW.sub(lambda window: _duration(window[1], shortened), expression)
    return _AGE.sub(lambda age: f"{int(age[1]) / shortened:g}", windows)


def _duration(text: str, shortened: float) -> str:
    if shortened == 1:
        return text
    return f"{round(int(text[:-1]) * _SECONDS[text[-1]] / shortened * 1000)}ms"
