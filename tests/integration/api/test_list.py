"""Lists: newest first, filtered, and read to the end by a cursor without a gap or a repetition."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from service.domain import ids
from service.domain.end_user import pseudonym
from service.domain.generation import Generation
from service.domain.generation_view import rfc3339
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store.paging import ENTRIES_READ
from tests.support import factories
from tests.support.factories import NOW, Clock, create_body

SECOND = timedelta(seconds=1)


async def fill(runtime: Runtime, tenant: Tenant, number: int, **changes: Any) -> list[Generation]:
    """Write generations directly into the store, a second apart, oldest first."""
    made = []
    for n in range(number):
        g = factories.generation(
            created_at=NOW + n * SECOND,
            tenant_id=tenant.id,
            end_user=pseudonym(tenant, changes.get("end_user_id", "customer-7")),
            **changes,
        )
        await runtime.stores.generations.create(g, factories.due(g.created_at))
        made.append(g)
    return made


async def pages(api: httpx.AsyncClient, **wanted: Any) -> AsyncIterator[dict[str, Any]]:
    cursor = None
    while True:
        answer = await api.get("/v1/generations", params={**wanted, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield page
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return
        cursor = page["next_cursor"]


async def listed(api: httpx.AsyncClient, **wanted: Any) -> list[str]:
    return [item["id"] async for page in pages(api, **wanted) for item in page["data"]]


async def test_list_empty(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/generations")

    assert answer.json() == {"object": "list", "data": [], "has_more": False, "next_cursor": None}


async def test_list_is_newest_first_with_full_objects(api: httpx.AsyncClient, clock: Clock) -> None:
    created = []
    for _ in range(3):
        created.append((await api.post("/v1/generations", json=create_body())).json())
        clock.advance(timedelta(milliseconds=1))

    assert (await api.get("/v1/generations")).json()["data"] == created[::-1]


@pytest.mark.parametrize("limit", [1, 7, 50, 100])
async def test_list_cursor_reads_each_once(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant, limit: int
) -> None:
    number = 250 if limit > 1 else 30
    made = await fill(runtime, tenant, number)

    found = [page async for page in pages(api, limit=limit)]

    assert [item["id"] for page in found for item in page["data"]] == [g.id for g in reversed(made)]
    assert all(len(page["data"]) == limit for page in found[:-1])


async def test_list_full_last_page_has_no_cursor(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    await fill(runtime, tenant, 10)

    assert [len(page["data"]) async for page in pages(api, limit=5)] == [5, 5]


async def test_list_cursor_ignores_new_generations(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    made = await fill(runtime, tenant, 9)
    first = (await api.get("/v1/generations", params={"limit": 4})).json()
    newer = factories.generation(created_at=NOW + timedelta(days=1), tenant_id=tenant.id)
    await runtime.stores.generations.create(newer, factories.due())

    rest = await listed(api, limit=4, cursor=first["next_cursor"])

    assert [item["id"] for item in first["data"]] + rest == [g.id for g in reversed(made)]


async def test_list_is_per_tenant(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    own = (await api.post("/v1/generations", json=create_body())).json()["id"]
    foreign = (await other_api.post("/v1/generations", json=create_body())).json()["id"]

    assert await listed(api) == [own]
    assert await listed(other_api) == [foreign]


async def test_list_cursor_of_other_tenant_shows_own_only(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    made = await fill(runtime, tenant, 5)
    foreign_page = (await api.get("/v1/generations", params={"limit": 2})).json()

    assert await listed(other_api, cursor=foreign_page["next_cursor"]) == []
    assert len(made) == 5


# --- filters ----------------------------------------------------------------------------------------------------------


async def test_list_by_status(api: httpx.AsyncClient) -> None:
    created = [(await api.post("/v1/generations", json=create_body())).json()["id"] for _ in range(4)]
    for generation_id in created[:2]:
        await api.post(f"/v1/generations/{generation_id}/cancel")

    assert set(await listed(api, status="canceled")) == set(created[:2])
    assert set(await listed(api, status="queued")) == set(created[2:])
    assert await listed(api, status="succeeded") == []


async def test_list_by_rare_status(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    """Pages may be short or empty, as long as the cursor continues."""
    number = ENTRIES_READ + 60
    made = await fill(runtime, tenant, number)
    oldest = await runtime.generations.canceller.cancel(tenant, made[0].id)

    found = [page async for page in pages(api, status="canceled", limit=100)]

    assert [item["id"] for page in found for item in page["data"]] == [oldest.id]
    assert len(found) <= 3


async def test_list_by_end_user(api: httpx.AsyncClient) -> None:
    one, other, none = [
        (await api.post("/v1/generations", json=create_body(end_user_id=end_user))).json()["id"]
        for end_user in ("a", "b", None)
    ]

    assert await listed(api, end_user_id="a") == [one]
    assert await listed(api, end_user_id="b") == [other]
    assert await listed(api, end_user_id="c") == []
    assert set(await listed(api)) == {one, other, none}


async def test_list_by_end_user_and_status_over_pages(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    mine = await fill(runtime, tenant, 12, end_user_id="a")
    await fill(runtime, tenant, 12, end_user_id="b")
    for g in mine[::2]:
        await runtime.generations.canceller.cancel(tenant, g.id)

    found = await listed(api, end_user_id="a", status="queued", limit=2)

    assert found == [g.id for g in reversed(mine[1::2])]


async def test_list_by_time_excludes_both_bounds(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    made = await fill(runtime, tenant, 6)
    after, before = rfc3339(made[1].created_at), rfc3339(made[4].created_at)

    assert await listed(api, created_after=after, created_before=before) == [made[3].id, made[2].id]
    assert await listed(api, created_after=after) == [g.id for g in reversed(made[2:])]
    assert await listed(api, created_before=before) == [g.id for g in reversed(made[:4])]
    assert await listed(api, created_after=before, created_before=after) == []


async def test_list_by_time_with_cursor(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    made = await fill(runtime, tenant, 9)

    found = await listed(
        api, created_after=rfc3339(made[1].created_at), created_before=rfc3339(made[7].created_at), limit=2
    )

    assert found == [g.id for g in reversed(made[2:7])]


async def test_list_by_time_with_utc_offset(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    made = await fill(runtime, tenant, 3)

    assert await listed(api, created_after="2026-01-31T18:30:01+09:00") == [made[2].id]


# --- bounds -----------------------------------------------------------------------------------------------------------


def sealed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


CURSORS = [
    "",
    "x",
    "====",
    "💥",
    "a" * 101,
    sealed("gen_"),
    sealed("gen_" + "0" * 25),
    sealed("gen_0123456789ABCDEFGHJKMNPQRS"),
    sealed("ten_0123456789abcdefghjkmnpqrs"),
    sealed("+"),
    sealed("[gen_0123456789abcdefghjkmnpqrs"),
    base64.urlsafe_b64encode(b"\xff" * 30).decode(),
]


@pytest.mark.parametrize("cursor", CURSORS)
async def test_list_invalid_cursor_is_refused(api: httpx.AsyncClient, cursor: str) -> None:
    answer = await api.get("/v1/generations", params={"cursor": cursor})

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/query/cursor"]


async def test_list_cursor_of_purged_generation_continues(
    api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    made = await fill(runtime, tenant, 4)
    first = (await api.get("/v1/generations", params={"limit": 2})).json()
    canceled = await runtime.generations.canceller.cancel(tenant, made[2].id)
    assert await runtime.stores.generations.purge(replace(canceled))

    assert await listed(api, cursor=first["next_cursor"]) == [made[1].id, made[0].id]


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"limit": 0}, "/query/limit"),
        ({"limit": 101}, "/query/limit"),
        ({"limit": -1}, "/query/limit"),
        ({"limit": "many"}, "/query/limit"),
        ({"limit": "9" * 5000}, "/query/limit"),
        ({"status": "done"}, "/query/status"),
        ({"status": ""}, "/query/status"),
        ({"end_user_id": ""}, "/query/end_user_id"),
        ({"end_user_id": "x" * 257}, "/query/end_user_id"),
        ({"created_after": "yesterday"}, "/query/created_after"),
        ({"created_after": "2026-01-31T09:30:00"}, "/query/created_after"),  # no UTC offset
        ({"created_before": "2026-13-01T00:00:00Z"}, "/query/created_before"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_list_invalid_parameter_is_refused(api: httpx.AsyncClient, wanted: dict[str, Any], pointer: str) -> None:
    answer = await api.get("/v1/generations", params=wanted)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("name", ["created_after", "created_before"])
@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59.999999-23:59",
        "9999-12-31T23:59:59.999999+23:59",
        "1e30",
        "-1",
        "0",
        "253402300799999",
        "NaN",
        "inf",
    ],
)
async def test_list_any_time_never_fails(api: httpx.AsyncClient, name: str, moment: str) -> None:
    await api.post("/v1/generations", json=create_body())

    answer = await api.get("/v1/generations", params={name: moment})

    assert answer.status_code in (200, 422)


async def test_list_of_all_time_is_complete(api: httpx.AsyncClient) -> None:
    created = (await api.post("/v1/generations", json=create_body())).json()["id"]

    assert await listed(api, created_after="1970-01-01T00:00:00Z", created_before="9999-12-31T00:00:00Z") == [created]
    assert await listed(api, created_after="9999-12-31T00:00:00Z") == []


async def test_list_default_page_has_twenty(api: httpx.AsyncClient, runtime: Runtime, tenant: Tenant) -> None:
    await fill(runtime, tenant, 21)

    assert len((await api.get("/v1/generations")).json()["data"]) == 20


def test_list_ids_have_creation_time(clock: Clock) -> None:
    assert ids.lowest(ids.GENERATION, clock.now) < ids.new(ids.GENERATION, clock.now)
    assert {status.value for status in Status} >= {"queued", "canceled"}
