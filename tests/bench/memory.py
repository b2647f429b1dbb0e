"""Memory: a queued generation in Redis, the processes of an idle stack."""

import time
from collections.abc import Iterator
from typing import Final

import psutil

from service.cli.dev.stack import Stack
from tests.bench import stack as stacks
from tests.bench.figures import Figure, Target
from tests.bench.load import PLACEHOLDER
from tests.bench.scale import Scale

_WARM_UP: Final = 200  # scripts, connections and the form of the indexes exist before the first measurement
#: Three pairs, of which one has another value in each generation.
_METADATA: Final = f'{{"order": "{PLACEHOLDER}", "project": "shop", "cost_centre": "4711"}}'
_CALM_SECONDS: Final = 1.0  # until buffers of closed connections are freed
_IDLE_SECONDS: Final = 3.0


def per_queued(scale: Scale) -> Iterator[Figure]:
    """Measure record, indexes and due sets of a generation with a 500-byte prompt, without and with metadata."""
    yield _per_queued("bytes_per_queued", scale, "{}", Target(2500))
    yield _per_queued("bytes_per_queued_with_metadata", scale, _METADATA, Target(3100))


def _per_queued(name: str, scale: Scale, metadata: str, target: Target) -> Figure:
    with stacks.opened(worker=False) as stack:
        stacks.creates(stack, "a boat", requests=_WARM_UP, metadata=metadata).run()
        before = _used(stack)
        stacks.creates(stack, "a boat", requests=scale.queued, metadata=metadata).run()
        after = _used(stack)
    return Figure(
        name=name,
        value=(after - before) / scale.queued,
        unit="bytes",
        target=target,
        raw={"generations": scale.queued, "used_memory_before": before, "used_memory_after": after},
    )


def idle(_scale: Scale) -> Iterator[Figure]:
    """Measure the resident memory of an idle ``seedance-gateway up``."""
    with stacks.opened(worker=True) as stack:
        time.sleep(_IDLE_SECONDS)
        sizes = {name: round(megabytes(child.pid), 1) for name, child in stack.children.items()}
        if stack.redis.child is not None:
            sizes["redis"] = round(megabytes(stack.redis.child.pid), 1)
    yield Figure(name="idle_rss", value=sum(sizes.values()), unit="MB", raw=sizes)


def megabytes(pid: int) -> float:
    rss: int = psutil.Process(pid).memory_info().rss
    return rss / 1e6


def _used(stack: Stack) -> int:
    time.sleep(_CALM_SECONDS)
    with stacks.redis_of(stack) as redis:
        return int(redis.info("memory")["used_memory"])
