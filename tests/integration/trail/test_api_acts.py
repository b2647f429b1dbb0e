"""Each operation of the API either leaves exactly one entry, which names who, what and why, or is listed with a reason.

The classes come from the routes: a new one is in ``ADMIN_ACTS`` or ``TENANT_ACTS`` if it is recorded, and in
``NOT_RECORDED`` if it is not, unless it is a read.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.http.audited import AuditedRoute
from service.domain.end_user import pseudonym
from service.domain.operator import Role
from service.domain.trail import Entry, Outcome
from service.runtime import Runtime
from tests.conftest import client_of
from tests.support.factories import Clock
from tests.support.trail import assert_no_secret, entries_after, last_number
from tests.support.trail_acts import ADMIN_ACTS, TENANT_ACTS, Act
from tests.support.trail_scene import Scene

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_GENERATION = "a generation is what a tenant's key is for: the record has its history"
_SHORT_LIVED = "a ticket or upload that expires by itself, within the tenant's own limits"
#: Writes that leave no entry, and why.
NOT_RECORDED = {
    "create_generation": _GENERATION,
    "estimate_cost": "it changes nothing",
    "cancel_generation": _GENERATION,
    "complete_generation": _GENERATION,
    "create_stream_ticket": _SHORT_LIVED,
    "cancel_fal_request": _GENERATION,
    "submit_fal_request": _GENERATION,
    "forward_post_request": _GENERATION,
    "forward_put_request": _GENERATION,
    "forward_delete_request": "fal's proxy has no such call: it is refused",
    "stream_fal_request": _GENERATION,
    "run_fal_request": _GENERATION,
    "initiate_fal_upload": _SHORT_LIVED,
    "refuse_fal_multipart_upload": "it is refused",
    "put_fal_upload": _SHORT_LIVED,
    "create_fal_upload_token": _SHORT_LIVED,
    "upload_fal_file": _SHORT_LIVED,
    "refuse_fal_file_multipart": "it is refused",
    "start_vercel_video": _GENERATION,
    "read_vercel_video": "a read with a body",
    "run_vercel_video": _GENERATION,
    "create_openai_video": _GENERATION,
    "delete_openai_video": _GENERATION,
    "create_openrouter_video": _GENERATION,
    "upload_image": _SHORT_LIVED,
    "create_usage_report": "a report of the tenant's own usage, which expires",
    "receive_callback": "fal's call, with a token of its generation",
}


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
async def clients(app: FastAPI, runtime: Runtime) -> AsyncIterator[dict[Role, httpx.AsyncClient]]:
    """Return a client of each role's operator; all are named Ada."""
    service, found = runtime.operators.service, {}
    for role in Role:
        person = await service.create("Ada", role)
        found[role] = client_of(app, (await service.create_token(person.id))[1])
    yield found
    for client in found.values():
        await client.aclose()


def api_routes(app: FastAPI) -> list[Any]:
    routes: list[Any] = [*app.routes]
    return [route for route in routes if hasattr(route, "methods") and not route.path.startswith("/console")]


def audited(app: FastAPI, prefix: str) -> dict[str, AuditedRoute]:
    """Return the recorded routes below a prefix, by operation id."""
    routes = [each for each in api_routes(app) if isinstance(each, AuditedRoute) and each.is_audited]
    return {route.name: route for route in routes if route.path.startswith(prefix)}


def test_every_write_of_the_api_is_in_one_class(app: FastAPI) -> None:
    recorded = {**audited(app, "/v1"), **audited(app, "/admin/v1")}
    writes = {route.name for route in api_routes(app) if not (route.methods or set()) <= _READS}

    assert sorted(recorded) == sorted([*TENANT_ACTS, *ADMIN_ACTS])
    assert sorted(writes - recorded.keys()) == sorted(NOT_RECORDED)


def test_every_operation_for_managers_is_recorded(app: FastAPI) -> None:
    """By the security of the document: writes with the scope manage, and reads for more than a viewer."""
    document, recorded = app.openapi()["paths"], {**audited(app, "/v1"), **audited(app, "/admin/v1")}
    found, of_operators = set(), ["list_operators", "read_operator"]  # names of operators, as in each entry
    for item in document.values():
        for method, operation in item.items():
            needed = [name for way in operation.get("security", []) for names in way.values() for name in names]
            if (method != "get" and "manage" in needed) or (method == "get" and {"operator", "admin"} & {*needed[:1]}):
                found.add(operation["operationId"])
    assert sorted(found - recorded.keys()) == of_operators


