"""Pages of the console with a million generations and ten thousand tenants: time, and commands that Redis ran."""

import asyncio
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import redis as redis_py
from fastapi import FastAPI

from service.app import create_app
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.console.routes import SessionRoute
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.operator import Role
from service.runtime import Runtime
from tests.bench.figures import Figure, Target
from tests.bench.scale import Scale
from tests.support import factories, large_history
from tests.support.console import ADMIN, Browser, browser_of, session_routes
from tests.support.large_history import History

_TENANTS: Final = 10_000
_MOST_MS: Final = 100
_MOST_COMMANDS: Final = 30
#: Reads of a page before the measured ones: the first one compiles the templates.
_WARM: Final = 2
_PARAMETER: Final = re.compile(r"\{(\w+)(?::path)?\}")


def pages(scale: Scale) -> Iterator[Figure]:
    """Measure every page of the console: the slowest p95, and the most commands."""
    with tempfile.TemporaryDirectory(prefix="seedance-bench-") as folder:
        server = EmbeddedRedis(Path(folder)).start()
        try:
            found = asyncio.run(_measured(server.url, rows=scale.console_rows, reads=scale.samples))
        finally:
            server.end()
    slowest = max(found, key=lambda path: found[path][0])
    busiest = max(found, key=lambda path: found[path][1])
    raw = {path: {"p95_ms": round(ms, 1), "commands": round(commands, 1)} for path, (ms, commands) in found.items()}
    yield Figure(
        name="console_page",
        value=found[slowest][0],
        unit=f"ms (p95 of {slowest}, the slowest page)",
        target=Target(_MOST_MS),
        raw=raw,
    )
    yield Figure(
        name="console_commands",
        value=found[busiest][1],
        unit=f"Redis commands ({busiest}, the most)",
        target=Target(_MOST_COMMANDS),
        raw=raw,
    )


async def _measured(url: str, *, rows: int, reads: int) -> dict[str, tuple[float, float]]:
    """Return the p95 in ms and the number of commands of each page."""
    app = create_app(factories.settings(url, log_level="ERROR"))
    async with app.router.lifespan_context(app):
        runtime: Runtime = app.state.runtime
        history = await large_history.fill(runtime, url, rows=rows, tenants=_TENANTS)
        key = (await runtime.tenants.service.create_key(history.tenant.id)).key
        values = _values(history)
        async with browser_of(app, ADMIN) as operator, browser_of(app, Subject(ActorKind.API_KEY, key.id)) as tenant:
            with redis_py.Redis.from_url(url) as client:
                return {
                    route.path: await _read(operator if _is_operators(route) else tenant, client, path, reads)
                    for route, path in _paths(app, values)
                }


def _is_operators(route: SessionRoute) -> bool:
    return route.needs is None or isinstance(route.needs, Role)


def _paths(app: FastAPI, values: dict[str, str]) -> Iterator[tuple[SessionRoute, str]]:
    for route in session_routes(app):
        if route.method == "GET":
            yield route, _PARAMETER.sub(lambda found: values.get(found[1], "x"), route.path)


def _values(history: History) -> dict[str, str]:
    return {
        "tenant_id": history.tenant.id,
        "generation_id": history.ended.id,
        "delivery_id": history.delivery.id,
        "endpoint_id": history.endpoint_id,
        "end_user_id": large_history.END_USER,
        "pseudonym": history.pseudonym,
        "section": "redis-unavailable",
    }


async def _read(browser: Browser, client: redis_py.Redis, path: str, reads: int) -> tuple[float, float]:
    for _ in range(_WARM):
        await browser.get(path)
    times, ran = list[float](), list[int]()
    for _ in range(reads):
        before = _commands(client)
        began = time.perf_counter()
        await browser.get(path)
        times.append((time.perf_counter() - began) * 1000)
        ran.append(_commands(client) - before - 1)  # the count itself
    # The median: once in a few seconds a read also refreshes a cache of the process, like the estimate of queues.
    return statistics.quantiles(times, n=20)[-1], statistics.median(ran)


def _commands(client: redis_py.Redis) -> int:
    """Return how many commands Redis has run, those of scripts included."""
    stats = client.info("commandstats")
    assert isinstance(stats, dict)
    return sum(int(each["calls"]) for each in stats.values())
