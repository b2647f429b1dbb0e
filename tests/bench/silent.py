"""The gateway without metrics and logs, to measure their cost: ``python -m tests.bench.silent serve --port N``."""

from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from service.cli import main
from service.observability import log

_configure = log.configure


def _do_nothing(*_: Any, **__: Any) -> None:
    pass


def _return_metric(metric: Any, *_: Any, **__: Any) -> Any:
    return metric


def _without_lines(_level: str, **options: Any) -> None:
    _configure("CRITICAL", **options)


def _silence() -> None:
    for kind, verbs in ((Counter, ["inc"]), (Gauge, ["set", "inc", "dec"]), (Histogram, ["observe"])):
        for verb in [*verbs, "labels"]:
            setattr(kind, verb, _return_metric if verb == "labels" else _do_nothing)
    log.configure = _without_lines  # type: ignore[assignment]


if __name__ == "__main__":
    _silence()
    main()
