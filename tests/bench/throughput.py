"""Requests per second of one gateway process, against the floor, in alternate rounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

import psutil

from service.cli.dev.stack import Stack
from service.domain.work_queue import WorkQueue
from service.store import keys
from tests.bench import floor
from tests.bench import stack as stacks
from tests.bench.figures import Figure, Target
from tests.bench.load import PLACEHOLDER, Load, Outcome
from tests.bench.scale import Scale
from tests.bench.stack import Server

_READ: Final = 500  # generations that are read in turn
_WARM_UP_SECONDS: Final = 0.7
#: One tenant reads as often as the process answers.
_UNLIMITED_READS: Final = {"GATEWAY_READS_PER_REQUEST": "1000000", "GATEWAY_READS_PER_TENANT": "1000000"}


@dataclass(frozen=True)
class Round:
    outcome: Outcome
    cpu: float
    """Seconds of CPU time of the server: steadier than its speed on a shared machine."""
    redis_cpu: float = 0.0

    @property
    def per_second(self) -> float:
        return self.outcome.per_second

    @property
    def cpu_us(self) -> float:
        return self.cpu / self.outcome.requests * 1e6

    @property
    def redis_us(self) -> float:
        return self.redis_cpu / self.outcome.requests * 1e6


@dataclass(frozen=True)
class Contender:
    server: Server
    load: Load
    redis_pid: int | None = None

    def run(self, seconds: float) -> Round:
        before = self._cpu()
        outcome = replace(self.load, seconds=seconds).run()
        return Round(outcome, *(after - spent for after, spent in zip(self._cpu(), before, strict=True)))

    def _cpu(self) -> tuple[float, float]:
        """Return the CPU seconds of the server and of Redis."""
        return cpu_seconds(self.server.pid), 0.0 if self.redis_pid is None else cpu_seconds(self.redis_pid)


def cpu_seconds(pid: int) -> float:
    spent = psutil.Process(pid).cpu_times()
    return spent.user + spent.system


def create(scale: Scale) -> Iterator[Figure]:
    """Measure POST /v1/generations, with and without an idempotency key, against both floors."""
    with (
        stacks.opened(worker=False) as stack,
        stacks.floor_next_to(stack) as framework,
        stacks.bare_next_to(stack) as bare,
    ):
        rewrite_no_log(stack)
        gateway = stacks.gateway_of(stack)
        plain = Load(port=gateway.port, paths=[stacks.PATH], headers=stacks.headers(stack), body=stacks.body("a boat"))
        keyed = replace(plain, headers={**plain.headers, "idempotency-key": f"bench-{PLACEHOLDER}"})
        redis_pid = stacks.redis_pid_of(stack)
        of_floor, of_bare, of_plain, of_keyed = interleaved(
            scale,
            Contender(framework, replace(plain, port=framework.port, paths=[floor.PATH]), redis_pid),
            Contender(bare, replace(plain, port=bare.port, paths=[floor.PATH]), redis_pid),
            Contender(gateway, plain, redis_pid),
            Contender(gateway, keyed, redis_pid),
        )
    yield compared("create", of_plain, of_floor, target=Target(0.8, at_least=True))
    yield compared("create_idempotent", of_keyed, of_floor)
    yield compared("create_of_bare", of_plain, of_bare, target=Target(0.55, at_least=True))
    yield least_cpu("create_cpu_of_bare", of_plain, of_bare, target=Target(1 / 0.55))


def get(scale: Scale) -> Iterator[Figure]:
    """Measure GET /v1/generations/{id}; the floor returns the same record by HGETALL."""
    with stacks.opened(worker=False) as stack, stacks.floor_next_to(stack) as bare:
        gateway, names = stacks.gateway_of(stack), _created(stack)
        load = Load(
            port=gateway.port,
            method="GET",
            paths=[f"{stacks.PATH}/{name}" for name in names],
            headers=stacks.headers(stack),
            wanted=200,
        )
        of_floor, of_gateway = interleaved(
            scale,
            Contender(bare, replace(load, port=bare.port, paths=[f"{floor.PATH}/{name}" for name in names])),
            Contender(gateway, load),
        )
    yield compared("get", of_gateway, of_floor, target=Target(0.9, at_least=True))


def fal_status(scale: Scale) -> Iterator[Figure]:
    """Measure GET …/requests/{id}/status, which fal's clients call ten times a second; the floor is that of ``get``."""
    with (
        stacks.opened(worker=False, environment=_UNLIMITED_READS) as stack,
        stacks.floor_next_to(stack) as bare,
    ):
        gateway, names = stacks.gateway_of(stack), _created(stack)
        load = Load(
            port=gateway.port,
            method="GET",
            paths=[f"{stacks.FAL_REQUESTS}/{name}/status?logs=0" for name in names],
            headers={"authorization": f"Key {stack.api_key}"},
            wanted=202,
        )
        of_floor, of_gateway = interleaved(
            scale,
            Contender(
                bare, replace(load, port=bare.port, wanted=200, paths=[f"{floor.PATH}/{name}" for name in names])
            ),
            Contender(gateway, load),
        )
    yield compared("fal_status", of_gateway, of_floor, target=Target(0.9, at_least=True))


