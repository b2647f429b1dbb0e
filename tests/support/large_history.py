"""A tenant with a large history: indexes of many rows, written by scripts in seconds, and records of the newest ids.

``ROWS`` is the number of rows of all indexes together: a million, or ``GATEWAY_TEST_HISTORY_ROWS``.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import redis as redis_py

from service.domain import ids
from service.domain.budgets import day
from service.domain.end_user import pseudonym
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.domain.webhook import Delivery, EventType
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store import keys
from service.store.generations import records, terms
from service.store.webhooks import deliveries
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.support import factories

ROWS: Final = int(os.environ.get("GATEWAY_TEST_HISTORY_ROWS", "1000000"))
END_USER: Final = "anna"
#: The pair of metadata that many generations have.
METADATA: Final = ("order", "7")
#: Records of the newest entries of the indexes: one list call reads 500.
_RECORDS: Final = 600
_TENANTS: Final = 2_000
#: Rows that one script writes.
_PART: Final = 3_000

#: KEYS: a sorted set. ARGV: first number, rows, format of a member, score, step of the score.
_SORTED_SET: Final = """
local words = {}
for n = tonumber(ARGV[1]), ARGV[1] + ARGV[2] - 1 do
  words[#words + 1] = string.format("%.0f", ARGV[4] + ARGV[5] * n)
  words[#words + 1] = string.format(ARGV[3], n)
end
redis.call("ZADD", KEYS[1], unpack(words))
"""
#: KEYS: a set. ARGV: first number, rows, format of a member.
_SET: Final = """
local words = {}
for n = tonumber(ARGV[1]), ARGV[1] + ARGV[2] - 1 do
  words[#words + 1] = string.format(ARGV[3], n)
end
redis.call("SADD", KEYS[1], unpack(words))
"""
#: KEYS: the ledger. ARGV: first number, generations, tenant, end user.
_LEDGER: Final = """
for n = tonumber(ARGV[1]), ARGV[1] + ARGV[2] - 1 do
  local id = string.format("gen_%026d", n)
  redis.call("XADD", KEYS[1], "*", "k", "hold", "g", id, "t", ARGV[3], "u", ARGV[4], "h", 5, "s", 0)
  redis.call("XADD", KEYS[1], "*", "k", "settle", "g", id, "t", "", "u", "", "h", -5, "s", 5)
end
"""
#: KEYS: endpoint queues of the tenant. ARGV: first number, rows, tenant, prefix of queues, now. One delivery each.
_ENDPOINT_QUEUES: Final = """
for n = tonumber(ARGV[1]), ARGV[1] + ARGV[2] - 1 do
  local name = string.format("%s:%032x", ARGV[3], n)
  redis.call("ZADD", ARGV[4] .. name, ARGV[5], string.format("msg_%026d", n))
  redis.call("ZADD", KEYS[1], ARGV[5], name)
end
"""
_GENERATIONS: Final = "gen_%026d"
_DELIVERIES: Final = "msg_%026d"


@dataclass(frozen=True, slots=True)
class History:
    """The tenant with the large history, and ids of its newest records."""

    tenant: Tenant
    ended: Generation
    """With a video and a delivery."""
    queued: Generation
    delivery: Delivery
    endpoint_id: str
    pseudonym: str
    rows: int


async def fill(runtime: Runtime, url: str, *, rows: int = ROWS, work: bool = True, tenants: int = _TENANTS) -> History:
    """Write the history of a new tenant. ``work``: also queues and due sets, which workers would claim."""
    tenant = await runtime.tenants.service.create("large")
    spec = EndpointSpec("http://127.0.0.1:8080/hook", tuple(EventType), "", None, ed25519=True, enabled=True)
    endpoint = await runtime.webhooks.endpoints.create(tenant, spec)
    request = factories.create_request(end_user_id=END_USER)
    queued, ended = [(await runtime.generations.creator.create(tenant, request)).generation for _ in range(2)]
    ended = await _ended(runtime, ended)
    delivery = await runtime.stores.deliveries.load(ended.deliveries[0])
    assert delivery is not None
    who = pseudonym(tenant, END_USER)
    with redis_py.Redis.from_url(url, socket_timeout=120) as client:
        fsync = client.config_get("appendfsync")["appendfsync"]
        client.config_set("appendfsync", "no")
        indexes = [*_history(runtime.clock(), tenant.id, who)]
        if work:
            indexes += _work(runtime.clock(), tenant.id, endpoint.id)
            _tenants(client, tenant, tenants)
        written = sum(_run(client, rows, *index) for index in indexes)
        _records(client, rows, ended, delivery)
        client.config_set("appendfsync", fsync)
    await runtime.stores.indexing.note(None)
    await runtime.stores.erasures.begin(
        tenant.id, who, now=runtime.clock(), continued_at=runtime.clock() + timedelta(days=1)
    )
    return History(tenant, ended, queued, delivery, endpoint.id, who, written)


async def _ended(runtime: Runtime, g: Generation) -> Generation:
    now = runtime.clock()
    for move in (
        lambda g: g.submitting(now),
        lambda g: g.submitted(factories.request_id()),
        lambda g: g.succeeded(factories.output(), 1_512_000, now),
    ):
        moved = await runtime.transitions.apply(g.id, move)
        assert moved is not None
        g = moved
    return g


Index = tuple[str, str, float, tuple[str | bytes | int, ...]]
"""The script that writes an index, its key, its share of all rows, and the last arguments of the script."""


def _history(now: datetime, tenant_id: str, who: str) -> Iterator[Index]:
    """What only grows: lists, usage, the ledger."""
    for key, share in (
        (keys.generations_of_tenant(tenant_id), 0.14),
        (keys.generations_of_end_user(tenant_id, who), 0.08),
        (keys.GENERATIONS, 0.04),
    ):
        yield _SORTED_SET, key, share, (_GENERATIONS, 0, 0)
    for key, term in (
        (keys.GENERATION_TERMS, terms.IN_FLIGHT),
        (keys.GENERATION_TERMS, terms.of_code("internal")),
        (keys.generation_terms_of_tenant(tenant_id), terms.of_metadata(*METADATA)),
    ):
        yield _SORTED_SET, key, 0.02, (term.replace(b"%", b"%%") + _GENERATIONS.encode(), 0, 0)
    for key in (keys.deliveries_of_tenant(tenant_id), keys.dead_letters_of_tenant(tenant_id), keys.DEAD_LETTERS):
        yield _SORTED_SET, key, 0.08, (_DELIVERIES, 0, 0)
    for key in (keys.end_users(tenant_id), keys.end_user_names(tenant_id)):
        yield _SORTED_SET, key, 0.06, ("%032x", 0, 0)
    yield _SORTED_SET, keys.blocked_end_users(tenant_id), 0.02, ("eu_%032x", 0, 0)
    for period, share in ((day(now)[:7], 0.12), (day(now - timedelta(days=1)), 0.08), (day(now), 0.06)):
        yield _SORTED_SET, keys.usage_of_end_users(tenant_id, period), share, ("eu_%032x", 1_000_000, 1)
    yield _LEDGER, keys.LEDGER, 0.02, (tenant_id, who)


def _work(now: datetime, tenant_id: str, endpoint_id: str) -> Iterator[Index]:
    """Queues, due sets and sets of work in flight."""
    due, later = ids.milliseconds(now - timedelta(minutes=1)), ids.milliseconds(now + timedelta(days=1))
    for key in (keys.GIVEN_UP, keys.UNCONFIRMED, keys.PAID_AND_LOST):
        yield _SORTED_SET, key, 0.02, (_GENERATIONS, due, 0)
    yield _SORTED_SET, keys.queued_of_tenant(tenant_id), 0.05, (_GENERATIONS, due, 1)
    for work_queue, share in ((WorkQueue.DISPATCH, 0.05), (WorkQueue.POLL, 0.03), (WorkQueue.SWEEP, 0.05)):
        yield _SORTED_SET, keys.due(work_queue), share, (_GENERATIONS, later, 0)
    yield _SORTED_SET, keys.FAL_REQUEST_IDS, 0.05, ("%036x", ids.milliseconds(now - timedelta(days=30)), 0)
    yield _SORTED_SET, keys.endpoint_queue(f"{tenant_id}:{endpoint_id}"), 0.02, (_DELIVERIES, later, 0)
    yield _SET, keys.pending_deliveries_of_tenant(tenant_id), 0.02, (_DELIVERIES,)
    yield _SET, keys.slotless_of_tenant(tenant_id), 0.02, (_GENERATIONS,)
    queues = keys.endpoint_queues_of_tenant(tenant_id, proven=False)
    yield _ENDPOINT_QUEUES, queues, 0.005, (tenant_id, keys.endpoint_queue(""), due)
    yield _SORTED_SET, keys.due_of_deliveries(proven=False), 1 / ROWS, (tenant_id, due, 0)


def _run(
    client: redis_py.Redis, most: int, script: str, key: str, share: float, arguments: tuple[str | bytes | int, ...]
) -> int:
    rows = round(most * share)
    registered = client.register_script(script)
    for first in range(1, rows + 1, _PART):
        registered(keys=[key], args=[first, min(_PART, rows + 1 - first), *arguments])
    return rows


def _records(client: redis_py.Redis, rows: int, ended: Generation, delivery: Delivery) -> None:
    """Write a record for each of the newest entries: copies of two records with other ids."""
    generation, body = records.dump(ended), deliveries.dump(delivery)
    with client.pipeline(transaction=False) as pipeline:
        for share, pattern, make, record, own in (
            (0.14, _GENERATIONS, keys.generation, generation, ended.id),
            (0.08, _DELIVERIES, keys.delivery, body, delivery.id),
        ):
            last = round(rows * share)
            for number in range(max(1, last - _RECORDS), last + 1):
                name = pattern % number
                mapping: dict[Any, Any] = {"v": 9, "s": "succeeded", "d": record.replace(own.encode(), name.encode())}
                pipeline.hset(make(name), mapping=mapping)
        pipeline.execute()


def _tenants(client: redis_py.Redis, tenant: Tenant, count: int) -> None:
    """Write other tenants, each with a queue, so that all have gauges of their own."""
    record = client.get(keys.tenant(tenant.id))
    assert isinstance(record, bytes)
    with client.pipeline(transaction=False) as pipeline:
        for number in range(1, count + 1):
            name = f"ten_{number:026d}"
            pipeline.set(keys.tenant(name), record.replace(tenant.id.encode(), name.encode()))
            pipeline.zadd(keys.TENANTS, {name: 0})
            pipeline.zadd(keys.ACTIVE_TENANTS, {name: number})
            pipeline.zadd(keys.queued_of_tenant(name), {f"gen_{number:026d}": number})
            pipeline.zadd(keys.IDLE_TENANTS, {f"ten_{number + count:026d}": number})
        pipeline.execute()
