"""Every route of the admin API with every kind of credential: the role that its document names, and nothing less."""

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from service.domain.operator import Role
from service.runtime import Runtime
from tests.conftest import client_of
from tests.support.factories import Clock

#: Every role may use these for its own tokens; those of another operator need the role admin.
OWN_TOKENS = re.compile(r"/admin/v1/operators/{operator_id}/tokens(/{token_id}/(revoke|rotate))?")


def admin_routes(app: FastAPI) -> Iterator[tuple[str, str, list[str]]]:
    """Yield method, path and roles of each operation, as the OpenAPI document has them."""
    for path, item in sorted(app.openapi()["paths"].items()):
        if path.startswith("/admin/v1"):
            for method, operation in sorted(item.items()):
                (way,) = operation["security"]
                yield method.upper(), path, way["adminToken"]


async def token_of(runtime: Runtime, role: Role) -> str:
    operators = runtime.operators.service
    person = await operators.create(f"a {role}", role)
    _, text = await operators.create_token(person.id)
    return text


async def call(client: httpx.AsyncClient, method: str, path: str) -> int:
    return (await client.request(method, re.sub(r"\{\w+\}", "x", path))).status_code


@pytest.mark.parametrize("role", list(Role))
async def test_route_refuses_a_lower_role(app: FastAPI, runtime: Runtime, role: Role) -> None:
    async with client_of(app, await token_of(runtime, role)) as client:
        found = {
            (method, path): (
                await call(client, method, path),
                Role.ADMIN if OWN_TOKENS.fullmatch(path) else Role(needed[0]),
            )
            for method, path, needed in admin_routes(app)
        }

    assert len(found) > 40
    wrong = {
        route: (status, needed)
        for route, (status, needed) in found.items()
        if (status == 403) == role.includes(needed) or status == 401 or status >= 500
    }
    assert wrong == {}


async def test_route_refuses_credentials_that_are_not_valid(
    app: FastAPI, runtime: Runtime, api: httpx.AsyncClient, clock: Clock
) -> None:
    operators = runtime.operators.service
    person = await operators.create("Ada", Role.ADMIN)
    revoked, revoked_text = await operators.create_token(person.id)
    await operators.revoke_token(person.id, revoked.id)
    _, expired_text = await operators.create_token(person.id, expires_at=clock() + timedelta(minutes=1))
    disabled = await operators.create("Ben", Role.ADMIN)
    _, disabled_text = await operators.create_token(disabled.id)
    await operators.disable(disabled.id)
    clock.advance(timedelta(minutes=2))
    key = api.headers["authorization"].removeprefix("Bearer ")

    for text in (None, key, "wrong", revoked_text, expired_text, disabled_text):
        async with client_of(app, text) as client:
            found = {(method, path): await call(client, method, path) for method, path, _ in admin_routes(app)}
        assert set(found.values()) == {401}, (text and text[:6], {r: s for r, s in found.items() if s != 401})
