"""No command of a read route takes long, however large the history of a tenant is.

Redis serves one command after the other: a slow one stops every tenant. ``ROUTES`` has a row for each GET of the API,
and ``OPERATIONS`` one for each read of the workers. Both run against one data set; Redis' slow log has the times.
"""

import re
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import pytest
import redis as redis_py
from fastapi import FastAPI

from service.api.openapi.export import document
from service.app import create_app
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.domain.actor import ActorKind
from service.domain.bulk import BulkKind, Selection
from service.domain.bulk_request import BULK_PREVIEW
from service.domain.operator import Role
from service.domain.webhook import DeliveryFilter, DeliveryStatus
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store.generations.indexing import Position
from service.store.redis.scripts import FILES, Script
from service.store.webhooks.deliveries import Caps
from tests.conftest import client_of
from tests.integration.api.fal.conftest import HEAD, as_fal
from tests.support import factories, large_history, tokens
from tests.support.large_history import History

#: The most time of one command inside Redis ...
MOST_MICROSECONDS: Final = 10_000
#: ... in the fastest of so many tries: a busy machine makes single commands slow, and only work makes all of them slow.
TRIES: Final = 5

#: Times in ms and ids of reports: they differ between two tries of the same read.
_CHANGING: Final = re.compile(r"\b1\d{12}\b|\busr_\w+")

Caller = Literal["tenant", "fal", "operator", "public"]


@dataclass(frozen=True, slots=True)
class Row:
    """The requests that show the work of a route, with parameters by name as in ``_values``."""

    caller: Caller
    queries: tuple[str, ...] = ("",)
    status: int | None = None
    """None: a success."""
    headers: tuple[tuple[str, str], ...] = ()
    queued: bool = False
    """Whether a generation in a long queue is read too."""


_FAL_PATH: Final = "/fal/queue/{endpoint}/requests/{request_id}"
_PROXY: Final = (("x-fal-target-url", "https://queue.fal.run/bytedance/seedance-2.0/requests/{request_id}/status"),)

