"""The cost of observability: metrics and logs of requests, and the response to Prometheus."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

import httpx

from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.stack import Stack
from service.config.settings import Settings
from service.domain.tenant import Limits
from service.runtime import open_runtime
from tests.bench import figures, throughput
from tests.bench import stack as stacks
from tests.bench.figures import Figure, Target
from tests.bench.load import Load
from tests.bench.scale import Scale
from tests.bench.stack import Server

TENANTS: Final = 1000
#: The state is read at most once a second: each sample waits until the next read.
_STALE_SECONDS: Final = 1.05
_LOOKS: Final = 20
#: Creates in one round of the load, which has two minutes.
_AT_A_TIME: Final = 10_000


def cost(scale: Scale) -> Iterator[Figure]:
    """Measure POST /v1/generations with metrics and logs, against the same gateway without."""
    with stacks.opened(worker=False) as stack, _silent_gateway(stack) as silent:
        throughput.rewrite_no_log(stack)
        gateway = stacks.gateway_of(stack)
        loads = [
            Load(port=port, paths=[stacks.PATH], headers=stacks.headers(stack), body=stacks.body("a boat"))
            for port in (gateway.port, silent.port)
        ]
        observed, unobserved = throughput.interleaved(
            scale, throughput.Contender(gateway, loads[0]), throughput.Contender(silent, loads[1])
        )
    yield throughput.compared("create_watched", observed, unobserved, target=Target(0.9, at_least=True))


def endpoint(scale: Scale) -> Iterator[Figure]:
    """Measure GET /metrics with a thousand tenants, all with queued generations."""
    with stacks.opened(worker=False) as stack:
        keys = asyncio.run(_tenants(stack.settings, TENANTS))
        creates = Load(
            port=stack.port or 0,
            paths=[stacks.PATH],
            headers={"content-type": "application/json"},
            keys=keys,
            body=stacks.body("a boat"),
            requests=_AT_A_TIME,
        )
        for _ in range(scale.watched // _AT_A_TIME):
            creates.run()
        watched = {"gateway": stack.children["gateway"], "redis": stack.redis.child}
        before = {name: _cpu(child) for name, child in watched.items()}
        samples, text = _looks(stack)
        cpu = {f"{name}_cpu_ms": round((_cpu(child) - before[name]) / _LOOKS * 1000) for name, child in watched.items()}
    figure = figures.latency("metrics_endpoint", samples, at_most=50)
    read = next(line for line in text.splitlines() if line.startswith("gateway_state_read_seconds "))
    figure.raw.update(
        {
            "generations": scale.watched,
            "tenants": TENANTS,
            "bytes": len(text),
            "read_ms": round(float(read.split()[1]) * 1000, 1),
            **cpu,
        }
    )
    yield figure


def _looks(stack: Stack) -> tuple[Sequence[float], str]:
    samples, text = [], ""
    with httpx.Client(base_url=stack.base_url, trust_env=False) as client:
        client.get(stack.metrics_url)
        for _ in range(_LOOKS):
            time.sleep(_STALE_SECONDS)
            begun = time.perf_counter()
            text = client.get(stack.metrics_url).text
            samples.append(time.perf_counter() - begun)
    return samples, text


def _cpu(child: Child | None) -> float:
    assert child is not None
    return throughput.cpu_seconds(child.pid)


@contextlib.contextmanager
def _silent_gateway(stack: Stack) -> Iterator[Server]:
    port = free_port()
    child = Child(
        "silent",
        [sys.executable, "-m", "tests.bench.silent", "serve", "--port", str(port)],
        log=stack.folder / "silent.log",
        environment=stack.environment,
    )
    try:
        child.wait_until(lambda: accepts(port))
        yield Server(port, child.pid)
    finally:
        child.end()


async def _tenants(settings: Settings, count: int) -> list[str]:
    async with open_runtime(settings) as runtime:
        made = [
            await runtime.tenants.service.create(f"tenant {n}", Limits(monthly_budget=10**12)) for n in range(count)
        ]
        return [(await runtime.tenants.api_keys.create(tenant.id)).text for tenant in made]
