"""Each page of the console: few commands in Redis, and no more of them with ten times the rows."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import httpx
import pytest
import redis as redis_py
from fastapi import FastAPI

from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.runtime import Runtime
from tests.support import console_rows, factories
from tests.support.console import Browser, browser_of, operator_subject
from tests.support.console_budget import (
    MOST_COMMANDS,
    commands,
    is_operators,
    load,
    operator_reads,
    pages,
    variants,
)
from tests.support.factories import Clock

#: Rows of each kind: three full pages; and ten times as many.
ROWS = 60
MANY = 10 * ROWS
#: The preview of an act on all that match reads each item that the act would change, up to a bound of its own.
UNLIMITED = "/bulk/preview"
#: Reads of operators in the API that grow, and their bounds.
GROWING = {
    "/admin/v1/audit": "it scans up to KEYS_LIMIT keys",
    "/admin/v1/generations/{generation_id}": "100 deliveries",
    "/admin/v1/tenants/{tenant_id}/keys": "two commands for 200 keys",
}
#: The path of no page, and pages that lead elsewhere.
STATUSES = {"/console/{path:path}": 404, "/console": 303, "/console/tenant/generations/{generation_id}/video": 307}

_VALUE = re.compile("=[^&]*")


@pytest.fixture
async def browsers(app: FastAPI, tenant: Tenant) -> AsyncIterator[dict[bool, Browser]]:
    """Return the browser of an operator (True), and that of an API key."""
    key = (await app.state.runtime.tenants.api_keys.create(tenant.id)).key
    async with (
        browser_of(app, await operator_subject(app, Role.ADMIN)) as operator,
        browser_of(app, Subject(ActorKind.API_KEY, key.id)) as customer,
    ):
        yield {True: operator, False: customer}


async def test_pages_run_few_commands_however_many_rows(
    app: FastAPI, tenant: Tenant, clock: Clock, browsers: dict[bool, Browser]
) -> None:
    runtime: Runtime = app.state.runtime
    url = str(runtime.settings.redis_url)
    values = await _values(runtime, tenant, ROWS)
    few = await _measured(app, browsers, url, values)
    few_of_api = await _measured_reads(app, url, values)
    assert {name: count for name, count in few.items() if count > MOST_COMMANDS and UNLIMITED not in name} == {}
    clock.advance(timedelta(seconds=10))  # the new rows are the newest ones, on the same day
    values = await _values(runtime, tenant, MANY)
    many = await _measured(app, browsers, url, values, few)
    grown = {name: (few.get(name), count) for name, count in many.items() if count > few.get(name, MOST_COMMANDS)}
    assert {name: counts for name, counts in grown.items() if UNLIMITED not in name} == {}
    many_of_api = await _measured_reads(app, url, values)
    grown = {name: (few_of_api[name], count) for name, count in many_of_api.items() if count > few_of_api[name] + 1}
    assert {name: counts for name, counts in grown.items() if name not in GROWING} == {}


async def _values(runtime: Runtime, tenant: Tenant, rows: int) -> dict[str, str]:
    """Add rows, and return the parameters and filters that select them."""
    added = await console_rows.add(runtime, str(runtime.settings.redis_url), tenant, rows=rows)
    return added.values(tenant, runtime.clock())


async def _measured_reads(app: FastAPI, url: str, values: Mapping[str, str]) -> dict[str, int]:
    """Return the commands of each read of operators in the API, of 20 rows where it is a list."""
    found: dict[str, int] = {}
    headers = {"authorization": f"Bearer {factories.ADMIN_TOKEN}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://gateway.test", headers=headers
    ) as client:
        with redis_py.Redis.from_url(url) as redis:
            for route, path in operator_reads(app, values):
                before = commands(redis)
                answer = await client.get(path)
                assert answer.status_code < 500, path
                found[route] = commands(redis) - before - 1
    return found


async def _measured(
    app: FastAPI,
    browsers: dict[bool, Browser],
    url: str,
    values: Mapping[str, str],
    expected: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Return the commands of each page, and of each page with each filter. What is unexpected is loaded again.

    Now and then a load also refreshes what the process caches.
    """
    found: dict[str, int] = {}
    wrong: dict[str, int] = {}
    with redis_py.Redis.from_url(url) as client:
        for route, path in pages(app, values):
            browser = browsers[is_operators(route)]
            first = await load(browser, client, path)
            if first.status != STATUSES.get(route.path, 200):
                wrong[path] = first.status
            for number, each in enumerate((path, *variants(path, first.text, values))):
                name = f"{route.path} {number} {'&'.join(_VALUE.sub('', each).split('?')[1:])}"
                count = (await load(browser, client, each)).commands
                if count > MOST_COMMANDS or (expected is not None and count > expected.get(name, MOST_COMMANDS)):
                    count = min(count, (await load(browser, client, each)).commands)
                found[name] = count
    assert wrong == {}, "these pages show nothing: give them a query or a parameter"
    return found
