"""The page of all metrics: name, type, labels, meaning."""

from collections.abc import Sequence
from typing import Any, Final

from prometheus_client import Counter, Gauge, Histogram

from reference import markdown
from service.observability import metrics
from service.observability.metrics import StateGauge

_HEAD: Final = ("Metric", "Type", "Labels", "Meaning")
_INTRODUCTION: Final = """\
# Metrics

Every process has `/metrics` at its `GATEWAY_METRICS_PORT`; the gateway's API port has none. Labels are bounded: a
tenant id is a label, an end user or a generation id never."""
_COUNTED: Final = """\
## Counted by each process

Each process counts its own events, so sum them over all processes. With `serve --workers N`, any of the N processes
shows the sum of all N. The series of a tenant are removed 5 to 10 minutes after its deletion; with `--workers N` they
stay until the process ends."""
_STATE: Final = """\
## Read from Redis

A gateway reads these gauges from Redis when it is scraped, at most once a second. Every gateway shows the same values:
take the `max` over gateways, never the `sum`. Workers do not have these gauges. A tenant with no waiting generation and
no generation in this month has none."""


def page() -> str:
    counted = [
        (f"`{_exposed_name(metric)}`", metric._type, _labels(metric._labelnames), metric._documentation)
        for metric in _declared(Counter, Gauge, Histogram)
    ]
    state = [(f"`{gauge.name}`", "gauge", _labels(gauge.labels), gauge.documentation) for gauge in state_gauges()]
    return markdown.page(_INTRODUCTION, _COUNTED, markdown.table(_HEAD, counted), _STATE, markdown.table(_HEAD, state))


def types() -> dict[str, str]:
    """Return the type of each metric by the name that Prometheus shows."""
    counted = {_exposed_name(metric): str(metric._type) for metric in _declared(Counter, Gauge, Histogram)}
    return counted | {gauge.name: "gauge" for gauge in state_gauges()}


def state_gauges() -> list[StateGauge]:
    return _declared(StateGauge)


def _declared(*kinds: type) -> list[Any]:
    return [value for value in vars(metrics).values() if isinstance(value, kinds)]


def _exposed_name(metric: Any) -> str:
    return f"{metric._name}_total" if isinstance(metric, Counter) else str(metric._name)


def _labels(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