#: Every GET of the API. A new route needs a row, with queries that make it read as much as it can.
ROUTES: Final[dict[str, Row]] = {
    "/.well-known/webhook-keys/{tenant_id}/{endpoint_id}": Row("public"),
    "/admin/v1/audit": Row("operator"),
    "/admin/v1/bulk": Row("operator", ("limit=100",)),
    "/admin/v1/bulk/{bulk_job_id}": Row("operator"),
    "/admin/v1/deliveries": Row(
        "operator", ("limit=100&status=dead", "limit=100&status=dead&event=webhook.test", "tenant_id={tenant_id}")
    ),
    "/admin/v1/deliveries/{delivery_id}": Row("operator"),
    "/admin/v1/dispatch": Row("operator"),
    "/admin/v1/failing-receivers": Row("operator", ("minutes=0&limit=200",)),
    "/admin/v1/generations": Row(
        "operator",
        (
            "limit=100",
            "status=in_progress",
            "error_code=internal",
            "fal_request_id=unknown",
            "model=unknown",  # matches nothing: the most entries are read
            "tenant_id={tenant_id}&metadata[order]=7&metadata[other]=1",
            "tenant_id={tenant_id}&end_user={pseudonym}",
        ),
    ),
    "/admin/v1/generations/{generation_id}": Row("operator"),
    "/admin/v1/paid-and-lost": Row("operator", ("limit=1000",)),
    "/admin/v1/me": Row("operator"),
    "/admin/v1/operators": Row("operator", ("limit=1000",)),
    "/admin/v1/operators/{operator_id}": Row("operator"),
    "/admin/v1/operators/{operator_id}/tokens": Row("operator"),
    "/admin/v1/trail": Row("operator", ("limit=500", "actor=none", "tenant_id={tenant_id}")),
    "/admin/v1/tenants": Row("operator", ("limit=1000",)),
    "/admin/v1/tenants/{tenant_id}": Row("operator"),
    "/admin/v1/tenants/{tenant_id}/end-users": Row(
        "operator", ("limit=100", "limit=100&prefix=9", "limit=100&blocked=true", "limit=100&blocked=true&prefix=none")
    ),
    "/admin/v1/tenants/{tenant_id}/end-users/{pseudonym}": Row("operator"),
    "/admin/v1/tenants/{tenant_id}/end-users/{end_user_id}/erasure": Row("operator"),
    "/admin/v1/tenants/{tenant_id}/issuers": Row("operator"),
    "/admin/v1/tenants/{tenant_id}/issuers/{issuer_id}": Row("operator"),
    "/admin/v1/tenants/{tenant_id}/keys": Row("operator"),
    "/admin/v1/tenants/{tenant_id}/webhook-endpoints": Row("operator"),
    "/admin/v1/unconfirmed": Row("operator", ("limit=1000",)),
    "/fal/.well-known/{tenant_id}/jwks.json": Row("public"),
    "/fal/proxy": Row("fal", headers=_PROXY),
    _FAL_PATH: Row("fal"),
    f"{_FAL_PATH}/response": Row("fal"),
    f"{_FAL_PATH}/status": Row("fal", ("", "logs=1"), queued=True),
    f"{_FAL_PATH}/status/stream": Row("fal"),
    "/healthz": Row("public"),
    "/openai/v1/videos": Row("tenant", ("limit=100", "limit=100&order=asc", "after={generation_id}")),
    "/openai/v1/videos/{video_id}": Row("tenant", queued=True),
    "/openai/v1/videos/{video_id}/content": Row("tenant", status=307),
    "/openrouter/api/v1/videos/models": Row("tenant"),
    "/openrouter/api/v1/videos/{job_id}": Row("tenant", queued=True),
    "/openrouter/api/v1/videos/{job_id}/content": Row("tenant", ("", "index=0"), status=307),
    "/readyz": Row("public"),
    "/readyz/process": Row("public"),
    "/admin/v1/budgets": Row("operator"),
    "/admin/v1/usage": Row(
        "operator",
        (
            *("limit=1000", "by=day", "by=model", "by=code", "start={yesterday}&end={today}"),
            "by=end_user&tenant_id={tenant_id}&limit=100",
            "by=end_user&tenant_id={tenant_id}&limit=100&start={long_ago}&end={today}",
        ),
    ),
    "/v1/deliveries": Row(
        "tenant",
        (
            "limit=100",
            "limit=100&status=dead",
            "limit=1&status=pending",  # matches nothing: the most entries are read
            "generation_id={generation_id}",
            "endpoint_id={endpoint_id}",
            "created_before=2026-01-01T00:00:00Z",
        ),
    ),
    "/v1/deliveries/{delivery_id}": Row("tenant"),
    "/v1/end-users": Row("tenant", ("limit=100", "limit=100&prefix=9", "limit=100&blocked=true")),
    "/v1/end-users/{end_user_id}": Row("tenant"),
    "/v1/end-users/{end_user_id}/erasure": Row("tenant"),
    "/v1/generations": Row(
        "tenant",
        (
            "limit=100",
            "limit=1&status=failed",  # matches nothing: the most entries are read
            "limit=100&end_user_id={end_user_id}",
            "limit=1&metadata[order]=7&status=failed",
            "error_code=internal",
            "fal_request_id=unknown",
            "created_after=2026-01-01T00:00:00Z",
        ),
    ),
    "/v1/generations/{generation_id}": Row("tenant", ("", "wait=1"), queued=True),
    "/v1/generations/{generation_id}/events": Row("tenant"),
    "/v1/generations/{generation_id}/video": Row("tenant", status=307),
    "/v1/me": Row("tenant"),
    "/v1/models": Row("tenant"),
    "/v1/models/{model_id}": Row("tenant"),
    "/v1/trail": Row("tenant", ("limit=100",)),
    "/v1/usage": Row(
        "tenant",
        (
            "",
            "by=end_user",
            "by=model",
            "by=code",
            "start={long_ago}&end={today}",
            "start={yesterday}",
            "start={today}&end={today}",
        ),
    ),
    "/v1/usage/end-users": Row(
        "tenant", ("limit=1000", "limit=1000&cursor=MTAwMDAw", "period={yesterday}&limit=1000&cursor=NTAwMDA")
    ),
    "/v1/usage-reports/{report_id}": Row("tenant"),
    "/v1/usage-reports/{report_id}/end-users": Row("tenant", ("limit=1000", "limit=1000&cursor=NTAwMDA")),
    "/v1/webhook-endpoints": Row("tenant"),
    "/v1/webhook-endpoints/{endpoint_id}": Row("tenant"),
    "/v1/webhook-endpoints/{endpoint_id}/secret": Row("tenant"),
    "/vercel/config": Row("tenant"),
}

Operation = Callable[[Runtime, History], Awaitable[Any]]
_LEASE: Final = timedelta(minutes=1)


async def _report(runtime: Runtime, history: History) -> None:
    yesterday = runtime.clock().date() - timedelta(days=1)
    reports = runtime.stores.usage_reports
    await reports.begin(history.tenant.id, yesterday - timedelta(days=1), yesterday, now=runtime.clock())
    while (report := await reports.load(history.tenant.id)) is not None and report.state == "running":
        await reports.extend(report, now=runtime.clock())


