"""The indexes of searches: after any history they have exactly the entries that the records say, and pages use them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.domain.end_user import pseudonym
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.status import PublicStatus, Status
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store import keys
from service.store.generations import terms
from service.store.generations.read import GenerationReader
from service.store.generations.write import term_keys
from service.store.redis.client import Redis, Script
from service.usecases.operations.search_index import PAUSE, SearchIndexer
from tests.support import factories
from tests.support.factories import Clock

Step = Callable[[Runtime, Generation, Clock], Awaitable[Any]]
METADATA: Final[tuple[dict[str, str], ...]] = (
    {},
    {"order": "7"},
    {"order": "7", "project": "a"},
    {"project": "b", "Straße": "日本 \\ []"},
)
END_USERS: Final = ("anna", "bert")
CODES: Final = ("content_policy", "upstream_timeout", "internal")


def move(change: Callable[[Generation, Clock], Generation | None]) -> Step:
    """Return a step that applies a change where it is legal."""

    async def step(runtime: Runtime, g: Generation, clock: Clock) -> None:
        await runtime.transitions.apply(g.id, lambda current: change(current, clock))

    return step


def only(*statuses: Status) -> Callable[[Callable[[Generation, Clock], Generation]], Step]:
    return lambda change: move(lambda g, clock: change(g, clock) if g.status in statuses else None)


def fail(code: str) -> Step:
    return only(Status.SUBMITTING, Status.SUBMITTED, Status.IN_PROGRESS, Status.UNCONFIRMED)(
        lambda g, clock: g.failed(factories.failure(code=code), g.estimated_cost, clock())
    )


async def cancel(runtime: Runtime, g: Generation, _: Clock) -> None:
    if not g.is_terminal:
        await runtime.operations.generations.cancel(g.id, reason="test")


async def revive(runtime: Runtime, g: Generation, _: Clock) -> None:
    if g.is_given_up and await runtime.stores.tenants.load(g.tenant_id):
        await runtime.operations.unconfirmed.revive(g.id, "paid", request_id=factories.request_id())


async def purge(runtime: Runtime, g: Generation, _: Clock) -> None:
    if g.is_terminal:
        await runtime.stores.generations.purge(g)


async def erase(runtime: Runtime, g: Generation, _: Clock) -> None:
    owner = await runtime.stores.tenants.load(g.tenant_id)
    if owner is not None and g.end_user_id is not None:
        await runtime.tenants.end_users.erase(owner, g.end_user_id)


async def delete_tenant(runtime: Runtime, g: Generation, clock: Clock) -> None:
    if (owner := await runtime.stores.tenants.load(g.tenant_id)) is not None:
        await runtime.stores.tenants.delete(owner, now=clock())


STEPS: Final[dict[str, Step]] = {
    "submit": only(Status.QUEUED)(lambda g, clock: g.submitting(clock())),
    "accept": only(Status.SUBMITTING)(lambda g, _: g.submitted(factories.request_id())),
    "requeue": only(Status.SUBMITTING)(lambda g, _: g.requeued()),
    "lose": only(Status.SUBMITTING)(lambda g, _: g.unconfirmed()),
    "adopt": only(Status.UNCONFIRMED)(lambda g, clock: g.adopted(factories.request_id(), clock())),
    "poll": only(Status.SUBMITTED)(lambda g, _: g.polled(position=3, logs=())),
    "start": only(Status.SUBMITTED)(lambda g, clock: g.started(clock())),
    "copy": only(Status.IN_PROGRESS)(lambda g, clock: g.copying_started(factories.output(), 5, clock())),
    "succeed": only(Status.SUBMITTED, Status.IN_PROGRESS)(lambda g, clock: g.succeeded(factories.output(), 5, clock())),
    **{f"fail: {code}": fail(code) for code in CODES},
    "cancel": cancel,
    "revive": revive,
    "purge": purge,
    "erase": erase,
    "delete tenant": delete_tenant,
}
names = st.sampled_from(END_USERS)
histories = st.lists(
    st.one_of(
        st.tuples(
            st.just("create"), st.integers(0, 1), st.tuples(st.sampled_from(METADATA), st.sampled_from(END_USERS))
        ),
        st.tuples(st.just("step"), st.integers(0, 7), st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4)),
    ),
    min_size=4,
    max_size=24,
)


async def entries(redis: Redis, key: str) -> set[bytes]:
    return set(await redis.execute("ZRANGE", key, 0, -1))


async def expected(runtime: Runtime) -> list[Generation]:
    """Return all records, found by their keys."""
    names = await runtime.redis.execute("KEYS", keys.generation("*"))
    found = await runtime.stores.generations.load_many([name.decode().rpartition(":")[2] for name in names])
    return sorted((g for g in found if g is not None), key=lambda g: g.id, reverse=True)


async def agrees(runtime: Runtime, owners: list[Tenant]) -> list[Generation]:
    records = await expected(runtime)
    assert await entries(runtime.redis, keys.GENERATIONS) == {g.id.encode() for g in records}
    assert await entries(runtime.redis, keys.GENERATION_TERMS) == {
        entry for g in records for entry in terms.entries(terms.account_terms(g), g.id)
    }
    for owner in owners:
        assert await entries(runtime.redis, keys.generation_terms_of_tenant(owner.id)) == {
            entry for g in records if g.tenant_id == owner.id for entry in terms.entries(terms.tenant_terms(g), g.id)
        }
    return records


def filters(owners: list[Tenant], records: list[Generation]) -> list[Filter]:
    """Return filters over each index, alone and combined."""
    conditions: list[dict[str, Any]] = [{}, *({"status": status} for status in PublicStatus)]
    conditions += [{"error_code": code} for code in CODES]
    conditions += [{"error_code": CODES[0], "status": PublicStatus.SUCCEEDED}, {"model": "unknown"}]
    conditions += [{"fal_request_id": g.request_id} for g in records if g.request_id][:3]
    conditions += [{"created_after": g.created_at, "status": PublicStatus.QUEUED} for g in records[-2:]]
    conditions += [{"created_before": g.created_at} for g in records[:2]]
    own: list[dict[str, Any]] = [{"metadata": tuple(pairs.items())} for pairs in METADATA[1:]]
    own += [{"metadata": (("order", "7"),), "status": PublicStatus.QUEUED, "oldest_first": True}]
    found = [Filter(**each) for each in conditions]
    for owner in owners:
        mine = [*conditions, *own, *({"end_user": pseudonym(owner, name)} for name in END_USERS)]
        found += [Filter(tenant_id=owner.id, **each) for each in mine]
    return found


async def check_pages(reader: GenerationReader, wanted: Filter, records: list[Generation]) -> None:
    matching = [g.id for g in records if wanted.matches(g)]
    page = await reader.page(wanted, limit=100, after=None)
    assert [g.id for g in page.items] == matching[:: -1 if wanted.oldest_first else 1], wanted


async def created(runtime: Runtime, owner: Tenant, metadata: dict[str, str], end_user_id: str) -> str:
    request = factories.create_request(metadata=metadata, end_user_id=end_user_id)
    return (await runtime.generations.creator.create(owner, request)).generation.id


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=histories)
async def test_indexes_after_any_history_equal_the_filters(
    runtime: Runtime, clock: Clock, history: list[tuple[str, int, Any]]
) -> None:
    await runtime.redis.execute("FLUSHALL")
    owners = [await runtime.tenants.service.create(name) for name in ("acme", "shop")]
    names = [await created(runtime, owner, METADATA[2], "anna") for owner in owners]
    await runtime.stores.indexing.note(None)
    for kind, number, what in history:
        clock.advance(timedelta(milliseconds=1))
        if kind == "create" and await runtime.stores.tenants.load(owners[number].id):
            names.append(await created(runtime, owners[number], *what))
        elif kind == "step":
            for step in what:
                if g := await runtime.stores.generations.load(names[number % len(names)]):
                    await STEPS[step](runtime, g, clock)
    records = await agrees(runtime, owners)
    reader = GenerationReader(runtime.redis)
    await asyncio.gather(*(check_pages(reader, wanted, records) for wanted in filters(owners, records)))


async def _without_indexes(runtime: Runtime, owners: list[Tenant]) -> None:
    """Leave what a release without the indexes writes."""
    indexes = [keys.generation_terms_of_tenant(owner.id) for owner in owners]
    await runtime.redis.execute("DEL", keys.GENERATIONS, keys.GENERATION_TERMS, keys.SEARCH_INDEXED, *indexes)


async def _without_entries(runtime: Runtime, name: str, owner: Tenant) -> None:
    """Leave what a release without the indexes writes for one generation."""
    for key in (keys.GENERATIONS, keys.GENERATION_TERMS, keys.generation_terms_of_tenant(owner.id)):
        found = [entry for entry in await entries(runtime.redis, key) if entry.endswith(name.encode())]
        await runtime.redis.execute("ZREM", key, *found)


async def _of_older_release(runtime: Runtime, clock: Clock) -> list[Tenant]:
    owners = [await runtime.tenants.service.create(name) for name in ("acme", "idle", "shop")]
    for number in range(6):
        clock.advance(timedelta(milliseconds=1))
        name = await created(runtime, owners[number % 2 * 2], METADATA[number % 4], END_USERS[number % 2])
        for step in ("submit", "accept", "fail: internal")[: number % 4]:
            g = await runtime.stores.generations.load(name)
            assert g is not None
            await STEPS[step](runtime, g, clock)
    await _without_indexes(runtime, owners)
    return owners


@pytest.mark.parametrize("step", [1, 2, 200])
async def test_indexing_of_older_records_is_complete(
    runtime: Runtime, clock: Clock, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = await _of_older_release(runtime, clock)
    monkeypatch.setattr("service.usecases.operations.search_index._STEP", step)
    monkeypatch.setattr("service.usecases.operations.search_index._SECONDS", 0)  # each call is one step
    await indexed(runtime, clock)
    assert len(await agrees(runtime, owners)) == 6
    clock.advance(PAUSE)
    await indexed(runtime, clock)
    assert await runtime.stores.indexing.position() is None
    assert len(await agrees(runtime, owners)) == 6


async def indexed(runtime: Runtime, clock: Clock) -> None:
    for _ in range(20):
        await SearchIndexer(runtime.stores.indexing, clock=clock).work()  # as after a restart


async def test_second_pass_finds_what_an_older_release_wrote_meanwhile(runtime: Runtime, clock: Clock) -> None:
    owners = await _of_older_release(runtime, clock)
    indexer = SearchIndexer(runtime.stores.indexing, clock=clock)
    await indexer.work()
    late = await created(runtime, owners[0], METADATA[2], "anna")
    await _without_entries(runtime, late, owners[0])
    g = await runtime.stores.generations.load(late)
    assert g is not None
    await STEPS["submit"](runtime, g, clock)
    await runtime.redis.execute("ZADD", keys.GENERATION_TERMS, 0, terms.QUEUED + late.encode())  # an old worker left it
    await indexer.work()
    assert late.encode() not in await entries(runtime.redis, keys.GENERATIONS)
    clock.advance(PAUSE)
    await indexer.work()
    assert await runtime.stores.indexing.position() is None
    assert len(await agrees(runtime, owners)) == 7


async def test_indexing_of_a_new_deployment_ends_at_once(runtime: Runtime, clock: Clock) -> None:
    await SearchIndexer(runtime.stores.indexing, clock=clock).work()
    assert await runtime.stores.indexing.position() is None


async def test_purge_removes_entries_of_earlier_statuses(runtime: Runtime, clock: Clock) -> None:
    owner = await runtime.tenants.service.create("acme")
    name = await created(runtime, owner, METADATA[2], "anna")
    g = await runtime.stores.generations.load(name)
    assert g is not None
    await cancel(runtime, g, clock)
    await runtime.redis.execute("ZADD", keys.GENERATION_TERMS, 0, terms.QUEUED + name.encode())
    ended = await runtime.stores.generations.load(name)
    assert ended is not None
    await purge(runtime, ended, clock)
    assert await agrees(runtime, [owner]) == []


async def test_filters_of_a_tenant_find_older_records_before_they_are_indexed(runtime: Runtime, clock: Clock) -> None:
    owners = await _of_older_release(runtime, clock)
    records, reader = await expected(runtime), GenerationReader(runtime.redis)
    for wanted in filters(owners, records):
        if wanted.tenant_id is not None:
            await check_pages(reader, wanted, records)


async def test_indexing_races_with_transitions(runtime: Runtime, clock: Clock) -> None:
    owners = await _of_older_release(runtime, clock)
    moves = [cancel(runtime, g, clock) for g in await expected(runtime)]
    await asyncio.gather(SearchIndexer(runtime.stores.indexing, clock=clock).work(), *moves)
    await agrees(runtime, owners)


async def test_index_of_a_changed_record_writes_nothing(runtime: Runtime, clock: Clock) -> None:
    owners = await _of_older_release(runtime, clock)
    g = (await expected(runtime))[-1]
    script = Script("index")
    found = {"generation": keys.generation(g.id), "generations": keys.GENERATIONS, **term_keys(g.tenant_id)}
    for version, written in ((g.version + 1, 0), (g.version, 1)):
        given: dict[str, str | bytes | int] = {"generation_id": g.id, "version": version, **terms.complete(g)}
        assert await runtime.redis.run(script, found, given) == written
        assert await runtime.redis.execute("ZCARD", keys.GENERATIONS) == written
    assert len(owners) == 3


async def test_terms_of_conditions_differ() -> None:
    made = [terms.of_metadata("a", "b"), terms.of_metadata("a\0b", ""), terms.of_request_id("b"), terms.of_code("b")]
    made += [terms.QUEUED, terms.IN_FLIGHT, *terms.ENDED.values()]
    assert len({*made}) == len(made)
    assert {len(term) for term in made} == {terms.LENGTH}


def test_filter_as_json_is_the_same_filter() -> None:
    wanted = Filter(
        tenant_id="ten_1",
        end_user="eu_1",
        status=PublicStatus.FAILED,
        error_code="expired",
        model="a/b",
        created_after=factories.NOW,
        fal_request_id="r",
        metadata=(("order", "7"),),
    )
    assert Filter.from_json(wanted.to_json()) == wanted
    assert Filter().to_json() == b"{}"
    with pytest.raises(ValueError, match="need a tenant"):
        Filter(metadata=(("order", "7"),))
    with pytest.raises(ValueError, match="need a tenant"):
        Filter.from_json(b'{"end_user":"eu_1"}')
