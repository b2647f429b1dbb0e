"""Thousands of concurrent generations at fal, all polled by one worker process."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from redis import Redis

from service.cli.dev.child_processes import free_port
from service.cli.dev.stack import Stack
from service.domain.work_queue import WorkQueue
from service.runtime import build_schedule
from service.store import keys
from tests.bench import stack as stacks
from tests.bench import worker_metrics
from tests.bench.figures import Figure, Target
from tests.bench.memory import megabytes
from tests.bench.scale import Scale
from tests.bench.worker_metrics import Reading

_TEXT: Final = "sandbox:hang sandbox:no-video"
#: Not all have to be in flight by then: those in flight are measured, and the figure has their number.
_RAMP_PATIENCE: Final = 400.0  # seconds
_TICK: Final = 1.0


@dataclass(frozen=True)
class Sample:
    """The due set of polls and the worker at one time."""

    at: float
    polled: int
    late: float
    """Seconds for which the most overdue unclaimed entry has been due. A claim moves its entry to a later time."""
    rss: float


@dataclass(frozen=True)
class Phase:
    """The samples between two reads of the worker's metrics."""

    samples: list[Sample]
    before: Reading
    after: Reading

    @property
    def seconds(self) -> float:
        return self.samples[-1].at - self.samples[0].at

    @property
    def most_late(self) -> float:
        return max(sample.late for sample in self.samples)

    @property
    def rss(self) -> float:
        return max(sample.rss for sample in self.samples)

    def per_second(self, before: int, after: int) -> float:
        return (after - before) / self.seconds


@dataclass(frozen=True)
class Watch:
    stack: Stack
    redis: "Redis"
    port: int
    """The port of the worker's metrics."""

    def until(self, *, polled: int | None = None, seconds: float) -> Phase:
        """Sample once a second until the number of polled generations is reached, or the time is up."""
        before, samples = worker_metrics.read(self.port), [self._sample()]
        while samples[-1].at - samples[0].at < seconds and (polled is None or samples[-1].polled < polled):
            time.sleep(_TICK)
            samples.append(self._sample())
        return Phase(samples, before, worker_metrics.read(self.port))

    def _sample(self) -> Sample:
        due, now = keys.due(WorkQueue.POLL), time.time()
        oldest: Any = self.redis.zrange(due, 0, 0, withscores=True)
        late = max(0.0, now - oldest[0][1] / 1000) if oldest else 0.0
        return Sample(now, self.redis.zcard(due), late, megabytes(self.stack.children["worker"].pid))


def measure(scale: Scale) -> Iterator[Figure]:
    """Measure 50,000 jobs that never end: the worker's memory, and the delay of polls."""
    wanted, port = scale.in_flight, free_port()
    with (
        stacks.opened(
            worker=True,
            environment={"SANDBOX_CONCURRENCY": str(wanted)},
            upstream_concurrency=wanted,
            metrics_port=port,
        ) as stack,
        stacks.redis_of(stack) as redis,
        ThreadPoolExecutor(1) as pool,
    ):
        empty = _used(redis)
        creates = pool.submit(stacks.creates(stack, _TEXT, requests=wanted).run)
        watch = Watch(stack, redis, port)
        ramp = watch.until(polled=wanted, seconds=_RAMP_PATIENCE)
        creates.result()
        steady = watch.until(seconds=scale.watched_seconds)
        interval, weight = _interval(stack, wanted), (_used(redis) - empty) / steady.samples[-1].polled
    yield from _figures(wanted, ramp, steady, interval)
    yield Figure(name="bytes_per_in_flight", value=weight, unit="bytes", target=Target(3000))


def _used(redis: "Redis") -> int:
    info: Any = redis.info("memory")
    return int(info["used_memory"])


def _interval(stack: Stack, in_flight: int) -> float:
    """Return the shortest interval in seconds between two polls of one job at this load."""
    polls = build_schedule(stack.settings).polls
    return polls.next(timedelta(), in_flight, rng=lambda: 0.5).total_seconds()


def _figures(wanted: int, ramp: Phase, steady: Phase, interval: float) -> Iterator[Figure]:
    before, after = steady.before, steady.after
    yield Figure(
        name="in_flight",
        value=min(sample.polled for sample in steady.samples),
        unit="generations",
        target=Target(wanted, at_least=True),
        raw={"ramp_seconds": round(ramp.seconds, 1), "watched_seconds": round(steady.seconds, 1)},
    )
    yield Figure(name="in_flight_rss", value=max(ramp.rss, steady.rss), unit="MB", target=Target(250))
    yield Figure(
        name="in_flight_late",
        value=steady.most_late / interval,
        unit="poll intervals",
        target=Target(2),
        raw={
            "poll_interval_s": round(interval, 2),
            "most_late_s": round(steady.most_late, 2),
            "most_late_at_end_s": round(steady.samples[-1].late, 2),
            "most_late_while_dispatching_s": round(ramp.most_late, 2),
            "half_of_polls_late": after.late_since(before, 0.5),
            "99_of_100_polls_late": after.late_since(before, 0.99),
            "late_s_every_5_s": [round(sample.late, 1) for sample in steady.samples[::5]],
        },
    )
    yield Figure(
        name="in_flight_polls",
        value=steady.per_second(before.polls, after.polls),
        unit="polls/s",
        raw={"status_calls_per_second": round(steady.per_second(before.status_calls, after.status_calls), 1)},
    )
    yield Figure(
        name="in_flight_dispatches",
        value=ramp.per_second(ramp.before.submits, ramp.after.submits),
        unit="submits/s",
        raw={"polls_per_second_meanwhile": round(ramp.per_second(ramp.before.polls, ramp.after.polls), 1)},
    )