async def _metrics(runtime: Runtime, _: History) -> None:
    runtime.operations.account_metrics.forget()
    assert b"gateway_redis_up 1" in await runtime.operations.account_metrics.text()


async def _bulk_job(runtime: Runtime, history: History) -> None:
    """Preview, collect, and end without an act: nothing in the history can be replayed twice."""
    jobs = runtime.operations.bulk_jobs
    for kind, conditions in (("replay", {"status": "dead"}), ("cancel", {"model": "none"}), ("dismiss", {})):
        wanted = {"tenant_id": history.tenant.id, **conditions}
        await jobs.preview(BULK_PREVIEW.validate_python({"kind": kind, "filter": wanted}))
    nothing = DeliveryFilter(tenant_id=history.tenant.id, status=DeliveryStatus.DEAD, event="none")
    job = await _begun_job(runtime, Selection(filter=nothing))
    while await jobs.continue_step(job):
        pass


async def _begun_job(runtime: Runtime, wanted: Selection) -> str:
    now, actor = runtime.clock(), factories.actor(kind=ActorKind.LOCAL)
    begun = await runtime.stores.bulk_jobs.begin(
        BulkKind.REPLAY, wanted, previewed_at=now, reason="test", actor=actor, now=now
    )
    return begun.job_id


async def _audit(runtime: Runtime, _: History) -> None:
    await runtime.operations.audit_jobs.start()
    await runtime.operations.audit_jobs.continue_job()


#: Every read that a worker or an operator's command makes, and every step of a job that one process makes for a tenant.
OPERATIONS: Final[dict[str, Operation]] = {
    "usage report": _report,
    "claim dispatch": lambda r, _: r.stores.queue.claim(now=r.clock(), most=100, lease=_LEASE, slots=1000),
    "claim polls": lambda r, _: r.stores.due.claim_polls(now=r.clock(), most=100, lease=_LEASE, per_second=1000),
    "claim sweep": lambda r, _: r.stores.due.claim(WorkQueue.SWEEP, now=r.clock(), most=50, lease=_LEASE),
    "claim deliveries": lambda r, _: r.stores.deliveries.claim(now=r.clock(), most=1000, lease=_LEASE, caps=Caps()),
    "depths": lambda r, _: r.stores.due.depths(),
    "queue statistics": lambda r, _: r.stores.queue.stats(),
    "unfinished": lambda r, _: r.stores.queue.unfinished(),
    "submits in doubt": lambda r, _: r.stores.submissions.in_doubt(),
    "given up": lambda r, _: r.stores.submissions.given_up(),
    "trim request ids": lambda r, _: r.stores.submissions.trim(r.clock() - timedelta(days=10)),
    "audit": _audit,
    "bulk job": _bulk_job,
    "search index, a step": lambda r, h: r.stores.indexing.index_some(Position(h.tenant.id), most=200),
    "erasure, a part": lambda r, h: r.stores.erasures.generations(h.tenant.id, h.pseudonym, most=100),
    "metrics": _metrics,
    "doctor": lambda r, _: r.operations.doctor.run(),
    "deletion of a tenant": lambda r, h: r.stores.tenants.delete(
        h.tenant, now=factories.NOW
    ),  # refused: its work has not ended
}


def test_every_read_route_has_a_row() -> None:
    routes = {path for path, item in document()["paths"].items() if "get" in item}
    assert set(ROUTES) == routes


class SlowLog:
    """Redis' log of slow commands: it has those above the limit, which are few."""

    def __init__(self, url: str) -> None:
        self._client = redis_py.Redis.from_url(url)
        self._client.config_set("slowlog-log-slower-than", MOST_MICROSECONDS // 4)
        self._client.config_set("slowlog-max-len", 1000)
        self._names = {Script(name).sha: name for name in FILES}

    def reset(self) -> None:
        self._client.execute_command("SLOWLOG", "RESET")

    def slowest(self) -> dict[str, int]:
        """Return the most microseconds of each command: with its arguments, since the pages of a read differ."""
        found: defaultdict[str, int] = defaultdict(int)
        for entry in self._client.slowlog_get(1000):
            name = self._name(entry["command"])
            found[name] = max(found[name], entry["duration"])
        return found

    def _name(self, command: bytes) -> str:
        words = command.decode(errors="replace").split(" ")
        if words[0] in ("EVALSHA", "EVAL"):
            words[:2] = ["script", self._names.get(words[1], words[1][:40])]
        return _CHANGING.sub("...", " ".join(words))[:300]


async def too_slow(log: SlowLog, call: Callable[[], Awaitable[Any]]) -> dict[str, int]:
    """Return the commands of a call that exceed the limit in every try."""
    slow: dict[str, int] = {}
    for number in range(TRIES):
        log.reset()
        await call()
        now = {name: spent for name, spent in log.slowest().items() if spent > MOST_MICROSECONDS}
        slow = now if number == 0 else {name: min(slow[name], now[name]) for name in slow.keys() & now.keys()}
        if not slow:
            break
    return slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path, options={"appendonly": "no"})
    try:
        yield server.start()
    finally:
        server.end()


