"""Every link of a stack with every fault of a network: ``python -m tests.support.netfaults.run --seconds 30``.

Jobs are created all the time. During a fault no call to the gateway takes longer than its bound, and readiness follows
Redis. Within a minute of its end dispatch is at full width, and descriptors return to their level. In the end every job
that fal billed has succeeded or is alarmed, none was paid twice, each end was announced once, and the audit is clean.
"""

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args

import httpx
import psutil

from tests.support.chaos.faults import FaultInjector
from tests.support.chaos.jobs import Jobs
from tests.support.chaos.run import FULL_WIDTH_SECONDS, OVERRIDES, Plan, Run
from tests.support.chaos.verdict import Report, Verdict
from tests.support.netfaults.faulty_link import Fault
from tests.support.netfaults.linked_stack import LINKS, LinkedReceiver, LinkedStack, linked_stack
from tests.support.netfaults.probe import Probe

FAULTS: Final[tuple[Fault, ...]] = tuple(fault for fault in get_args(Fault) if fault)
#: Two exchanges with Redis of 5 s each, one that was waited for and the call's own, and a busy machine.
LONGEST_ANSWER: Final = 15.0
#: Connections that a process may keep more of than before: its pools.
POOLS: Final = 12
#: Idle connections are closed after ten seconds here, and frozen ones by their time limits.
_DESCRIPTORS_WITHIN: Final = 60.0
_TENANTS: Final = 3
_JOBS_PER_SECOND: Final = 0.8
SETTINGS: Final[dict[str, Any]] = {
    **OVERRIDES,
    "redis_timeout": 5.0,  # the default
    "fal_timeout": timedelta(seconds=10),
    "media_timeout": timedelta(seconds=20),
    "keep_alive": timedelta(seconds=10),
    "unconfirmed_slot": timedelta(seconds=15),
    "unconfirmed_deadline": timedelta(seconds=90),
}


@dataclass(frozen=True)
class Case:
    link: str
    fault: Fault
    seconds: float


@dataclass
class Row:
    """What one fault of one link did."""

    case: Case
    first_job: int
    last_job: int = 0
    longest: float = 0.0
    readiness: str = ""
    to_full_width: float | None = None
    descriptors: str = ""
    failures: list[str] = field(default_factory=list)

    def text(self) -> str:
        width = "never" if self.to_full_width is None else f"{self.to_full_width:.1f}"
        jobs = self.last_job - self.first_job
        figures = (
            f"{self.case.seconds:5.0f} {jobs:5} {self.longest:8.1f} {width:>7}  {self.readiness:22} {self.descriptors}"
        )
        return f"{self.case.link:16} {self.case.fault:10} {figures} {'; '.join(self.failures) or 'ok'}"


HEADING: Final = (
    f"{'link':16} {'fault':10} {'secs':>5} {'jobs':>5} {'longest':>8} {'width':>7}  {'readyz':22} descriptors"
)


