"""Reasons of blocks, suspensions and pauses: each is bounded, stored, and shown to those who should read it."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from service.domain.end_user import pseudonym
from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.store import keys
from tests.support.factories import Clock, create_body

BLOCK = "/v1/end-users/customer-7/block"
UNBLOCK = "/v1/end-users/customer-7/unblock"
#: Each act that takes a reason, and whether it needs one. ``{tenant}`` is replaced.
ACTS = {
    BLOCK: False,
    "/admin/v1/tenants/{tenant}/suspend": False,
    "/admin/v1/tenants/{tenant}/pause": True,
    "/admin/v1/pause": True,
    "/admin/v1/drain": True,
}


@pytest.fixture(autouse=True)
async def customer(api: httpx.AsyncClient) -> None:
    await api.post("/v1/generations", json=create_body(end_user_id="customer-7"))


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": "x" * 500}, 200),
        ({"reason": "  abuse \n"}, 200),
        ({"reason": "x" * 501}, 422),
        ({"reason": "   "}, 422),
        ({"reason": 7}, 422),
        ({"reason": "abuse", "until": "tomorrow"}, 422),
        (None, None),
        ({}, None),
        ({"reason": None}, None),
    ],
)
async def test_reason_is_bounded_everywhere(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, path: str, body: Any, status: int | None
) -> None:
    """``status`` None: without a reason, it depends on whether the act needs one."""
    client = api if path.startswith("/v1/") else operator
    answer = await client.post(path.format(tenant=tenant.id), **({} if body is None else {"json": body}))

    expected = status or ((415 if body is None else 422) if ACTS[path] else 200)
    assert answer.status_code == expected, answer.text
    if status == 200:
        assert body["reason"].strip() in answer.text


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 200),
        (b"", {"content-type": "application/json"}, 200),
        (b"", {"content-type": "application/x-www-form-urlencoded"}, 200),
        (b'{"reason": "abuse"}', {"content-type": "application/json; charset=utf-8"}, 200),
        (b'{"reason": "abuse"}', {}, 415),
        (b"reason=abuse", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{", {"content-type": "application/json"}, 400),
        (b"[]", {"content-type": "application/json"}, 422),
    ],
)
async def test_block_without_body_is_accepted_and_no_body_is_dropped(
    api: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await api.post(BLOCK, content=content, headers=headers)

    assert answer.status_code == status, answer.text
    blocked = (await api.get("/v1/end-users/customer-7")).json()
    assert (blocked["blocked_at"] is not None) is (status == 200)
    assert blocked["block_reason"] == ("abuse" if content and status == 200 else None)


async def test_block_and_unblock_return_the_end_user(api: httpx.AsyncClient, clock: Clock) -> None:
    before = (await api.get("/v1/end-users/customer-7")).json()
    blocked = await api.post(BLOCK, json={"reason": "abuse"})
    clock.advance(timedelta(minutes=1))
    again = await api.post(BLOCK)
    changed = await api.post(BLOCK, json={"reason": "fraud"})
    unblocked = await api.post(UNBLOCK)

    assert blocked.json() == {**before, "blocked_at": blocked.json()["blocked_at"], "block_reason": "abuse"}
    assert again.json() == blocked.json(), "neither time nor reason changes"
    assert changed.json() == {**blocked.json(), "block_reason": "fraud"}
    assert (unblocked.status_code, unblocked.json()) == (200, before)
    assert (await api.post(UNBLOCK)).json() == before, "a second call changes nothing"
    assert (await api.post(BLOCK)).json()["block_reason"] is None, "the reason ended with its block"


async def test_block_reason_ends_with_an_erasure(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, runtime: Runtime, tenant: Tenant
) -> None:
    """The reason is free text, and may name the person. The block stays."""
    await api.post(BLOCK, json={"reason": "customer Anna was abusive"})
    name = pseudonym(tenant, "customer-7")
    traced = await operator.get(f"/admin/v1/tenants/{tenant.id}/end-users/{name}")
    assert traced.json()["block_reason"] == "customer Anna was abusive"

    await api.delete("/v1/end-users/customer-7")

    left = (await api.get("/v1/end-users/customer-7")).json()
    assert (left["blocked_at"] is None, left["block_reason"]) == (False, None)
    assert b"Anna" not in b"".join(await runtime.redis.execute("HVALS", keys.end_user(tenant.id, name)))
    unblocked = await api.post(UNBLOCK)
    assert (unblocked.status_code, unblocked.json()["blocked_at"]) == (200, None)
    assert (await api.get("/v1/end-users/customer-7")).status_code == 404, "nothing of it is left"


@pytest.mark.parametrize("name", ["customer-8", "a/b", "ü"])
async def test_block_of_unknown_end_user_is_not_found_whatever_the_body(api: httpx.AsyncClient, name: str) -> None:
    for content in (b"", b"{", b'{"reason": 7}'):
        answer = await api.post(f"/v1/end-users/{quote(name, safe='')}/block", content=content)
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize(("verb", "member", "expected"), [("suspend", "suspension", "two"), ("pause", "paused", "one")])
async def test_second_suspend_or_pause_does_not_change_the_time(
    operator: httpx.AsyncClient, tenant: Tenant, clock: Clock, verb: str, member: str, expected: str
) -> None:
    path = f"/admin/v1/tenants/{tenant.id}"
    first = (await operator.post(f"{path}/{verb}", json={"reason": "one"})).json()[member]
    clock.advance(timedelta(hours=1))
    second = (await operator.post(f"{path}/{verb}", json={"reason": "two"})).json()[member]
    assert (first["reason"], second) == ("one", {"reason": expected, "since": first["since"]})
    assert (await operator.get(path)).json()[member] == second
    (listed,) = [t for t in (await operator.get("/admin/v1/tenants")).json()["data"] if t["id"] == tenant.id]
    assert listed[member] == second
    assert (await operator.post(f"{path}/resume")).json()[member] is None


@pytest.mark.parametrize(
    ("verb", "ended", "left"), [("unsuspend", "suspension", "paused"), ("unpause", "paused", "suspension")]
)
async def test_suspension_and_pause_end_apart(
    app: FastAPI, api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant, verb: str, ended: str, left: str
) -> None:
    path = f"/admin/v1/tenants/{tenant.id}"
    for act in ("suspend", "pause"):
        await operator.post(f"{path}/{act}", json={"reason": act})

    for _ in range(2):  # a second call changes nothing
        answer = await operator.post(f"{path}/{verb}", json={"reason": "the cause is gone"})
        assert (answer.status_code, answer.json()[ended]) == (200, None), answer.text
        assert answer.json()[left]["reason"] in ("suspend", "pause")

    app.state.runtime.tenants.authenticator.forget()
    assert (await api.get("/v1/generations")).status_code == (200 if verb == "unsuspend" else 403)
    paused = await app.state.runtime.redis.execute("SISMEMBER", keys.PAUSED_TENANTS, tenant.id)
    assert paused == (verb == "unsuspend")


@pytest.mark.parametrize("verb", ["unsuspend", "unpause"])
@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "x" * 501}, {"reason": "x", "until": "y"}])
async def test_end_of_suspension_or_pause_needs_reason(
    operator: httpx.AsyncClient, tenant: Tenant, verb: str, body: Any
) -> None:
    assert (await operator.post(f"/admin/v1/tenants/{tenant.id}/{verb}", json=body)).status_code == 422


async def test_suspension_without_reason_keeps_an_earlier_one(operator: httpx.AsyncClient, tenant: Tenant) -> None:
    path = f"/admin/v1/tenants/{tenant.id}"
    without = (await operator.post(f"{path}/suspend")).json()["suspension"]
    assert without["reason"] is None
    await operator.post(f"{path}/suspend", json={"reason": "abuse"})
    await operator.delete(path, params={"drain": "true"})
    assert (await operator.get(path)).json()["suspension"] == {"reason": "abuse", "since": without["since"]}
