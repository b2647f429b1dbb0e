"""The budget of each page of the console: time, and commands that Redis runs, those within scripts included.

The pages come from the routes, the filters of each list from its form: a new page or filter is measured without a
change here. A page that needs a query to have rows has it in ``QUERIES``; a text field has its value in ``FIELDS``.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Final
from urllib.parse import urlencode

import redis as redis_py
from fastapi import FastAPI
from fastapi.routing import APIRoute

from service.console.routes import SessionRoute
from service.domain.operator import Role
from tests.support.console import Browser, session_routes

#: The most commands of one load of a page, session included, and the most milliseconds of its p95.
MOST_COMMANDS: Final = 30
MOST_MS: Final = 100
#: Pages that have nothing to show without a query.
QUERIES: Final = {
    "/console/oncall/bulk/preview": "kind=cancel&status=queued&tenant_id={tenant_id}",
    "/console/tenant/bulk/preview": "kind=replay&status=dead",
    "/console/money/ledger": "id={generation_id}",
    "/console/tenant/end-user": "id={end_user_id}",
    "/console/tenant/end-user/erase": "id={end_user_id}",
    "/console/tenant/erasure": "id={erased}",
}
#: Values of text fields; the others are in the values of the caller.
FIELDS: Final = {
    "model": "bytedance/seedance-2.0/image-to-video",
    "metadata": "order=7",
    "fal_request_id": "00000000-0000-0000-0000-000000000000",
    "created_after": "2020-01-31T09:30:00Z",
    "created_before": "2999-01-31T09:30:00Z",
    "actor": "Ada",
    "action": "pause_tenant",
    "target": "x",
    "prefix": "user-",
    "start": "{today}",
    "end": "{today}",
    "month": "{month}",
    "end_user_id": "{end_user_id}",
    "id": "{id}",
}
#: Pages of a generation in another state, and of jobs of a tenant: the parameter, and which value it has.
_OTHER: Final = {
    "/console/oncall/unconfirmed/{generation_id}": ("generation_id", "unconfirmed"),
    "/console/oncall/paid-and-lost/{generation_id}/revive": ("generation_id", "lost"),
    "/console/tenant/bulk/{bulk_job_id}": ("bulk_job_id", "own_bulk_job_id"),
    "/console/tenant/bulk/{bulk_job_id}/stop": ("bulk_job_id", "own_bulk_job_id"),
}
_PARAMETER: Final = re.compile(r"\{(\w+)(?::path)?\}")
_FORM: Final = re.compile(r'<form method="get" action="([^"]*)" class="filters".*?</form>', re.DOTALL)
_INPUT: Final = re.compile(r'<input [^>]*name="(\w+)"')
_SELECT: Final = re.compile(r'<select [^>]*name="(\w+)">(.*?)</select>', re.DOTALL)
_OPTION: Final = re.compile(r'<option value="([^"]+)"')
_NEXT: Final = re.compile(r'rel="next" href="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a page."""

    status: int
    text: str
    ms: float
    commands: int


def pages(app: FastAPI, values: Mapping[str, str]) -> Iterator[tuple[SessionRoute, str]]:
    """Yield each page with a path that has something to show."""
    for route in session_routes(app):
        if route.method == "GET":
            name, value = _OTHER.get(route.path, ("generation_id", "generation_id"))
            own = {**values, name: values[value]}
            path = route.path
            for name in _PARAMETER.findall(path):
                path = re.sub(rf"{{{name}(:path)?}}", own.get(name, "x"), path)
            query = QUERIES.get(route.path, "").format_map(values)
            yield route, f"{path}?{query}" if query else path


def is_operators(route: SessionRoute) -> bool:
    return route.needs is None or isinstance(route.needs, Role)


def variants(path: str, text: str, values: Mapping[str, str]) -> Iterator[str]:
    """Yield the page with each of its filters, alone and with a tenant, and the next page."""
    form = _FORM.search(text)
    if form is not None and form[1] == path.partition("?")[0]:
        fields = {name: [_value(name, values)] for name in _INPUT.findall(form[0])}
        for name, options in _SELECT.findall(form[0]):
            values_of = _OPTION.findall(options)
            fields[name] = [*values_of[:3], *values_of[3:][-2:]]  # of a long list, the first and the last ones
        for name, choices in fields.items():
            for value in choices:
                yield f"{path}?{urlencode({name: value})}"
                if "tenant_id" in fields and name != "tenant_id":
                    yield f"{path}?{urlencode({name: value, 'tenant_id': values['tenant_id']})}"
    yield from (unescape(target) for target in _NEXT.findall(text))


def _value(name: str, values: Mapping[str, str]) -> str:
    return FIELDS.get(name, f"{{{name}}}").format_map({"id": "x", "month": values["today"][:7], **values})


async def load(browser: Browser, client: redis_py.Redis, path: str) -> Load:
    """Load a page without its redirects."""
    before = commands(client)
    began = time.perf_counter()
    answer = await browser.get(path, follow_redirects=False)
    ms = (time.perf_counter() - began) * 1000
    return Load(answer.status_code, answer.text, ms, commands(client) - before - 1)  # the count itself


def commands(client: redis_py.Redis) -> int:
    """Return how many commands Redis has run, those of scripts included."""
    stats = client.info("commandstats")
    assert isinstance(stats, dict)
    return sum(int(each["calls"]) for each in stats.values())


def operator_reads(app: FastAPI, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the path of each GET of operators, and it with parameters: 20 rows of a list."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path.startswith("/admin/v1/") and "GET" in (route.methods or ()):
            path = route.path
            for name in _PARAMETER.findall(path):
                path = re.sub(rf"{{{name}(:path)?}}", values.get(name, "x"), path)
            has_limit = any(each.name == "limit" for each in route.dependant.query_params)
            yield route.path, f"{path}?limit=20" if has_limit else path