@dataclass
class Table:
    """Runs cases one after the other on one stack."""

    stack: LinkedStack
    receiver: LinkedReceiver
    running: Run
    rows: list[Row] = field(default_factory=list)

    @property
    def jobs(self) -> Jobs:
        return self.running.jobs

    def run(self, case: Case) -> Row:
        row = Row(case, self.jobs.number)
        self.rows.append(row)
        before = self._settled_descriptors({})
        creating = self.jobs.begin(round(case.seconds * _JOBS_PER_SECOND), within=case.seconds)
        watched = next(iter(self.jobs.accepted))
        owner = self.jobs.accepted[watched].owner
        with Probe(self.stack.direct_url, owner.key, watched) as probe:
            self.stack.network.change(case.link, case.fault)
            time.sleep(case.seconds)
            self.stack.network.change(case.link, "")
            ended = time.monotonic()
        row.to_full_width = self.running.full_width(ended)
        creating.join()
        if self.jobs.broken is not None:
            raise self.jobs.broken
        row.last_job, row.longest = self.jobs.number, max(probe.longest.values())
        self._check(row, probe)
        after = self._settled_descriptors(before)
        row.descriptors = " ".join(f"{name} {before[name]}>{after[name]}" for name in before)
        row.failures += [f"{name} leaks descriptors" for name in before if after[name] > before[name] + POOLS]
        self.running.report(row.text())
        return row

    def _check(self, row: Row, probe: Probe) -> None:
        readiness = probe.answers["/readyz"]
        row.readiness = " ".join(f"{status}x{count}" for status, count in sorted(readiness.items()))
        if row.longest > LONGEST_ANSWER:
            row.failures.append(f"a call took {row.longest:.1f} s")
        if row.to_full_width is None:
            row.failures.append(f"not at full width within {FULL_WIDTH_SECONDS:.0f} s")
        if set(probe.answers["/healthz"]) != {"200"}:
            row.failures.append(f"/healthz: {probe.answers['/healthz']}")
        unready = {"503"} if (row.case.link, row.case.fault) == ("gateway-redis", "partition") else set()
        if unready - readiness.keys():
            row.failures.append(f"/readyz was ready without Redis: {row.readiness}")
        if row.case.link != "gateway-redis" and readiness.keys() != {"200"}:
            row.failures.append(f"/readyz was not ready: {row.readiness}")
        if not httpx.get(f"{self.stack.direct_url}/readyz", timeout=30, trust_env=False).is_success:
            row.failures.append("/readyz is not ready after the end")

    def _settled_descriptors(self, before: dict[str, int]) -> dict[str, int]:
        """Return the descriptors by process, when they are back at ``before`` or do not fall any more."""
        give_up = time.monotonic() + _DESCRIPTORS_WITHIN
        processes = {name: psutil.Process(self.stack.children[name].pid) for name in ("gateway", "worker", "beat")}
        while True:
            found = {name: process.num_fds() for name, process in processes.items()}
            if all(found[name] <= before.get(name, found[name]) + POOLS for name in found):
                return found
            if time.monotonic() > give_up:
                return found
            time.sleep(1)


def run(cases: Sequence[Case], *, plan: Plan, folder: Path, **changes: Any) -> tuple[list[Row], Report]:
    """Run the cases. Return a row for each, and a verdict on all jobs. ``changes``: of settings."""
    rng = random.Random(plan.seed)  # noqa: S311  (a seed repeats the run)
    overrides = {**SETTINGS, "upstream_concurrency": plan.slots, **changes}
    storage = any(case.link == "worker-storage" for case in cases)
    report = Report(plan.seed)
    with linked_stack(folder, overrides=overrides, seed=plan.seed, storage=storage) as (stack, receiver):
        jobs = Jobs(stack, receiver, random.Random(rng.random()), _TENANTS, plan.run_seconds)  # noqa: S311
        jobs.open_tenants()
        table = Table(stack, receiver, Run(plan, stack, jobs, FaultInjector(stack, rng)))
        jobs.begin(plan.slots, within=0).join()
        for case in cases:
            table.run(case)
        Verdict(stack, jobs, receiver, report).fill(table.running.all_ended(time.monotonic()))
    _attribute(report, table.rows, jobs)
    widths = [row.to_full_width for row in table.rows if row.to_full_width is not None]
    report.to_full_width = max(widths) if len(widths) == len(table.rows) else None
    return table.rows, report


def _attribute(report: Report, rows: Sequence[Row], jobs: Jobs) -> None:
    """Add failures of a job to the row in which the job was created."""
    for name, job in jobs.accepted.items():
        number = int(job.prompt.rpartition(" ")[2])
        for text in report.failures:
            if name in text or repr(job.prompt) in text:
                for row in rows:
                    if row.first_job < number <= row.last_job:
                        row.failures.append(text.splitlines()[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.netfaults.run", description="A stack on a network with faults."
    )
    parser.add_argument("--seconds", type=float, default=30, help="of each partition; other faults take half of it")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--links", nargs="*", choices=LINKS, default=LINKS)
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=FAULTS)
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    lengths = {fault: options.seconds * (1 if fault == "partition" else 0.5) for fault in options.faults}
    cases = [Case(link, fault, seconds) for link in options.links for fault, seconds in lengths.items()]
    with tempfile.TemporaryDirectory() as folder:
        rows, report = run(cases, plan=Plan(options.seed, seconds=120, jobs=80), folder=Path(folder))
    sys.stdout.write("\n".join([HEADING, *(row.text() for row in rows), report.table()]) + "\n")
    sys.exit(1 if report.failures or any(row.failures for row in rows) else 0)


if __name__ == "__main__":
    main()
