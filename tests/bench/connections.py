"""What the gateway adds to the latency of a create, and to its CPU, at 1, 50 and 200 connections.

The floor is the bare ASGI create on the same Redis, in alternate rounds. Rates are also given for each core in use:
requests per CPU second of the server and of Redis.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Final

from tests.bench import floor, throughput
from tests.bench import stack as stacks
from tests.bench.figures import Figure
from tests.bench.load import Load
from tests.bench.scale import Scale
from tests.bench.throughput import Contender, Round

CONNECTIONS: Final = (1, 50, 200)


def added_latency(scale: Scale) -> Iterator[Figure]:
    """Measure the p50 and the p99 of POST /v1/generations above those of the bare create."""
    with stacks.opened(worker=False) as stack, stacks.bare_next_to(stack) as bare:
        throughput.rewrite_no_log(stack)
        gateway, redis_pid = stacks.gateway_of(stack), stacks.redis_pid_of(stack)
        plain = Load(port=gateway.port, paths=[stacks.PATH], headers=stacks.headers(stack), body=stacks.body("a boat"))
        for connections in CONNECTIONS:
            load = replace(plain, connections=connections)
            ours, of_bare = throughput.interleaved(
                scale,
                Contender(gateway, load, redis_pid),
                Contender(bare, replace(load, port=bare.port, paths=[floor.PATH]), redis_pid),
            )
            yield _added(connections, ours, of_bare)


def _added(connections: int, ours: Sequence[Round], bare: Sequence[Round]) -> Figure:
    return Figure(
        name=f"added_latency_{connections}",
        value=_median(ours, "p50_ms") - _median(bare, "p50_ms"),
        unit="ms (p50)",
        raw={
            "connections": connections,
            "added_p99_ms": round(_median(ours, "p99_ms") - _median(bare, "p99_ms"), 2),
            "ours": [_row(one) for one in ours],
            "floor": [_row(one) for one in bare],
        },
    )


def _median(rounds: Sequence[Round], name: str) -> float:
    return float(median(getattr(one.outcome, name) for one in rounds))


def _row(one: Round) -> dict[str, Any]:
    return {
        "per_second": round(one.per_second),
        "per_core_second": round(1e6 / (one.cpu_us + one.redis_us)),
        "cpu_us": round(one.cpu_us),
        "redis_us": round(one.redis_us),
        "p50_ms": round(one.outcome.p50_ms, 2),
        "p99_ms": round(one.outcome.p99_ms, 2),
    }
