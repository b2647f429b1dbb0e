"""Pages of the console with a million generations and ten thousand tenants: time, and commands that Redis ran."""

import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import redis as redis_py
from fastapi import FastAPI

from service.app import create_app
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.operator import Role
from service.runtime import Runtime
from tests.bench.figures import Figure, Target
from tests.bench.scale import Scale
from tests.support import console_rows, factories, large_history
from tests.support.console import Browser, browser_of, operator_subject
from tests.support.console_budget import MOST_COMMANDS, MOST_MS, is_operators, load, pages

_TENANTS: Final = 10_000
#: Rows with a record of each kind: more than any page lists or examines.
_ROWS: Final = 300
#: Reads of a page before the measured ones: the first one compiles the templates.
_WARM: Final = 2
#: It reads each item that an act on all that match would change.
_UNLIMITED: Final = frozenset(("/console/oncall/bulk/preview", "/console/tenant/bulk/preview"))


def console(scale: Scale) -> Iterator[Figure]:
    """Measure every page of the console: the slowest p95, and the most commands."""
    with tempfile.TemporaryDirectory(prefix="seedance-bench-") as folder:
        server = EmbeddedRedis(Path(folder)).start()
        try:
            found = asyncio.run(measured(server.url, rows=scale.console_rows, tenants=_TENANTS, reads=scale.samples))
        finally:
            server.end()
    listed = {path: each for path, each in found.items() if path not in _UNLIMITED}
    raw = {path: {"p95_ms": round(ms, 1), "commands": round(count, 1)} for path, (ms, count) in found.items()}
    for name, column, unit, most in (
        ("console_page", 0, "ms (p95 of the slowest page)", MOST_MS),
        ("console_commands", 1, "Redis commands (of the page with the most)", MOST_COMMANDS),
    ):
        value, worst = max((each[column], path) for path, each in listed.items())
        yield Figure(
            name=name,
            value=value,
            unit=f"{unit}: {worst}",
            target=Target(most),
            raw=raw | {"over": {path: listed[path][column] for path in listed if listed[path][column] > most}},
        )


async def measured(url: str, *, rows: int, tenants: int, reads: int) -> dict[str, tuple[float, float]]:
    """Return the p95 in ms and the number of commands of each page, by the path of its route."""
    app = create_app(factories.settings(url, log_level="ERROR"))
    async with app.router.lifespan_context(app):
        runtime: Runtime = app.state.runtime
        history = await large_history.fill(runtime, url, rows=rows, tenants=tenants)
        added = await console_rows.add(runtime, url, history.tenant, rows=_ROWS)
        values = added.values(history.tenant, runtime.clock())
        key = (await runtime.tenants.api_keys.create(history.tenant.id)).key
        async with (
            browser_of(app, await operator_subject(app, Role.ADMIN)) as operator,
            browser_of(app, Subject(ActorKind.API_KEY, key.id)) as tenant,
        ):
            return await _pages(app, url, values, operator, tenant, reads)


async def _pages(
    app: FastAPI, url: str, values: Mapping[str, str], operator: Browser, tenant: Browser, reads: int
) -> dict[str, tuple[float, float]]:
    with redis_py.Redis.from_url(url) as client:
        return {
            route.path: await _read(operator if is_operators(route) else tenant, client, path, reads)
            for route, path in pages(app, values)
        }


async def _read(browser: Browser, client: redis_py.Redis, path: str, reads: int) -> tuple[float, float]:
    for _ in range(_WARM):
        await load(browser, client, path)
    loads = [await load(browser, client, path) for _ in range(reads)]
    # The median: once in a few seconds a read also refreshes a cache of the process, like the estimate of queues.
    return statistics.quantiles([each.ms for each in loads], n=20)[-1], statistics.median(
        each.commands for each in loads
    )
