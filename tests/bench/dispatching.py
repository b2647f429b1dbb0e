"""The dispatch decision, timed by Redis itself: with a few tenants in the queue, and with very many."""

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from redis import Redis as PlainRedis

from service.cli.dev.embedded_redis import EmbeddedRedis
from service.store.generations.generations import GenerationStore
from service.store.queues.tenant_queue import QueueStore
from service.store.redis.client import Redis
from service.store.tenants.sealing import Purpose, Sealer
from service.store.tenants.tenants import TenantStore
from tests.bench.figures import Figure, Target
from tests.bench.scale import Scale
from tests.support import factories

_EACH: Final = 100  # generations of each tenant
_FEW: Final = 10
_TOGETHER: Final = 500  # concurrent creates
_ROUNDS: Final = 10
_DECISIONS: Final = 50  # in one round, of each queue in turn
#: Commands inside a script take less and are not logged: logging them would cost more than they do.
_LOGGED_US: Final = 20
_LEASE: Final = timedelta(minutes=10)
_SLOTS: Final = 10**9


def measure(scale: Scale) -> Iterator[Figure]:
    """Measure the choice of one generation: 1,000 tenants with 100,000 queued, next to 10 tenants with 1,000."""
    many = scale.dispatch_tenants
    with tempfile.TemporaryDirectory(prefix="dispatch-bench-") as folder:
        folders = [Path(folder, str(count)) for count in (_FEW, many)]
        for path in folders:
            path.mkdir()
        servers = [EmbeddedRedis(path) for path in folders]
        try:
            few_us, many_us = asyncio.run(
                _timed([(s.start().url, n) for s, n in zip(servers, (_FEW, many), strict=True)])
            )
        finally:
            for server in servers:
                server.end()
    raw = {"tenants": many, "queued": many * _EACH, "p50_us": _p50(many_us), "p50_us_few": _p50(few_us)}
    yield Figure(name="dispatch_decision", value=_p50(many_us) / 1000, unit="ms (p50)", target=Target(1), raw=raw)
    yield Figure(
        name="dispatch_decision_scale",
        value=_p50(many_us),
        floor=_p50(few_us),
        unit="us (p50)",
        target=Target(1.5),
        raw={"p99_us": round(statistics.quantiles(many_us, n=100)[98]), "samples": len(many_us)},
    )


async def _timed(queues: list[tuple[str, int]]) -> list[list[int]]:
    """Return the microseconds of Redis for each decision, by queue; the queues alternate in rounds."""
    found: list[list[int]] = [[] for _ in queues]
    async with contextlib.AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(_filled(url, tenants)) for url, tenants in queues]
        for _ in range(_ROUNDS):
            for samples, (url, _tenants), store in zip(found, queues, stores, strict=True):
                samples.extend(await _round(url, store))
    return found


@contextlib.asynccontextmanager
async def _filled(url: str, tenants: int) -> AsyncIterator[QueueStore]:
    async with Redis(url, timeout=60) as redis:
        records, store = (
            TenantStore(redis, Sealer(["a-secret-key-of-the-benchmark"], Purpose.TENANTS)),
            GenerationStore(redis),
        )
        owners = [factories.tenant() for _ in range(tenants)]
        for owner in owners:
            await records.insert(owner)
        now = datetime.now(UTC)
        due = factories.due(now)
        wanted = [owner.id for _ in range(_EACH) for owner in owners]
        for start in range(0, len(wanted), _TOGETHER):
            await asyncio.gather(
                *(
                    store.create(factories.generation(tenant_id=owner, created_at=now), due)
                    for owner in wanted[start : start + _TOGETHER]
                )
            )
        yield QueueStore(redis)


async def _round(url: str, queue: QueueStore) -> list[int]:
    with PlainRedis.from_url(url) as plain:
        plain.config_set("slowlog-log-slower-than", _LOGGED_US)
        plain.config_set("slowlog-max-len", 10 * _DECISIONS)
        plain.slowlog_reset()
        for _ in range(_DECISIONS):
            claim = await queue.claim(now=datetime.now(UTC), most=1, lease=_LEASE, slots=_SLOTS)
            assert len(claim.taken) == 1  # otherwise nothing was decided
        entries: Any = plain.slowlog_get(10 * _DECISIONS)
        plain.config_set("slowlog-log-slower-than", -1)
    return [entry["duration"] for entry in entries if entry["command"].startswith(b"EVAL")]


def _p50(samples: list[int]) -> float:
    return statistics.median(samples)
