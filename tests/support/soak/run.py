"""A stack of real processes under a steady mixed load: ``python -m tests.support.soak.run --minutes 30 --seed N``.

Records are stored for two minutes, so that most are purged during the run. Afterwards no process has grown, every key
of a generation is gone, the audit is clean, every accepted generation has ended and none was paid twice.
"""

import argparse
import asyncio
import json
import random
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import redis as redis_py

from service.cli.dev.child_processes import Child, free_port
from service.cli.dev.stack import Stack
from service.tasks import QUEUES
from tests.guards.repository import ROOT
from tests.support.chaos.verdict import submits
from tests.support.receiver import Receiver
from tests.support.soak import keyspace
from tests.support.soak.findings import Findings
from tests.support.soak.load import Load
from tests.support.soak.operations import OPERATIONS
from tests.support.soak.sampler import Sampler

RETENTION: Final = timedelta(seconds=120)
TENANTS: Final = 4
_SAMPLES: Final = 180
_SHORTEST_INTERVAL: Final = 2.0
_WEBHOOKS_WITHIN: Final = 300.0
#: A purge is tried again after a minute while webhooks are pending.
_PURGED_WITHIN: Final = RETENTION.total_seconds() * 3
#: Kinds of keys that a generation has. After the retention none is left.
_OF_GENERATIONS: Final = ("generation:", "idempotency:", "delivery:", "event:", "undelivered_responses:")
_OVERRIDES: Final[dict[str, Any]] = {
    "retention": RETENTION,
    "resend_window": timedelta(seconds=30),
    "poll_shortest": timedelta(seconds=0.5),
    "webhook_schedule": tuple(timedelta(seconds=seconds) for seconds in (0, 1, 2, 5)),
    "default_webhook_endpoints": 20,
}


@dataclass(frozen=True)
class Plan:
    seed: int
    seconds: float
    rate: float
    folder: Path


@contextmanager
def queue_workers(stack: Stack) -> Iterator[dict[str, tuple[Child, int]]]:
    """Start a worker for each Celery queue; yield them with their metrics ports by queue."""
    found: dict[str, tuple[Child, int]] = {}
    try:
        for queue in QUEUES:
            port = free_port()
            environment = stack.settings.model_copy(update={"metrics_port": port}).environment()
            command = ["-m", "celery", "--quiet", "-A", "workers", "worker", "--without-gossip", "--without-mingle"]
            log = stack.folder / f"worker-{queue}.log"
            child = Child(queue, [sys.executable, *command, "-Q", queue], log=log, environment=environment)
            found[queue] = child, port
        for child, _ in found.values():
            child.wait_until(lambda: b" ready" in child.log.read_bytes())  # noqa: B023  (called in this iteration)
        yield found
    finally:
        for child, _ in found.values():
            child.end()


@contextmanager
def sampled_stack(plan: Plan) -> Iterator[tuple[Stack, Sampler]]:
    videos = plan.folder / "videos"
    overrides = {**_OVERRIDES, "media_url": videos.as_uri()}
    videos.mkdir(parents=True, exist_ok=True)
    with Stack(worker=False, overrides=overrides) as stack, queue_workers(stack) as workers:
        stack.start_beat()
        assert stack.redis.child is not None
        pids = {name: stack.children[name].pid for name in ("gateway", "beat", "sandbox")}
        pids |= {"redis": stack.redis.child.pid}
        pids |= {f"worker {queue}": child.pid for queue, (child, _) in workers.items()}
        urls = {f"worker {queue}": f"http://127.0.0.1:{port}/metrics" for queue, (_, port) in workers.items()}
        yield stack, Sampler(stack.redis.url, videos, pids, {"gateway": stack.metrics_url, **urls})


async def sample_until(sampler: Sampler, interval: float, over: asyncio.Event) -> None:
    while not over.is_set():
        await asyncio.to_thread(sampler.sample)
        try:
            async with asyncio.timeout(interval):
                await over.wait()
        except TimeoutError:
            continue


