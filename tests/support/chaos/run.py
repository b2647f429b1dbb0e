"""A stack of real processes under faults: ``python -m tests.support.chaos.run --seconds 300 --seed N``.

While fal, Redis, workers and clocks fail at random, five tenants create jobs. Afterwards every job that fal billed has
succeeded or is alarmed, none was paid twice, dispatch is at full width within a minute, and the audit is clean.
"""

import argparse
import heapq
import os
import random
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import redis as redis_py
from pydantic import SecretStr

import sandbox
from service.cli.dev.stack import Stack
from service.store import keys
from tests.guards.repository import ROOT
from tests.support.chaos import faults
from tests.support.chaos.faults import Fault, FaultInjector
from tests.support.chaos.hasty import MODULE, SHORT
from tests.support.chaos.jobs import Jobs
from tests.support.chaos.verdict import Report, Verdict, View, submits
from tests.support.receiver import Receiver

TENANTS: Final = 5
WORKERS: Final = 3
#: From the end of the last fault until nearly every slot has a job at fal.
FULL_WIDTH_SECONDS: Final = 60.0
#: From the end of the last fault until every job has ended.
END_SECONDS: Final = 300.0
#: The share of slots that must have a job at fal: some are always between two jobs.
_WIDTH: Final = 0.9
#: Waits of production, in proportion to jobs of seconds instead of minutes.
OVERRIDES: Final[dict[str, Any]] = {
    "fal_timeout": timedelta(seconds=3),
    "submit_probe": timedelta(seconds=1.5),
    "submit_probe_longest": timedelta(seconds=30),
    "upstream_deadline": timedelta(seconds=180),
    "reconcile_every": timedelta(seconds=5),
    "poll_shortest": timedelta(seconds=0.3),
    "poll_longest": timedelta(seconds=2),
    "webhook_timeout": timedelta(seconds=5),
    "webhook_schedule": tuple(timedelta(seconds=s) for s in (0, 0.5, 1, 2, 5, 10, 20, 20)),
    "fal_admin_key": SecretStr("sandbox:sandbox"),
}