@pytest.fixture
async def app(server: EmbeddedRedis) -> AsyncIterator[FastAPI]:
    made = create_app(factories.settings(server.url, public_url="https://gateway.example"))
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def history(app: FastAPI, server: EmbeddedRedis) -> History:
    began = time.monotonic()
    made = await large_history.fill(app.state.runtime, server.url)
    sys.stdout.write(f"{made.rows} rows in {time.monotonic() - began:.1f} s\n")
    return made


@pytest.mark.slow
async def test_no_command_of_a_read_takes_long(app: FastAPI, server: EmbeddedRedis, history: History) -> None:
    runtime: Runtime = app.state.runtime
    log, found = SlowLog(server.url), dict[str, dict[str, int]]()
    for name, operation in OPERATIONS.items():
        found[name] = await too_slow(log, partial(operation, runtime, history))
    report = await runtime.stores.usage_reports.load(history.tenant.id)
    assert report is not None
    job = await _begun_job(runtime, Selection(filter=DeliveryFilter(tenant_id=history.tenant.id)))
    issuer = tokens.trusted_issuer(history.tenant.id)
    await runtime.stores.trusted_issuers.insert(issuer)
    operator = await runtime.operators.service.create("Ada", Role.VIEWER)
    async with AsyncExitStack() as stack:
        clients = await _clients(app, history, stack)
        for path, row in ROUTES.items():
            values = _values(history, report.id, job, issuer.id, runtime.clock()) | {"operator_id": operator.id}
            for target, headers in _requests(path, row, values):
                found[target] = await too_slow(log, partial(_read, runtime, clients[row.caller], target, headers, row))
    slow = {name: commands for name, commands in found.items() if commands}
    assert slow == {}, "microseconds inside Redis, in the fastest of all tries"


async def _read(runtime: Runtime, client: httpx.AsyncClient, target: str, headers: dict[str, str], row: Row) -> None:
    runtime.generations.queue_estimator.forget()
    answer = await client.get(target, headers=headers)
    answered = answer.is_success if row.status is None else answer.status_code == row.status
    assert answered, f"{target}: {answer.status_code} {answer.text[:300]}"


async def _clients(app: FastAPI, history: History, stack: AsyncExitStack) -> dict[Caller, httpx.AsyncClient]:
    tenants = app.state.runtime.tenants
    keys_text = [(await tenants.api_keys.create(history.tenant.id)).text for _ in range(2)]
    made: dict[Caller, httpx.AsyncClient] = {
        "tenant": client_of(app, keys_text[0]),
        "fal": as_fal(client_of(app, keys_text[1])),
        "operator": client_of(app, factories.ADMIN_TOKEN),
        "public": client_of(app),
    }
    return {name: await stack.enter_async_context(client) for name, client in made.items()}


def _values(history: History, report_id: str, bulk_job_id: str, issuer_id: str, now: datetime) -> dict[str, str]:
    """Values of the parameters, by name."""
    today = now.date()
    return {
        "tenant_id": history.tenant.id,
        "bulk_job_id": bulk_job_id,
        "endpoint_id": history.endpoint_id,
        "endpoint": HEAD,
        "generation_id": history.ended.id,
        "request_id": history.ended.id,
        "video_id": history.ended.id,
        "job_id": history.ended.id,
        "model_id": "bytedance/seedance-2.0/image-to-video",
        "queued": history.queued.id,
        "delivery_id": history.delivery.id,
        "end_user_id": large_history.END_USER,
        "pseudonym": history.pseudonym,
        "report_id": report_id,
        "issuer_id": issuer_id,
        "today": today.isoformat(),
        "yesterday": (today - timedelta(days=1)).isoformat(),
        "long_ago": (today - timedelta(days=91)).isoformat(),
    }


def _requests(path: str, row: Row, values: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    headers = {name: value.format(**values) for name, value in row.headers}
    for query in row.queries:
        yield f"{path}?{query}".removesuffix("?").format(**values), headers
    if row.queued:
        queued = dict.fromkeys(("generation_id", "request_id", "video_id", "job_id"), values["queued"])
        yield path.format(**{**values, **queued}), headers