async def drive(plan: Plan, load: Load, sampler: Sampler) -> None:
    """Run the load, and take samples meanwhile."""
    over = asyncio.Event()
    await load.open_tenants(TENANTS)
    sampler.began = time.monotonic()
    interval = max(_SHORTEST_INTERVAL, plan.seconds / _SAMPLES)
    sampling = asyncio.create_task(sample_until(sampler, interval, over))
    await load.run(OPERATIONS, seconds=plan.seconds, rate=plan.rate)
    over.set()
    await sampling


@dataclass(frozen=True)
class Ending:
    """The checks after the load has ended."""

    stack: Stack
    load: Load
    receiver: Receiver
    findings: Findings

    def check(self) -> None:
        failures = self.findings.failures
        failures += self.load.unexpected
        self._check_ends()
        prompts = [submit["prompt"] for submit in submits(self.stack)]
        failures += [f"paid twice: {prompt}" for prompt in {p for p in prompts if prompts.count(p) > 1}]
        if left := self._unpurged():
            failures.append(f"keys of generations are left after the retention: {left}")
        if not (audit := self._audit())["clean"]:
            failures.append(f"the audit is not clean: {audit}")

    def _check_ends(self) -> None:
        """Wait until the receiver has got every end that it must get."""
        give_up = time.monotonic() + _WEBHOOKS_WITHIN
        while missing := self.load.announced - {event.json["data"]["id"] for event in list(self.receiver.received)}:
            if time.monotonic() > give_up:
                self.findings.failures.append(f"{len(missing)} ends were not announced: {sorted(missing)[:5]}")
                return
            time.sleep(1)

    def _unpurged(self) -> dict[str, int]:
        give_up = time.monotonic() + _PURGED_WITHIN
        with redis_py.Redis.from_url(self.stack.redis.url) as redis:
            while True:
                found = keyspace.count(redis).keys
                left = {kind: number for kind, number in found.items() if kind.startswith(_OF_GENERATIONS)}
                if not left or time.monotonic() > give_up:
                    return left
                time.sleep(2)

    def _audit(self) -> Any:
        headers = {"authorization": f"Bearer {self.stack.describe()['admin_token']}"}
        url = f"{self.stack.base_url}/admin/v1/audit"
        return httpx.get(url, headers=headers, timeout=60, trust_env=False).raise_for_status().json()


def run(plan: Plan) -> Findings:
    sys.stdout.write(f"seed {plan.seed}: {plan.seconds / 60:.1f} minutes, {plan.rate:g} operations a second\n")
    sys.stdout.flush()
    plan.folder.mkdir(parents=True, exist_ok=True)
    findings = Findings()
    with Receiver() as receiver, Receiver(otherwise=500) as dead, sampled_stack(plan) as (stack, sampler):
        token, rng = stack.describe()["admin_token"], random.Random(plan.seed)  # noqa: S311  (a seed repeats the run)
        load = Load(stack.base_url, token, receiver.url, dead.url, rng)
        asyncio.run(drive(plan, load, sampler))
        sampler.write(plan.folder / "samples.csv")
        Ending(stack, load, receiver, findings).check()
        findings.judge(sampler.curves)
    report(plan, load, findings)
    return findings


def report(plan: Plan, load: Load, findings: Findings) -> None:
    judged = {" ".join(curve): asdict(found) for curve, found in findings.judgements.items()}
    counts = {"accepted": len(load.accepted), "operations": load.done, "refused": load.refused}
    summary = {"seed": plan.seed, "seconds": plan.seconds, **counts, "curves": judged, "failures": findings.failures}
    (plan.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    sys.stdout.write(f"{len(load.accepted)} generations; operations {dict(load.done)}; refused {dict(load.refused)}\n")
    sys.stdout.write(f"{findings.table()}\nfailures: {len(findings.failures)}; all samples: {plan.folder}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.soak.run", description="A stack under steady load.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=4, help="operations a second; a third creates a generation")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "soak", help="of the samples")
    options = parser.parse_args()
    plan = Plan(options.seed, options.minutes * 60, options.rate, options.folder)
    sys.exit(1 if run(plan).failures else 0)


if __name__ == "__main__":
    main()
