"""Measure every figure in one run: ``python tests/bench/run.py [names...] [--quick]``.

Prints a table, the raw figures and the machine; writes ``bench.json``, and the raw data to ``bench-raw.json``. A missed
target is reported and is not an error: the exit code states only whether the measurement worked.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.bench import (
    connections,
    console_pages,
    dispatching,
    events,
    figures,
    in_flight,
    latency,
    machine,
    memory,
    metrics,
    scale,
    tenants,
    throughput,
    uploads,
    webhooks,
)
from tests.bench.figures import Figure
from tests.bench.scale import Scale

_WIDTH: Final = 110  # columns, if the terminal does not report its width

Measure = Callable[[Scale], Iterator[Figure]]

#: By the names on the command line; one measurement may produce several figures.
MEASURES: Final[dict[str, Measure]] = {
    "create": throughput.create,
    "create_of_bare": throughput.create,
    "create_cpu_of_bare": throughput.create,
    "added_latency": connections.added_latency,
    "create_all_limits": tenants.create,
    "create_10000_tenants": tenants.create,
    "key_check": tenants.key_check,
    "get": throughput.get,
    "fal_status": throughput.fal_status,
    "dispatch_latency": latency.measure,
    "dispatch_decision": dispatching.measure,
    "webhook_latency": latency.measure,
    "callback_latency": latency.callbacks,
    "bytes_per_queued": memory.per_queued,
    "bytes_per_queued_with_metadata": memory.per_queued,
    "idle_rss": memory.idle,
    "in_flight": in_flight.measure,
    "webhooks": webhooks.throughput,
    "webhook_isolation": webhooks.isolation,
    "events": events.measure,
    "upload_rss": uploads.rss,
    "create_watched": metrics.cost,
    "metrics_endpoint": metrics.endpoint,
    "console": console_pages.console,
}


def main() -> None:
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    measured_on = machine.describe()
    names = options.names or list(MEASURES)
    measured = list(_measured(names, scale.QUICK if options.quick else scale.FULL, console))
    figures.write(measured, options.output)
    figures.write_raw(measured, measured_on, options.output.with_stem(f"{options.output.stem}-raw"))
    figures.show(measured, console)
    console.print(", ".join(f"{name}: {text}" for name, text in measured_on.items()), highlight=False)
    if missed := [figure.name for figure in measured if figure.ok is False]:
        console.print(f"[bold red]Missed: {', '.join(missed)}[/]")


def _measured(names: list[str], how_much: Scale, console: Console) -> Iterator[Figure]:
    for measure in dict.fromkeys(MEASURES[name] for name in names):
        begun = time.monotonic()
        with console.status(str(measure.__doc__)):
            found = list(measure(how_much))
        console.print(f"{', '.join(figure.name for figure in found)}: {time.monotonic() - begun:.0f} s")
        yield from found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(MEASURES)}; all when none is given")
    parser.add_argument("--quick", action="store_true", help="less of everything: two minutes")
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    if unknown := set(options.names) - MEASURES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    main()