@dataclass(frozen=True)
class Plan:
    seed: int
    seconds: float
    jobs: int
    data: Path | None = None

    @property
    def slots(self) -> int:
        return max(4, self.jobs // 10)

    @property
    def reserve(self) -> int:
        """Jobs created when the last fault begins, so that there is work for every slot."""
        return 4 * self.slots

    @property
    def tight_budget(self) -> str:
        """US dollars for about half of the jobs of one tenant."""
        return str(self.jobs // TENANTS)

    @property
    def run_seconds(self) -> float:
        """At full width the jobs take six tenths of the time; under faults, jobs wait nearly always."""
        return 0.6 * self.seconds * self.slots / self.jobs

    @property
    def overrides(self) -> dict[str, Any]:
        return {
            **OVERRIDES,
            "upstream_concurrency": self.slots,
            "unconfirmed_slot": timedelta(seconds=max(10.0, 2.5 * self.run_seconds)),  # no job at fal runs longer
            "unconfirmed_deadline": timedelta(seconds=FULL_WIDTH_SECONDS + self.seconds / 2),
        }


@dataclass
class Run:
    plan: Plan
    stack: Stack
    jobs: Jobs
    injector: FaultInjector
    began: float = field(default_factory=time.monotonic)

    def report(self, text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.began:7.1f}  {text}\n")
        sys.stdout.flush()

    def inject_faults(self, rng: random.Random) -> float:
        """Inject all faults while jobs are created. Return the time at which the last fault has ended."""
        upcoming = [
            (fault.begins, number, fault) for number, fault in enumerate(faults.schedule(rng, self.plan.seconds))
        ]
        heapq.heapify(upcoming)
        begun: set[Fault] = set()
        self.began = time.monotonic()
        creating = self.jobs.begin(self.plan.jobs - self.plan.reserve, within=self.plan.seconds / 2)
        while upcoming:
            moment, number, fault = heapq.heappop(upcoming)
            time.sleep(max(0.0, self.began + moment - time.monotonic()))
            if fault in begun:
                self.injector.end(fault)
                self.report(f"{fault.kind}: over")
            else:  # a process needs time to start: its fault lasts from then on
                if fault.begins >= self.plan.seconds:
                    creating.join()
                    self.jobs.begin(self.plan.reserve, within=0).join()
                self.report(f"{fault.kind}: {self.injector.begin(fault)}")
                begun.add(fault)
                heapq.heappush(upcoming, (time.monotonic() - self.began + fault.seconds, number, fault))
        ended = time.monotonic()
        if self.jobs.broken is not None:
            raise self.jobs.broken
        self.report(f"all {len(self.jobs.accepted)} jobs accepted, {self.jobs.refusals} calls repeated")
        return ended

    def full_width(self, since: float) -> float | None:
        """Return the seconds until nearly every slot has a job at fal. Jobs are added, so that some always wait."""
        target = round(self.plan.slots * _WIDTH)
        with redis_py.Redis.from_url(self.stack.redis.url) as redis:
            while True:
                working = sum(submit["status"] != "COMPLETED" for submit in submits(self.stack))
                queued = sum(redis.zcard(keys.queued_of_tenant(owner.id)) for owner in self.jobs.owners)
                late = time.monotonic() - since
                if working >= target:
                    self.report(f"full width: {working} at fal, {queued} queued")
                    return late
                if late > FULL_WIDTH_SECONDS:
                    slots, gate = redis.scard(keys.SLOTS), redis.hgetall(keys.GATE)
                    self.report(f"no full width: {working} at fal, {queued} queued, {slots} slots used, gate {gate}")
                    return None
                if queued < self.plan.slots:
                    self.jobs.begin(self.plan.slots, within=0).join()
                time.sleep(0.25)

    def all_ended(self, since: float) -> dict[str, View]:
        """Return every generation by id, when all have ended or the time limit is reached."""
        while True:
            found = self.jobs.read()
            left = [name for name in self.jobs.accepted if found[name]["finished_at"] is None]
            if not left or time.monotonic() > since + END_SECONDS:
                self.report(f"{len(left)} jobs have not ended")
                return found
            time.sleep(1)


def run(plan: Plan) -> Report:
    rng = random.Random(plan.seed)  # noqa: S311  (a seed repeats the run)
    sys.stdout.write(f"seed {plan.seed}: {plan.jobs} jobs of {TENANTS} tenants, {plan.slots} slots, ")
    sys.stdout.write(f"{plan.seconds:.0f} seconds of faults\n")
    stack = Stack(data=plan.data, worker=False, sandbox_speed=10, overrides=plan.overrides, worker_app=MODULE)
    with short_waits(), Receiver() as receiver, stack:
        jobs = Jobs(stack, receiver, random.Random(rng.random()), TENANTS, plan.run_seconds, plan.tight_budget)  # noqa: S311
        injector = FaultInjector(stack, random.Random(rng.random()))  # noqa: S311
        report = Report(plan.seed)
        try:
            injector.start_workers(WORKERS)
            stack.start_beat()
            jobs.open_tenants()
            running = Run(plan, stack, jobs, injector)
            with jobs.reading():
                ended = running.inject_faults(rng)
                report.to_full_width = running.full_width(ended)
                if report.to_full_width is None:
                    report.failures.append(f"not at full width within {FULL_WIDTH_SECONDS:.0f} s of the last fault")
                found = running.all_ended(ended)
            Verdict(stack, jobs, receiver, report).fill(found)
        finally:
            injector.close()
    sys.stdout.write(report.table() + "\n")
    return report


@contextmanager
def short_waits() -> Iterator[None]:
    """Shorten the fixed waits of processes that start in this context."""
    paths = (ROOT, Path(sandbox.__file__).parents[1], os.environ.get("PYTHONPATH", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHORT, "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
        yield


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.chaos.run", description="A stack under random faults."
    )
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--data", type=Path, help="a folder that keeps Redis' data and the logs")
    options = parser.parse_args()
    sys.exit(1 if run(Plan(options.seed, options.seconds, options.jobs, options.data)).failures else 0)


if __name__ == "__main__":
    main()
