"""The cost of tenants: all limits set, ten thousand tenants, and a cached key."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

from service.config.settings import Settings
from service.domain.tenant import Limits, Scope
from service.runtime import open_runtime
from tests.bench import floor, throughput
from tests.bench import stack as stacks
from tests.bench.figures import Figure, Target
from tests.bench.load import PLACEHOLDER, Load
from tests.bench.scale import Scale

FEW: Final = 10
MANY: Final = 10_000
_CHECKS: Final = 20_000
#: Every limit that a create checks; none is reached.
_LIMITS: Final = Limits(
    requests_per_minute=60_000_000,
    burst=1_000_000,
    queued_generations=100_000_000,
    resolutions=("480p", "720p"),
    durations=("auto", "5"),
    monthly_budget=10**15,
    end_user_daily_budget=10**15,
    end_user_daily_count=10**9,
)


def create(scale: Scale) -> Iterator[Figure]:
    """Measure POST /v1/generations with all limits set, against the floor; ten thousand tenants against ten."""
    with stacks.opened(worker=False, account_daily_budget_usd=10**9) as stack, stacks.floor_next_to(stack) as bare:
        throughput.rewrite_no_log(stack)
        gateway = stacks.gateway_of(stack)
        every = asyncio.run(_tenants(stack.settings, MANY))
        few = Load(
            port=gateway.port,
            paths=[stacks.PATH],
            headers={"content-type": "application/json"},
            keys=every[:FEW],
            body=_body(),
        )
        many = replace(few, keys=every)
        replace(many, requests=MANY).run()  # each tenant has called once before
        plain = replace(few, port=bare.port, paths=[floor.PATH], keys=(), body=stacks.body("a boat"))
        of_floor, of_few, of_many = throughput.interleaved(
            scale,
            throughput.Contender(bare, plain),
            throughput.Contender(gateway, few),
            throughput.Contender(gateway, many),
        )
    yield throughput.compared("create_all_limits", of_few, of_floor, target=Target(0.75, at_least=True))
    p50 = [median(one.outcome.p50_ms for one in rounds) for rounds in (of_few, of_many)]
    yield Figure(
        name="create_10000_tenants",
        value=p50[1],
        unit="ms (p50)",
        floor=p50[0],
        target=Target(1.2),
        raw={
            "few_p50_ms": [round(one.outcome.p50_ms, 1) for one in of_few],
            "many_p50_ms": [round(one.outcome.p50_ms, 1) for one in of_many],
            "few_cpu_us": round(median(one.cpu_us for one in of_few)),
            "many_cpu_us": round(median(one.cpu_us for one in of_many)),
        },
    )


def key_check(_: Scale) -> Iterator[Figure]:
    """Measure a key that was read less than a second ago: parse, checksum, hash, compare."""
    with stacks.opened(worker=False) as stack:
        samples = asyncio.run(_checks(stack.settings, stack.api_key))
    yield Figure(name="key_check", value=median(samples), unit="us (p50)", target=Target(20))


def _body() -> str:
    """Each call has a new end user: more of them than on any real day."""
    text = stacks.prompt("a boat")
    user = f"customer-{PLACEHOLDER}"
    return f'{{"prompt": "{text}", "image_url": "{stacks.IMAGE}", "duration": 5, "end_user_id": "{user}"}}'


async def _tenants(settings: Settings, count: int) -> Sequence[str]:
    async with open_runtime(settings) as runtime:

        async def one(number: int) -> str:
            tenant = await runtime.tenants.service.create(f"tenant {number}", _LIMITS)
            return (await runtime.tenants.api_keys.create(tenant.id)).text

        return [
            key for start in range(0, count, 500) for key in await asyncio.gather(*map(one, range(start, start + 500)))
        ]


async def _checks(settings: Settings, key: str) -> list[float]:
    async with open_runtime(settings) as runtime:
        samples = []
        for _ in range(_CHECKS // 100):
            await runtime.tenants.authenticator.authenticate(key, Scope.GENERATE)
            begun = time.perf_counter()
            for _ in range(100):
                await runtime.tenants.authenticator.authenticate(key, Scope.GENERATE)
            samples.append((time.perf_counter() - begun) / 100 * 1e6)
        return samples
