"""Each action of the console, and each page with a person's data, leaves exactly one entry; other pages leave none."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.console.routes import PublicRoute, SessionRoute
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.end_user import pseudonym
from service.domain.operator import Role
from service.domain.trail import Entry, Outcome
from service.runtime import Runtime
from tests.conftest import client_of
from tests.support import factories, tokens
from tests.support.console import Browser, browser_of, console_routes, filled, operator_subject, session_routes
from tests.support.factories import Clock
from tests.support.trail import assert_no_secret, entries_after, last_number
from tests.support.trail_acts import ADMIN_ACTS, TENANT_ACTS, Act
from tests.support.trail_scene import END_USER, HOOK, MARK, Scene, given_up, with_disabled_endpoint

#: Actions that are not recorded under their own names, and why.
NOT_RECORDED = {
    "log_in": "the new session of an operator is recorded, whatever way the login went; a refused login is counted",
    "log_in_by_link": "as above; the command that makes the link is recorded too",
    "log_out": "it ends the session of the caller, and nothing else",
}
_REASON = {"reason": "an incident"}


async def _bulk(scene: Scene) -> dict[str, Any]:
    await scene.value("end_user_id")
    filtered = json.dumps({"tenant_id": (await scene.tenant()).id})
    return {"kind": "cancel", "filter": filtered, "previewed_at": scene.clock().isoformat(), "expected": "1", **_REASON}


async def _replay(scene: Scene) -> dict[str, Any]:
    await scene.value("delivery_id")
    previewed = scene.clock().isoformat()
    return {"kind": "replay", "filter": "{}", "previewed_at": previewed, "expected": "1", **_REASON}


def _confirmed(**body: Any) -> Callable[[Scene], Awaitable[dict[str, Any]]]:
    """Return the form that a preview makes of the body of the same call of the API."""

    async def fields(scene: Scene) -> dict[str, Any]:
        tenant = await scene.tenant()
        keys = await scene.runtime.tenants.api_keys.of_tenant(tenant.id)
        newest = max(((key.created_at, key.id) for key, _ in keys), default=(None, ""))[1]
        return {"body": json.dumps(body), "version": str(tenant.version), "newest": newest, **_REASON}

    return fields


async def _issuer(scene: Scene) -> dict[str, Any]:
    rule = tokens.rule(audience=f"https://{(await scene.tenant()).id}.example")
    return {"body": json.dumps(rule), **_REASON}


async def _new_endpoint(_scene: Scene) -> dict[str, Any]:
    return {"body": json.dumps({"url": HOOK, "events": ["generation.failed"]}), "newest": "", **_REASON}


def _to_endpoint(**body: Any) -> Callable[[Scene], Awaitable[dict[str, Any]]]:
    """Return the form that a preview of a change to the endpoint makes."""

    async def fields(scene: Scene) -> dict[str, Any]:
        endpoint_id = await scene.value("endpoint_id")
        endpoint = await scene.runtime.webhooks.endpoints.get(await scene.tenant(), endpoint_id)
        return {"body": json.dumps(body), "version": str(endpoint.version), **_REASON}

    return fields


async def _adjustment(scene: Scene) -> dict[str, Any]:
    body = {"generation_id": await scene.value("generation_id"), "amount_usd": "-0.20", "expected_usd": "0.70"}
    return {"body": json.dumps(body), **_REASON}


#: What differs from the operation of the API with the same name, by path; and the acts without such an operation.
ACTS = {
    "/oncall/unconfirmed/{generation_id}": Act(generation="unconfirmed", is_read=True),
    "/oncall/unconfirmed/{generation_id}/adopt": Act(
        body={"request_id": "request-1", "unchecked": "yes", **_REASON},
        changes=("status", "fal_request_id"),
        generation="unconfirmed",
    ),
    "/oncall/unconfirmed/{generation_id}/dismiss": Act(body=_REASON, changes=("status",), generation="unconfirmed"),
    "/oncall/paid-and-lost/{generation_id}/revive": Act(
        body={"request_id": "request-2", **_REASON},
        changes=("status", "fal_request_id"),
        generation="unconfirmed",
        step=given_up,
    ),
    "/oncall/tenants/{tenant_id}/limits": Act(
        body=_confirmed(limits={"weight": 3, "webhook_url": HOOK}), changes=("limits.weight", "limits.webhook_url")
    ),
    "/oncall/tenants/{tenant_id}/keys": Act(
        target="new", body=_confirmed(name="ci", scopes=["read"]), changes=("name", "scopes", "secret_hash")
    ),
    "/oncall/tenants/{tenant_id}/keys/{key_id}/rotate": Act(
        body=_confirmed(overlap_seconds=60), changes=("rotated", "expires_at")
    ),
    "/oncall/tenants/{tenant_id}/issuers": Act(target="new", body=_issuer, changes=("issuer", "audience")),
    "/money/adjust": Act(target="generation_id", body=_adjustment, changes=("cost_micro_usd",), generation="ended"),
    "/oncall/bulk": Act(target="new", body=_bulk, changes=("state",)),
    "/tenant/bulk": Act(target="new", body=_replay, changes=("state",)),
    "/tenant/bulk/{bulk_job_id}/stop": Act(body=_REASON, changes=("stop_reason",)),
    "/tenant/generations/{generation_id}/cancel": Act(changes=("status",)),
    "/tenant/endpoints": Act(target="new", body=_new_endpoint, changes=("url", "events")),
    "/tenant/endpoints/{endpoint_id}/change": Act(body=_to_endpoint(description="new"), changes=("description",)),
    "/tenant/endpoints/{endpoint_id}/delete": Act(body=_REASON, changes=("url", "keys")),
    "/tenant/endpoints/{endpoint_id}/rotate": Act(body=_to_endpoint(overlap_seconds=60), changes=("keys",)),
    "/tenant/endpoints/{endpoint_id}/enable": Act(changes=("disabled.reason",), step=with_disabled_endpoint),
    "/tenant/endpoints/{endpoint_id}/disable": Act(changes=("disabled.reason",)),
    "/tenant/endpoints/{endpoint_id}/replay": Act(facts=("replayed", "matched")),
}


def act_of(route: SessionRoute) -> Act | None:
    area = TENANT_ACTS if route.path.startswith("/console/tenant/") else ADMIN_ACTS
    return ACTS.get(route.path.removeprefix("/console")) or area.get(route.name)


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Browser]:
    async with browser_of(app) as opened:
        yield opened


@pytest.fixture
def runtime(app: FastAPI) -> Runtime:
    found: Runtime = app.state.runtime
    return found


def test_every_console_route_is_in_one_class(app: FastAPI) -> None:
    routes = console_routes(app)
    silent = [
        route.name
        for route in routes
        if route.method == "POST"
        and not (isinstance(route, SessionRoute) and route.is_recorded)
        # a preview has the fields of a form, and changes nothing
        and not (route.name.startswith("preview") and route.path.endswith("/preview"))
    ]
    recorded = [route for route in session_routes(app) if route.is_recorded]

    assert sorted(silent) == sorted(NOT_RECORDED)
    assert [route.path for route in recorded if act_of(route) is None] == []
    assert ACTS.keys() <= {route.path.removeprefix("/console") for route in recorded}
    assert [route.path for route in routes if isinstance(route, PublicRoute) and "/login" not in route.path] == [
        "/console/static/{name}"
    ]


async def test_each_console_act_leaves_one_entry(
    app: FastAPI,
    runtime: Runtime,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    subject = await operator_subject(app, Role.ADMIN)
    async with browser_of(app, subject) as browser:
        token = await browser.token()
        for route in [each for each in session_routes(app) if each.is_recorded and isinstance(each.needs, Role)]:
            act = act_of(route)
            assert act is not None
            scene = Scene(runtime, clock, generation=act.generation)
            entry = await entry_of(route, act, scene, browser, token)
            assert (entry.actor.kind, entry.actor.id, entry.actor.role) == ("operator", subject.id, Role.ADMIN)
    await assert_no_secret(runtime, capfd.readouterr().err)


async def test_each_console_act_of_a_tenant_leaves_one_entry(
    app: FastAPI,
    runtime: Runtime,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for route in [each for each in session_routes(app) if each.is_recorded and not isinstance(each.needs, Role)]:
        act, scene = act_of(route), Scene(runtime, clock)
        assert act is not None
        made = await runtime.tenants.api_keys.create((await scene.tenant()).id)
        async with browser_of(app, Subject(ActorKind.API_KEY, made.key.id)) as browser:
            entry = await entry_of(route, act, scene, browser, await browser.token())
        assert (entry.actor.kind, entry.actor.id, entry.tenant_id) == ("api_key", made.key.id, scene.tenant_id)
    await assert_no_secret(runtime, capfd.readouterr().err)


async def test_each_login_of_an_operator_leaves_one_entry(app: FastAPI, runtime: Runtime, browser: Browser) -> None:
    person = await runtime.operators.service.create("Ada", Role.VIEWER)
    text = (await runtime.operators.service.create_token(person.id))[1]
    ticket = await runtime.console.login.issue_ticket(Subject(ActorKind.OPERATOR, person.id))
    await browser.log_in("sgo_wrong")
    await browser.log_in(text)
    token = await browser.token("/console/login/link?ticket=x")
    await browser.post("/console/login/link", token=token, ticket=ticket)

    found = await entries_after(runtime, 0)
    assert [(each.action, each.actor.id, each.actor.address) for each in found] == [
        ("log_in", person.id, "127.0.0.1"),
        ("log_in", person.id, "127.0.0.1"),
    ]
    assert all(each.actor.request_id for each in found)


async def test_each_console_act_refused_by_role_leaves_one_entry(app: FastAPI, runtime: Runtime) -> None:
    async with browser_of(app, await operator_subject(app, Role.VIEWER)) as browser:
        token = await browser.token()
        for route in [each for each in session_routes(app) if each.is_recorded]:
            number = await last_number(runtime)
            answer = await sent(browser, route, filled(route.path), token, {})
            (entry,) = await entries_after(runtime, number)
            assert answer.status_code == 403, route.path
            assert (entry.action, entry.outcome, entry.error) == (route.name, Outcome.REFUSED, "forbidden")


async def test_pages_that_record_nothing_have_no_data_of_a_person(app: FastAPI, runtime: Runtime, clock: Clock) -> None:
    """Of operators: each GET of the console and of the admin API that leaves no entry, with data in every list."""
    scene = Scene(runtime, clock, generation="unconfirmed")
    names = (
        "tenant_id",
        "generation_id",
        "end_user_id",
        "delivery_id",
        "issuer_id",
        "bulk_job_id",
        "operator_id",
        "key_id",
    )
    values = {name: await scene.value(name) for name in names} | {"action": "pause", "section": "x", "path": "x"}
    seen = 0
    async with (
        browser_of(app, await operator_subject(app, Role.ADMIN)) as browser,
        client_of(app, factories.ADMIN_TOKEN) as client,
    ):
        number = await last_number(runtime)
        for route in app.routes:
            path: str = getattr(route, "path_format", "")
            of_operators = path.startswith(("/console/oncall", "/console/money", "/admin/v1"))
            if not of_operators or "GET" not in (getattr(route, "methods", None) or ()):
                continue
            if getattr(route, "is_recorded", False) or getattr(route, "is_audited", False):
                continue
            known = {each.name for each in getattr(getattr(route, "dependant", None), "query_params", ())}
            params = {"tenant_id": values["tenant_id"]} if path.startswith("/console") or "tenant_id" in known else {}
            opened = browser.client if path.startswith("/console") else client
            answer = await opened.get(path.format(**values), params=params)
            seen += answer.status_code == 200
            assert MARK not in answer.text.replace("/hook/" + MARK, ""), path  # a receiver's URL is no person's
    assert seen > 30
    assert await entries_after(runtime, number) == []


async def entry_of(route: SessionRoute, act: Act, scene: Scene, browser: Browser, token: str) -> Entry:
    """Call an action or a recorded page, and return its single entry after the checks that are the same for all."""
    values = {name: await scene.value(name) for name in route.param_convertors}
    fields = dict(await act.body_in(scene) or {})
    if not route.path.startswith("/console/tenant/") and route.method == "POST":
        fields |= _REASON  # the API demands none for two of them
    if route.path.startswith("/console/tenant/end-user"):
        fields["id"] = await scene.value("end_user_id")
        values["end_user_id"] = pseudonym(await scene.tenant(), END_USER)
    if act.step is not None:
        await act.step(scene)
    number = await last_number(scene.runtime)
    answer = await sent(browser, route, route.path_format.format(**values), token, fields)
    assert answer.status_code in (200, 303), (route.path, answer.status_code, answer.text)
    found = await entries_after(scene.runtime, number)
    assert [(each.action, each.outcome, each.error) for each in found] == [(route.name, Outcome.DONE, None)]
    (entry,) = found
    assert entry.actor.address == "127.0.0.1"
    assert entry.actor.request_id
    target = next(reversed(values.values()), None) if act.target is None else scene.found.get(act.target, entry.target)
    assert (act.target != "new") or (entry.target and entry.target not in values.values())
    assert (entry.target, entry.tenant_id) == (target, scene.tenant_id), route.path
    assert entry.reason == fields.get("reason"), route.path
    assert entry.changes.keys() >= {*act.changes}, (route.path, entry.changes)
    assert entry.facts.keys() >= {*act.facts}, (route.path, entry.facts)
    return entry


async def sent(browser: Browser, route: SessionRoute, path: str, token: str, fields: dict[str, str]) -> httpx.Response:
    if route.method == "GET":
        return await browser.get(path, follow_redirects=False)
    form: Any = fields  # of texts alone: ``post`` has no other field of this name
    return await browser.post(path, token=token, **form)