async def test_each_admin_act_leaves_one_entry(
    app: FastAPI,
    runtime: Runtime,
    clients: dict[Role, httpx.AsyncClient],
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, route in audited(app, "/admin/v1").items():
        act = ADMIN_ACTS[name]
        scene = Scene(runtime, clock, generation=act.generation)
        entry = await entry_of(route, act, scene, clients[Role.ADMIN])
        assert (entry.actor.kind, entry.actor.name, entry.actor.role) == ("operator", "Ada", Role.ADMIN), name
        assert entry.actor.token_id, name
    await assert_no_secret(runtime, capfd.readouterr().err)


async def test_each_admin_act_refused_by_role_leaves_one_entry(
    app: FastAPI, runtime: Runtime, clients: dict[Role, httpx.AsyncClient]
) -> None:
    for name, route in audited(app, "/admin/v1").items():
        number = await last_number(runtime)
        path = route.path_format.format(**dict.fromkeys(route.param_convertors, "x"))
        answer = await clients[Role.VIEWER].request(min(route.methods or ()), path)
        (entry,) = await entries_after(runtime, number)

        assert answer.status_code == 403, name
        assert (entry.action, entry.outcome, entry.error) == (name, Outcome.REFUSED, "forbidden")
        assert (entry.target, entry.tenant_id, entry.changes) == (None, None, {}), name
        assert (entry.actor.role, entry.actor.address) == (Role.VIEWER, "127.0.0.1")


async def test_each_act_of_a_tenant_leaves_one_entry(
    app: FastAPI,
    runtime: Runtime,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, route in audited(app, "/v1").items():
        scene = Scene(runtime, clock)
        tenant = await scene.tenant()
        made = await runtime.tenants.api_keys.create(tenant.id, name="ci")
        async with client_of(app, made.text) as client:
            entry = await entry_of(route, TENANT_ACTS[name], scene, client)
            number = await last_number(runtime)
            refused = await client.request(
                min(route.methods or ()), route.path_format.format(**dict.fromkeys(route.param_convertors, "x"))
            )
        again = await entries_after(runtime, number)

        assert (entry.actor.kind, entry.actor.id, entry.actor.tenant_id) == ("api_key", made.key.id, tenant.id), name
        assert entry.tenant_id == tenant.id
        # Without a body and with an unknown id most are refused; the entry says which it was.
        assert [(each.action, each.outcome is Outcome.DONE) for each in again] == [(name, refused.is_success)]
    await assert_no_secret(runtime, capfd.readouterr().err)


async def entry_of(route: AuditedRoute, act: Act, scene: Scene, client: httpx.AsyncClient) -> Entry:
    """Call an operation, and return its single entry after the checks that are the same for all."""
    name, values = route.name, {}
    for parameter in route.param_convertors:
        values[parameter] = await scene.value(parameter)
    body = await act.body_in(scene)
    if act.step is not None:
        await act.step(scene)
    number = await last_number(scene.runtime)
    answer = await client.request(
        min(route.methods or ()),
        route.path_format.format(**values) + act.query,
        json=body,
        headers={"x-request-id": f"r-{name}"},
    )
    assert answer.is_success, (name, answer.status_code, answer.text)
    found = await entries_after(scene.runtime, number)
    assert [each.action for each in found] == [name]
    (entry,) = found
    assert (entry.outcome, entry.error) == (Outcome.DONE, None), name
    assert (entry.actor.address, entry.actor.request_id) == ("127.0.0.1", f"r-{name}"), name
    assert (entry.target, entry.tenant_id) == await _expected(act, scene, values, answer), name
    assert entry.reason == (body or {}).get("reason", "a request" if act.query else None), name
    assert entry.changes.keys() >= {*act.changes}, (name, entry.changes)
    assert all(before != after or "[redacted]" in (before, after) for before, after in entry.changes.values())
    assert (act.is_read, bool(act.facts)) == (not (entry.changes or act.facts), bool(entry.facts) and not act.changes)
    assert entry.facts.keys() >= {*act.facts}, (name, entry.facts)
    return entry


async def _expected(
    act: Act, scene: Scene, values: dict[str, str], answer: httpx.Response
) -> tuple[str | None, str | None]:
    """Return target and tenant of a call's entry."""
    if act.target == "new":
        made = answer.json()["id"]
        return made, made if made.startswith("ten_") else scene.tenant_id
    if act.target is not None:
        return await scene.value(act.target), scene.tenant_id
    if "end_user_id" in values:
        return pseudonym(await scene.tenant(), values["end_user_id"]), scene.tenant_id
    named = [value for name, value in values.items() if name != "tenant_id"]
    return (named[-1] if named else values.get("tenant_id")), None if act.is_of_all else scene.tenant_id
