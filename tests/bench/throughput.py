"""Requests per second of one gateway process, against the floor, round by round in turn."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from service.cli.stack import Stack
from tests.bench import floor, stack as stacks
from tests.bench.figures import Figure, compared
from tests.bench.load import PLACEHOLDER, Load, Outcome
from tests.bench.scale import Scale

_READ = 500  # generations that are asked for in turn
_WARM_UP_SECONDS = 0.7


def create(scale: Scale) -> Iterator[Figure]:
    """POST /v1/generations, without and with an idempotency key."""
    with stacks.opened(worker=False) as stack, stacks.floor_beside(stack) as floor_port:
        _rewrite_no_log(stack)
        plain = Load(
            port=stack.port or 0, paths=[stacks.PATH], headers=stacks.headers(stack), body=stacks.body("a boat")
        )
        keyed = replace(plain, headers={**plain.headers, "idempotency-key": f"bench-{PLACEHOLDER}"})
        bare = replace(plain, port=floor_port, paths=[floor.PATH])
        of_floor, of_plain, of_keyed = _interleaved([bare, plain, keyed], scale)
        yield _compared("create", of_plain, of_floor, at_least=0.8)
        yield _compared("create_idempotent", of_keyed, of_floor, at_least=None)


def get(scale: Scale) -> Iterator[Figure]:
    """GET /v1/generations/{id}; the floor answers with the same record by HGETALL."""
    with stacks.opened(worker=False) as stack, stacks.floor_beside(stack) as floor_port:
        stacks.creates(stack, "a boat", requests=_READ).run()
        with stacks.redis_of(stack) as redis:
            names = redis.zrange("{sg}:due:dispatch", 0, _READ - 1)
        ours = Load(
            port=stack.port or 0,
            method="GET",
            paths=[f"{stacks.PATH}/{name}" for name in names],
            headers=stacks.headers(stack),
            wanted=200,
        )
        bare = replace(ours, port=floor_port, paths=[f"{floor.PATH}/{name}" for name in names])
        of_floor, of_ours = _interleaved([bare, ours], scale)
        yield _compared("get", of_ours, of_floor, at_least=0.9)


def _interleaved(loads: Sequence[Load], scale: Scale) -> list[list[Outcome]]:
    """Outcomes per load, of rounds in turn; a first, short turn warms up and does not count."""
    for load in loads:
        replace(load, seconds=_WARM_UP_SECONDS).run()
    turns = [[replace(load, seconds=scale.round_seconds).run() for load in loads] for _ in range(scale.rounds)]
    return [list(outcomes) for outcomes in zip(*turns, strict=True)]


def _compared(
    name: str, ours: Sequence[Outcome], floor_: Sequence[Outcome], *, at_least: float | None
) -> Figure:
    pairs = zip(ours, floor_, strict=True)
    return compared(
        name,
        [outcome.per_second for outcome in ours],
        [outcome.per_second for outcome in floor_],
        at_least=at_least,
        ratios=[round(one.per_second / other.per_second, 3) for one, other in pairs],
        p50_ms=round(median(outcome.p50_ms for outcome in ours), 2),
        p99_ms=round(median(outcome.p99_ms for outcome in ours), 2),
        floor_p50_ms=round(median(outcome.p50_ms for outcome in floor_), 2),
        floor_p99_ms=round(median(outcome.p99_ms for outcome in floor_), 2),
    )


def _rewrite_no_log(stack: Stack) -> None:
    """Redis forks to rewrite its log at 64 MB: that would hit one round of one server."""
    with stacks.redis_of(stack) as redis:
        redis.config_set("auto-aof-rewrite-percentage", 0)