def _created(stack: Stack) -> list[str]:
    stacks.creates(stack, "a boat", requests=_READ).run()
    with stacks.redis_of(stack) as redis:
        names: Any = redis.zrange(keys.due(WorkQueue.DISPATCH), 0, _READ - 1)
        return list(names)


def interleaved(scale: Scale, *contenders: Contender) -> list[list[Round]]:
    """Run rounds of each contender, in turn. A first, short round warms up and does not count."""
    for contender in contenders:
        contender.run(_WARM_UP_SECONDS)
    turns = [[contender.run(scale.round_seconds) for contender in contenders] for _ in range(scale.rounds)]
    return [list(rounds) for rounds in zip(*turns, strict=True)]


def compared(name: str, rounds: Sequence[Round], bare: Sequence[Round], *, target: Target | None = None) -> Figure:
    """Return medians, because a shared machine has bad seconds."""
    return Figure(
        name=name,
        value=median(one.per_second for one in rounds),
        unit="requests/s",
        floor=median(one.per_second for one in bare),
        target=target,
        raw={
            "ours": [round(one.per_second) for one in rounds],
            "floor": [round(one.per_second) for one in bare],
            "ratios": [round(one.per_second / other.per_second, 2) for one, other in zip(rounds, bare, strict=True)],
            "cpu_us": round(median(one.cpu_us for one in rounds)),
            "floor_cpu_us": round(median(one.cpu_us for one in bare)),
            "p50_ms": round(median(one.outcome.p50_ms for one in rounds), 1),
            "p99_ms": round(median(one.outcome.p99_ms for one in rounds), 1),
        },
    )


def least_cpu(name: str, rounds: Sequence[Round], bare: Sequence[Round], *, target: Target) -> Figure:
    """Return the CPU time of a request of the server, by its best round: other programs can only add to it."""
    return Figure(
        name=name,
        value=min(one.cpu_us for one in rounds),
        unit="us of CPU",
        floor=min(one.cpu_us for one in bare),
        target=target,
        raw={
            "cpu_us": [round(one.cpu_us) for one in rounds],
            "floor_cpu_us": [round(one.cpu_us) for one in bare],
            "redis_us": [round(one.redis_us) for one in rounds],
            "floor_redis_us": [round(one.redis_us) for one in bare],
        },
    )


def rewrite_no_log(stack: Stack) -> None:
    """Redis forks to rewrite its log at 64 MB, which would slow one round of one server."""
    with stacks.redis_of(stack) as redis:
        redis.config_set("auto-aof-rewrite-percentage", 0)
