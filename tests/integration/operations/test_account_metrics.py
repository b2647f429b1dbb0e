"""Gauges that are read from Redis, and counters that begin at zero."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import redis as redis_py
from prometheus_client.parser import text_string_to_metric_families

from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.observability import metrics
from service.runtime import Runtime, open_runtime
from service.store.redis.client import Redis
from service.store.redis.memory import MemoryPolicy, measure
from service.store.state import state
from service.store.state.state import Server
from service.tasks import QUEUES
from service.usecases.operations import metric_series
from service.usecases.operations.account_metrics import AccountMetrics
from service.usecases.operations.account_metrics import _of_redis as of_redis
from tests.conftest import Scrape
from tests.support import factories
from tests.support.factories import Clock
from tests.support.redis_configuration import configured
from tests.support.redis_users import as_default

Found = dict[tuple[str, str], float]
"""Values by metric name and the value of the first label, "" without labels."""


async def read(runtime: Runtime) -> Found:
    """Read as another gateway does, without a cached text."""
    runtime.operations.account_metrics.forget()
    return parsed((await runtime.operations.account_metrics.text()).decode())


def parsed(text: str) -> Found:
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def queued(runtime: Runtime, tenant: Tenant, clock: Clock, *, age: float = 0, priority: int = 0) -> str:
    g = factories.generation(
        tenant_id=tenant.id, created_at=clock() - timedelta(seconds=age), priority=priority, estimated_cost=2_000_000
    )
    await runtime.stores.generations.create(g, factories.due(g.created_at))
    return g.id


async def test_tenant_gauges_show_work_and_money(runtime: Runtime, clock: Clock) -> None:
    tenant = await runtime.tenants.service.create("acme", Limits(monthly_budget=50_000_000))
    for age, priority in ((10, 9), (300, 0), (20, 0), (100, 5)):
        await queued(runtime, tenant, clock, age=age, priority=priority)

    found = await read(runtime)

    assert found["gateway_queued", tenant.id] == 4
    assert found["gateway_oldest_queued_seconds", tenant.id] == pytest.approx(300, abs=0.1), "over all priorities"
    assert found["gateway_held_micro_usd", tenant.id] == found["gateway_account_held_micro_usd", ""] == 8_000_000
    assert found["gateway_spent_micro_usd", tenant.id] == 0
    assert found["gateway_budget_micro_usd", tenant.id] == 50_000_000

    taken = await runtime.stores.queue.claim(now=clock(), most=3, lease=timedelta(minutes=1), slots=40)
    found = await read(runtime)

    assert len(taken.taken) == found["gateway_tenant_slots_used", tenant.id] == found["gateway_slots_used", ""] == 3
    assert found["gateway_queued", tenant.id] == 1
    assert found["gateway_oldest_queued_seconds", tenant.id] == pytest.approx(20, abs=0.1)


async def test_tenant_name_is_not_read_as_budget(runtime: Runtime, clock: Clock) -> None:
    tenant = await runtime.tenants.service.create('"monthly_budget":1', Limits(monthly_budget=7_000_000))
    without = await runtime.tenants.service.create('{"limits":{"monthly_budget":1}}')
    for each in (tenant, without):
        await queued(runtime, each, clock)

    found = await read(runtime)

    assert found["gateway_budget_micro_usd", tenant.id] == 7_000_000
    assert ("gateway_budget_micro_usd", without.id) not in found


@pytest.mark.parametrize("name", ["acme", 'a "quoted" \\ name', "line\nbreak", "日本 100 %"])
async def test_tenant_info_names_every_tenant(runtime: Runtime, name: str) -> None:
    tenant = await runtime.tenants.service.create(name)
    runtime.operations.account_metrics.forget()

    families = text_string_to_metric_families((await runtime.operations.account_metrics.text()).decode())

    (info,) = (family for family in families if family.name == "gateway_tenant_info")
    assert [(sample.labels, sample.value) for sample in info.samples] == [({"tenant": tenant.id, "name": name}, 1)]


async def test_idle_tenant_has_no_gauges(runtime: Runtime, clock: Clock) -> None:
    idle, gone = await runtime.tenants.service.create("idle"), await runtime.tenants.service.create("gone")
    name = await queued(runtime, gone, clock)
    assert ("gateway_queued", gone.id) in await read(runtime)

    await runtime.generations.canceller.cancel(gone, name)
    clock.advance(timedelta(days=31))
    found = await read(runtime)

    named = {label for metric, label in found if metric != "gateway_tenant_info"}
    assert not named & {idle.id, gone.id}, "nothing is queued, and the month is over"


@pytest.mark.parametrize("count", [state._PAGE - 1, state._PAGE, state._PAGE + 1])
async def test_tenants_at_page_edges_are_read(runtime: Runtime, redis: Redis, clock: Clock, count: int) -> None:
    names = [f"ten_{number:026d}" for number in range(count)]
    await redis.execute("ZADD", "{sg}:tenants", *(word for name in names for word in (0, name)))
    for name in (names[0], names[-1]):
        await redis.execute("ZADD", f"{{sg}}:tenant:{name}:queued", 1, "gen_x")

    found = await read(runtime)

    assert {label for name, label in found if name == "gateway_queued"} == {names[0], names[-1]}


async def test_delivery_gauges_pending_backlog_dead(runtime: Runtime, redis: Redis, clock: Clock) -> None:
    now = round(clock().timestamp() * 1000)
    for endpoint, members in (
        ("ten_a:one", (now - 5000, now - 1, now + 60_000)),
        ("ten_a:two", (now + 1,)),
        ("ten_b:x", (now,)),
    ):
        tenant_id = endpoint.partition(":")[0]
        names = [f"msg_{endpoint}_{n}" for n in range(len(members))]
        await redis.execute("ZADD", "{sg}:due:deliver", "LT", min(members), tenant_id)
        await redis.execute("ZADD", f"{{sg}}:tenant:{tenant_id}:endpoint_queues", min(members), endpoint)
        await redis.execute("SADD", f"{{sg}}:tenant:{tenant_id}:pending_deliveries", *names)
        await redis.execute(
            "ZADD", f"{{sg}}:endpoint:{endpoint}", *(word for pair in zip(members, names, strict=True) for word in pair)
        )
    await redis.execute("ZADD", "{sg}:tenants", 0, "ten_a")
    await redis.execute("ZADD", "{sg}:tenant:ten_a:dead_letters", 0, "msg_x", 0, "msg_y")

    found = await read(runtime)

    assert [found[name, "ten_a"] for name in ("gateway_webhooks_pending", "gateway_webhook_backlog")] == [4, 2]
    assert [found[name, "ten_b"] for name in ("gateway_webhooks_pending", "gateway_webhook_backlog")] == [1, 1]
    assert found["gateway_webhook_dead_letters", "ten_a"] == 2
    assert found["gateway_overdue_seconds", "deliver"] == pytest.approx(5, abs=0.01)


async def test_failing_receiver_gauge_shows_the_longest(runtime: Runtime, redis: Redis, clock: Clock) -> None:
    now = round(clock().timestamp() * 1000)
    await redis.execute("ZADD", "{sg}:due:deliver:unproven", now, "ten_a", now, "ten_b")
    for endpoint, failing in (("ten_a:one", 60), ("ten_a:two", 5400), ("ten_a:new", 0), ("ten_b:one", 0)):
        name = f"{{sg}}:tenant:{endpoint[:5]}:endpoint_queues:unproven"
        await redis.execute("ZADD", name, now, endpoint)
        if failing:
            await redis.execute("HSET", f"{{sg}}:endpoint:{endpoint}:health", "first", now - failing * 1000)

    found = await read(runtime)

    assert found["gateway_webhook_failing_seconds", "ten_a"] == pytest.approx(5400, abs=0.1)
    assert found["gateway_webhook_failing_seconds", "ten_b"] == 0


async def test_stopped_tenants_are_named_with_the_cause(runtime: Runtime, redis: Redis, scrape: Scrape) -> None:
    paused = await runtime.tenants.service.create("paused")
    await runtime.tenants.service.pause(paused.id, "loops")
    await redis.execute("ZADD", "{sg}:closed_gates", 1, "ten_refused")

    text = await scrape()

    assert f'\ngateway_tenant_dispatch_stopped{{tenant="{paused.id}",cause="paused"}} 1.0\n' in text
    assert f'tenant="{paused.id}",cause="failing"' not in text, "it is not active"
    assert '\ngateway_tenant_dispatch_stopped{tenant="ten_refused",cause="failing"} 1.0\n' in text


async def test_heartbeat_gauges(runtime: Runtime, clock: Clock) -> None:
    found = await read(runtime)
    assert ("gateway_beat_age_seconds", "") not in found, "no heartbeat yet"
    assert [found["gateway_workers", queue] for queue in QUEUES] == [0, 0, 0]

    await runtime.stores.heartbeats.note_beat(clock())
    await runtime.stores.heartbeats.note_worker("one:1", QUEUES, clock())
    await runtime.stores.heartbeats.note_worker("two:2", ["webhooks"], clock())
    clock.advance(timedelta(seconds=14))
    await runtime.stores.heartbeats.note_worker("one:1", ["dispatch"], clock())
    found = await read(runtime)
    assert found["gateway_beat_age_seconds", ""] == 14
    assert {queue: found["gateway_workers", queue] for queue in QUEUES} == {
        "dispatch": 1,
        "webhooks": 2,
        "maintenance": 1,
    }

    clock.advance(timedelta(seconds=2))
    found = await read(runtime)
    assert {queue: found["gateway_workers", queue] for queue in QUEUES} == {
        "dispatch": 1,
        "webhooks": 0,
        "maintenance": 0,
    }


@pytest.mark.parametrize(
    ("appendonly", "appendfsync", "durable"),
    [("yes", "always", 2), ("yes", "everysec", 1), ("yes", "no", 0), ("no", "always", 0)],
)
async def test_redis_durable_follows_configuration(
    runtime: Runtime, redis_url: str, appendonly: str, appendfsync: str, durable: int
) -> None:
    with configured(redis_url, appendonly=appendonly, appendfsync=appendfsync):
        assert (await read(runtime))["gateway_redis_durable", ""] == durable


@contextmanager
def restricted_user(url: str, *refused: str) -> Iterator[str]:
    """Yield the URL of a user without these commands, as managed servers have them."""
    url = as_default(url)
    with redis_py.Redis.from_url(url) as client:
        commands = ["+@all", *(f"-{word}" for word in refused)]
        client.acl_setuser("guest", True, nopass=True, keys=["*"], channels=["*"], commands=commands)
        try:
            yield url.replace("redis://", "redis://guest:any@")
        finally:
            client.acl_deluser("guest")


async def test_unknown_memory_limit_has_no_series(runtime: Runtime) -> None:
    """Managed servers may not report it. A limit of 0 would count as exceeded."""
    server = Server(measure({"used_memory": "5", "maxmemory": "0"}, MemoryPolicy()), None)

    state_read = await runtime.operations.account_metrics._store.read(runtime.clock())
    names = {gauge.name for gauge, _ in of_redis(replace(state_read, server=server))}
    assert metrics.REDIS_MEMORY.name in names
    assert metrics.REDIS_MEMORY_LIMIT.name not in names
    assert metrics.REDIS_CREATE_LIMIT.name not in names


async def test_redis_without_info_permission_counts_as_down(redis_url: str, clock: Clock) -> None:
    with restricted_user(redis_url, "info") as url:
        async with open_runtime(factories.settings(url), clock=clock) as runtime:
            assert await read(runtime) == {("gateway_redis_up", ""): 0}


async def test_missing_replicas_keep_redis_up(redis_url: str, clock: Clock) -> None:
    settings = factories.settings(redis_url, redis_wait_replicas=1, redis_timeout=2)
    with configured(redis_url, appendfsync="always"):
        async with open_runtime(settings, clock=clock) as runtime:
            found = await read(runtime)

    assert found["gateway_redis_up", ""] == 1
    assert found["gateway_redis_durable", ""] == 0, "nothing is accepted, and the alert says why"
    assert ("gateway_slots_used", "") in found


async def test_concurrent_scrapes_share_one_read(runtime: Runtime, clock: Clock, redis: Redis) -> None:
    async def reads() -> int:
        info = (await redis.execute("INFO", "commandstats")).decode()
        return sum("config" in line and int(line.split("calls=")[1].split(",")[0]) for line in info.splitlines())

    gauges = AccountMetrics(
        runtime.operations.account_metrics._store, slots=1, account_budget=None, clock=clock, fresh_seconds=60
    )
    before = await reads()
    texts = {bytes(text) for text in await asyncio.gather(*(gauges.text() for _ in range(50)))}

    assert len(texts) == 1
    assert await reads() - before == 1


async def test_unreachable_redis_leaves_redis_up_only(clock: Clock) -> None:
    async with open_runtime(factories.settings("redis://127.0.0.1:9/0"), clock=clock) as runtime:
        assert await read(runtime) == {("gateway_redis_up", ""): 0}


async def test_two_gateways_show_the_same_state(runtime: Runtime, scrape: Scrape, clock: Clock) -> None:
    tenant = await runtime.tenants.service.create("acme")
    await queued(runtime, tenant, clock, age=30)

    first = parsed(await scrape())
    second = await read(runtime)

    own = {"gateway_state_read_seconds", "gateway_redis_memory_bytes"}
    assert {key: first[key] for key in second if key[0] not in own} == {
        key: value for key, value in second.items() if key[0] not in own
    }


# --- counters of a process ------------------------------------------------------------------------------------------


def seconds_in(status: Status) -> float:
    return float(metrics.STATE_SECONDS.labels(status)._sum.get())


async def test_state_seconds_are_observed_on_leaving(runtime: Runtime, clock: Clock) -> None:
    tenant = await runtime.tenants.service.create("acme")
    name = await queued(runtime, tenant, clock)
    before = {status: seconds_in(status) for status in (Status.QUEUED, Status.SUBMITTING, Status.SUBMITTED)}

    clock.advance(timedelta(seconds=7))
    moves = runtime.transitions
    await moves.apply(name, lambda g: g.submitting(clock()))
    clock.advance(timedelta(seconds=2))
    await moves.apply(name, lambda g: g.requeued())
    clock.advance(timedelta(seconds=11))
    await moves.apply(name, lambda g: g.submitting(clock()))
    await moves.apply(name, lambda g: g.submitted(factories.request_id()))
    clock.advance(timedelta(seconds=30))
    await moves.apply(name, lambda g: g.polled(position=3, logs=()))
    clock.advance(timedelta(seconds=30))
    await moves.apply(name, lambda g: g.started(clock()))

    spent = {status: seconds_in(status) - earlier for status, earlier in before.items()}
    assert spent == pytest.approx({Status.QUEUED: 18, Status.SUBMITTING: 2, Status.SUBMITTED: 60}, abs=0.01)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("content_policy", "good"), ("invalid_input", "good"), ("upstream_timeout", "bad"), ("expired", "bad")],
)
async def test_invalid_request_spends_no_error_budget(runtime: Runtime, clock: Clock, code: str, outcome: str) -> None:
    tenant = await runtime.tenants.service.create("acme")
    name = await queued(runtime, tenant, clock)
    before = {each: metrics.COMPLETIONS.labels(each)._value.get() for each in ("good", "bad")}

    await runtime.transitions.apply(name, lambda g: g.failed(factories.failure(code=code), 0, clock()))

    counted = {each: metrics.COMPLETIONS.labels(each)._value.get() - before[each] for each in before}
    assert counted == {outcome: 1, ({"good", "bad"} - {outcome}).pop(): 0}


async def test_known_series_begin_at_zero(scrape: Scrape) -> None:
    text = await scrape()

    for series in (
        'gateway_http_request_seconds_count{method="POST",route="/v1/generations",status="503"}',
        'gateway_completions_total{outcome="bad"}',
        'gateway_nudges_total{outcome="failed",work_queue="poll"}',
        'gateway_webhook_attempts_total{outcome="dead"}',
    ):
        assert f"\n{series} " in text
    assert "gateway_build_info{" in text
    assert "_created" not in text.replace("gateway_generations_created", "")
    assert all(f'work_queue="{queue}"' in text for queue in WorkQueue)


async def test_tenant_counters_begin_at_zero(runtime: Runtime, scrape: Scrape) -> None:
    tenant = await runtime.tenants.service.create("acme")
    await read(runtime)

    text = await scrape()
    for series in (
        f'gateway_generations_created_total{{tenant="{tenant.id}"}}',
        f'gateway_generations_refused_total{{reason="tenant_month",tenant="{tenant.id}"}}',
        f'gateway_generations_refused_total{{reason="queue_full",tenant="{tenant.id}"}}',
    ):
        assert f"\n{series} 0.0\n" in text


def test_tenant_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(metric_series, "_begun", set())
    monkeypatch.setattr(metric_series, "_begin_tenant", begun.append)

    metric_series.begin_tenants([f"ten_{number:05d}" for number in range(1_000)])

    assert begun == [f"ten_{number:05d}" for number in range(999, 799, -1)], "the newest"


def test_active_tenants_have_series_first(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(metric_series, "_begun", set())
    monkeypatch.setattr(metric_series, "_begin_tenant", begun.append)

    metric_series.begin_tenants([f"ten_{number:05d}" for number in range(1_000)], active=["ten_00000", "ten_00999"])

    assert (len(begun), begun[-1]) == (201, "ten_00000"), "each once"


def test_known_and_deleted_tenants_begin_no_series(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(metric_series, "_begun", set())
    monkeypatch.setattr(metric_series, "_begin_tenant", begun.append)

    metric_series.begin_tenants(["ten_a"], active=["ten_a", "ten_deleted"])
    metric_series.begin_tenants(["ten_a", "ten_b"], active=["ten_a", "ten_deleted"])

    assert begun == ["ten_a", "ten_b"]


async def test_ends_of_a_tenant_begin_at_zero_with_its_first_submit(scrape: Scrape) -> None:
    metric_series.begin_work_of("ten_new")

    text = await scrape()
    for series in (
        'gateway_generations_finished_total{code="",status="succeeded",tenant="ten_new"}',
        'gateway_generations_finished_total{code="content_policy",status="failed",tenant="ten_new"}',
        'gateway_cost_micro_usd_total{tenant="ten_new"}',
        'gateway_webhooks_dead_lettered_total{tenant="ten_new"}',
    ):
        assert f"\n{series} 0.0\n" in text


async def test_requests_are_counted_by_tenant_and_outcome(
    api: httpx.AsyncClient, tenant: Tenant, scrape: Scrape
) -> None:
    for path in ("/v1/generations", "/v1/generations", "/v1/generations/gen_none"):
        await api.get(path)
    await api.post("/v1/generations", json={})

    text = await scrape()
    for kind, outcome, count in (("read", "ok", 2), ("read", "refused", 1), ("write", "refused", 1)):
        series = f'gateway_tenant_requests_total{{kind="{kind}",outcome="{outcome}",tenant="{tenant.id}"}}'
        assert f"\n{series} {count}.0\n" in text
