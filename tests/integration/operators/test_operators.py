"""Operators and their tokens over HTTP: roles act at once, tokens rotate with overlap, everything is in the trail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.domain.operator import Role, parse_token
from service.errors import Conflict
from service.runtime import Runtime
from service.usecases.operators.operators import MOST_TOKENS, Operators
from tests.conftest import client_of
from tests.support.factories import Clock
from tests.support.trail import entries, links

OPERATORS = "/admin/v1/operators"


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
def service(runtime: Runtime) -> Operators:
    return runtime.operators.service


async def person(service: Operators, role: Role, name: str = "Ada") -> tuple[str, str, str]:
    """Return the ids of an operator and of its token, and the text of the token."""
    made = await service.create(name, role)
    token, text = await service.create_token(made.id)
    return made.id, token.id, text


@asynccontextmanager
async def calling(app: FastAPI, role: Role) -> AsyncIterator[tuple[httpx.AsyncClient, str, str]]:
    """A client with a new operator's token, and the ids of both."""
    operator_id, token_id, text = await person(app.state.runtime.operators.service, role)
    async with client_of(app, text) as client:
        yield client, operator_id, token_id


async def test_operator_create_change_and_list(operator: httpx.AsyncClient, runtime: Runtime) -> None:
    made = await operator.post(OPERATORS, json={"name": " Ada ", "role": "viewer"})
    path = f"{OPERATORS}/{made.json()['id']}"
    changed = await operator.patch(path, json={"role": "admin"}, headers={"If-Match": made.headers["etag"]})
    late = await operator.patch(path, json={"name": "B"}, headers={"If-Match": made.headers["etag"]})

    assert (made.status_code, made.json()["name"], made.json()["role"]) == (201, "Ada", "viewer")
    assert (changed.json()["role"], changed.json()["version"], late.status_code) == ("admin", 2, 412)
    assert [each["id"] for each in (await operator.get(OPERATORS)).json()["data"]] == [made.json()["id"]]
    assert (await operator.get(path)).json() == changed.json()
    assert [(e.action, e.changes.get("role"), e.error) for e in await entries(runtime)] == [
        ("create_operator", (None, "viewer"), None),
        ("change_operator", ("viewer", "admin"), None),
        ("change_operator", None, "precondition_failed"),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"name": "", "role": "admin"}, {"name": "a", "role": "root"}, {"name": "a", "role": "admin", "x": 1}]
)
async def test_operator_create_with_wrong_body_is_422(operator: httpx.AsyncClient, body: Any) -> None:
    assert (await operator.post(OPERATORS, json=body)).status_code == 422


@pytest.mark.parametrize("path", ["opr_1", "ten_1", "opr_0000000000000000000000000g"])
async def test_unknown_operator_is_404(operator: httpx.AsyncClient, path: str) -> None:
    assert (await operator.get(f"{OPERATORS}/{path}")).status_code == 404
    assert (await operator.post(f"{OPERATORS}/{path}/tokens", json={})).status_code == 404


async def test_operator_self_has_role_and_expiry(app: FastAPI, operator: httpx.AsyncClient) -> None:
    runtime = app.state.runtime
    ada = await runtime.operators.service.create("Ada", Role.VIEWER)
    ends = runtime.clock() + timedelta(days=1)
    token, text = await runtime.operators.service.create_token(ada.id, expires_at=ends)
    async with client_of(app, text) as client:
        me = (await client.get("/admin/v1/me")).json()

    assert (me["kind"], me["id"], me["name"], me["role"]) == ("operator", ada.id, "Ada", "viewer")
    assert (me["token_id"], me["token_expires_at"][:19]) == (token.id, ends.isoformat()[:19])
    admin = (await operator.get("/admin/v1/me")).json()
    assert (admin["kind"], admin["id"], admin["role"], admin["token_expires_at"]) == (
        "break_glass",
        None,
        "admin",
        None,
    )


async def test_operator_role_change_acts_at_once(app: FastAPI, operator: httpx.AsyncClient) -> None:
    async with calling(app, Role.ADMIN) as (ada, operator_id, _):
        assert (await ada.get(OPERATORS)).status_code == 200
        await operator.patch(f"{OPERATORS}/{operator_id}", json={"role": "viewer"})
        assert (await ada.get(OPERATORS)).status_code == 403
        await operator.post(f"{OPERATORS}/{operator_id}/disable")
        assert (await ada.get("/admin/v1/me")).status_code == 401
        await operator.post(f"{OPERATORS}/{operator_id}/enable")
        assert (await ada.get("/admin/v1/me")).status_code == 200


async def test_token_rotation_overlaps_and_ends(app: FastAPI, clock: Clock) -> None:
    async with calling(app, Role.VIEWER) as (ada, operator_id, token_id):
        path = f"{OPERATORS}/{operator_id}/tokens/{token_id}"
        new = await ada.post(f"{path}/rotate", json={"overlap_seconds": 60})
        async with client_of(app, new.json()["token"]) as successor:
            assert (new.status_code, (await successor.get("/admin/v1/me")).status_code) == (201, 200)
            assert (await ada.get("/admin/v1/me")).status_code == 200
            shorter = await ada.post(f"{path}/rotate", json={"overlap_seconds": 5})
            clock.advance(timedelta(seconds=61))
            assert (await ada.get("/admin/v1/me")).status_code == 401
            assert (await successor.get("/admin/v1/me")).status_code == 200

    assert shorter.status_code == 409


async def test_token_successor_has_the_same_expiry(service: Operators, runtime: Runtime) -> None:
    ada = await service.create("Ada", Role.VIEWER)
    ends = runtime.clock() + timedelta(days=3)
    token, _ = await service.create_token(ada.id, name="laptop", expires_at=ends)
    first, _ = await service.rotate_token(ada.id, token.id)
    second, _ = await service.rotate_token(ada.id, token.id)

    assert [(t.name, t.expires_at) for t in (first, second)] == [("laptop", ends)] * 2


async def test_token_revoked_is_refused_at_once(app: FastAPI) -> None:
    async with calling(app, Role.OPERATOR) as (ada, operator_id, token_id):
        revoked = await ada.post(f"{OPERATORS}/{operator_id}/tokens/{token_id}/revoke")
        assert revoked.json()["revoked_at"] is not None
        assert (await ada.get("/admin/v1/me")).status_code == 401


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_token_of_another_operator_needs_admin(app: FastAPI, service: Operators, role: Role) -> None:
    other, token_id, _ = await person(service, Role.VIEWER, "Bob")
    async with calling(app, role) as (ada, own, _):
        statuses = [
            (await ada.request(method, f"{OPERATORS}/{path}")).status_code
            for method, path in (
                ("GET", f"{other}/tokens"),
                ("POST", f"{other}/tokens/{token_id}/rotate"),
                ("POST", f"{other}/tokens/{token_id}/revoke"),
                ("POST", f"{own}/tokens"),
                ("POST", f"{own}/enable"),
                ("GET", f"{own}/tokens"),
            )
        ]
    assert statuses == [403, 403, 403, 403, 403, 200]


async def test_token_list_shows_last_use_and_no_secret(app: FastAPI) -> None:
    async with calling(app, Role.ADMIN) as (ada, operator_id, token_id):
        (listed,) = (await ada.get(f"{OPERATORS}/{operator_id}/tokens")).json()["data"]

    assert listed["id"] == token_id
    assert listed["last_used_at"] is not None
    assert listed["token"] is None


async def test_last_admin_stays_without_admin_token(service: Operators) -> None:
    service._has_admin_token = False
    ada, _, _ = await person(service, Role.ADMIN)
    with pytest.raises(Conflict):
        await service.disable(ada)
    with pytest.raises(Conflict):
        await service.change(ada, role=Role.OPERATOR)

    bob, _, _ = await person(service, Role.ADMIN, "Bob")
    assert (await service.change(ada, role=Role.OPERATOR)).role is Role.OPERATOR
    service._has_admin_token = True
    assert (await service.disable(bob)).disabled_at is not None


async def test_tokens_of_an_operator_are_bounded(service: Operators, runtime: Runtime) -> None:
    ada = await service.create("Ada", Role.VIEWER)
    made = [(await service.create_token(ada.id))[0] for _ in range(MOST_TOKENS - 1)]
    for _ in range(3):  # ended tokens are forgotten when a further one is needed
        token, _ = await service.create_token(ada.id)
        await service.revoke_token(ada.id, token.id)

    assert {token.id for token in made} <= {token.id for token, _ in await service.list_tokens(ada.id)}
    assert len(await service.list_tokens(ada.id)) == MOST_TOKENS


async def test_trail_has_no_token(app: FastAPI, operator: httpx.AsyncClient, runtime: Runtime) -> None:
    made = (await operator.post(OPERATORS, json={"name": "Ada", "role": "admin"})).json()
    first = (await operator.post(f"{OPERATORS}/{made['id']}/tokens", json={"name": "laptop"})).json()
    path = f"{OPERATORS}/{made['id']}/tokens/{first['id']}"
    second = (await operator.post(f"{path}/rotate", json={})).json()
    await operator.post(f"{path}/revoke")

    records = b"".join([link.record for link in await links(runtime)]).decode()
    assert first["id"] in records
    for text in (first["token"], second["token"]):
        parts = parse_token(text)
        assert parts is not None
        assert parts.secret not in records
    last = (await entries(runtime))[-1]
    assert (last.action, last.target, list(last.changes)) == ("revoke_operator_token", first["id"], ["revoked_at"])
    rotated = (await entries(runtime))[-2]
    assert rotated.changes["successor.id"] == (None, second["id"])
