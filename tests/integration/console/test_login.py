"""Login and sessions: by key, admin token and link; expiry, limits, revocation, logout."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from service.domain.actor import ActorKind
from service.domain.console_session import IDLE, LINK_LIFETIME, LONGEST, MOST_SESSIONS, ConsoleSession, Subject
from service.domain.operator import Operator, OperatorToken, Role
from service.domain.tenant import Scope, Tenant
from service.observability import metrics
from service.store import keys
from service.store.redis.client import Redis
from service.usecases.console.login import REFUSED
from tests.support.console import ADMIN, LOGIN_COOKIE, SESSION_COOKIE, Browser, browser_of
from tests.support.factories import ADMIN_TOKEN, Clock
from tests.support.metric_values import value

WRONG = {
    "empty": "",
    "no key": "hello",
    "unknown key": "sgk_000000000000_" + "0" * 47,
    "wrong admin token": ADMIN_TOKEN[:-1] + "x",
    "not ASCII": "schlüssel",
    "too long": "x" * 10_000,
}


async def link_of(app: FastAPI, subject: Subject = ADMIN) -> str:
    return str(await app.state.runtime.console.login.issue_ticket(subject))


async def follow(browser: Browser, ticket: str) -> httpx.Response:
    token = await browser.token(f"/console/login/link?ticket={ticket}")
    return await browser.post("/console/login/link", token=token, ticket=ticket)


async def test_login_by_admin_token_shows_the_page_of_operators(browser: Browser) -> None:
    answer = await browser.log_in(ADMIN_TOKEN)

    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    page = await browser.get("/console")
    assert page.url.path == "/console/oncall"
    assert "admin token, admin" in page.text


async def test_login_by_api_key_shows_the_page_of_its_tenant(browser: Browser, api: httpx.AsyncClient) -> None:
    await browser.log_in(api.headers["authorization"].removeprefix("Bearer "))

    page = await browser.get("/console")

    assert page.url.path == "/console/tenant"
    assert "of acme" in page.text
    assert (await browser.get("/console/oncall")).status_code == 403


@pytest.mark.parametrize("name", sorted(WRONG))
async def test_login_failures_are_equal(browser: Browser, name: str) -> None:
    answer = await browser.log_in(WRONG[name])

    assert answer.status_code == 401
    assert REFUSED in answer.text
    assert not browser.session_id


async def test_login_leads_to_the_page_that_was_wanted(browser: Browser) -> None:
    first = await browser.get("/console/money?x=1", follow_redirects=False)
    assert first.headers["location"] == "/console/login?next=%2Fconsole%2Fmoney%3Fx%3D1"

    answer = await browser.log_in(ADMIN_TOKEN, next="/console/money?x=1")

    assert answer.headers["location"] == "/console/money?x=1"


async def test_login_attempts_of_an_address_are_limited(browser: Browser, clock: Clock) -> None:
    statuses = [(await browser.log_in("wrong")).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    refused = await browser.log_in(ADMIN_TOKEN)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")

    clock.advance(timedelta(minutes=1))

    assert (await browser.log_in(ADMIN_TOKEN)).status_code == 303


async def test_login_attempts_by_link_are_limited(browser: Browser) -> None:
    token = await browser.token("/console/login")
    answers = [await browser.post("/console/login/link", token=token, ticket="wrong") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2


async def test_login_attempts_of_all_addresses_are_limited(app: FastAPI, clock: Clock) -> None:
    login = app.state.runtime.console.login
    counted = [await login._store.count(f"192.0.2.{number}", clock()) for number in range(201)]

    assert [wait for wait in counted if wait is not None] == [timedelta(milliseconds=100)]


async def test_addresses_beyond_the_limit_of_all_store_nothing(app: FastAPI, clock: Clock) -> None:
    login, redis = app.state.runtime.console.login, app.state.runtime.redis
    for number in range(200):
        assert await login._store.count(f"192.0.2.{number}", clock()) is None
    assert await login._store.count("198.51.100.1", clock()) == timedelta(milliseconds=100)

    assert await redis.execute("EXISTS", keys.console_attempts("198.51.100.1")) == 0
    assert await redis.execute("PTTL", keys.console_attempts("192.0.2.1")) <= 60_000


async def test_refused_logins_are_counted_by_way(app: FastAPI, browser: Browser) -> None:
    before = {way: value(metrics.CONSOLE_LOGINS_REFUSED.labels(way)) for way in ("secret", "link", "limit")}
    await follow(browser, "unknown")
    for secret in [*WRONG.values(), *"wxyz"]:
        await browser.log_in(secret)

    found = {way: value(metrics.CONSOLE_LOGINS_REFUSED.labels(way)) - count for way, count in before.items()}
    assert found == {"secret": len(WRONG) + 3, "link": 1, "limit": 1}


async def test_login_link_works_once(app: FastAPI, browser: Browser) -> None:
    ticket = await link_of(app)
    for _ in range(2):  # a preview of the link reads the page
        assert (await browser.get(f"/console/login/link?ticket={ticket}")).status_code == 200

    assert (await follow(browser, ticket)).status_code == 303
    assert "tester, admin" in (await browser.get("/console")).text

    async with browser_of(app) as other:
        assert (await follow(other, ticket)).status_code == 401
        assert not other.session_id


async def test_login_link_raced_by_two_browsers_logs_in_one(app: FastAPI) -> None:
    ticket = await link_of(app)
    async with browser_of(app) as one, browser_of(app) as two:
        answers = await asyncio.gather(follow(one, ticket), follow(two, ticket))
        assert sorted(answer.status_code for answer in answers) == [303, 401]


async def test_login_link_expires_after_five_minutes(app: FastAPI, redis: Redis) -> None:
    name = keys.console_login(keys.console_digest(await link_of(app)))
    left = await redis.execute("PTTL", name)
    assert 0 < left <= LINK_LIFETIME.total_seconds() * 1000


async def test_session_id_and_ticket_are_in_redis_as_hashes_only(app: FastAPI, browser: Browser, redis: Redis) -> None:
    ticket = await link_of(app)
    await browser.log_in(ADMIN_TOKEN)
    stored = []
    for name in await redis.execute("KEYS", "*console*"):
        stored += [name, await redis.execute("DUMP", name) or b""]
    assert len(stored) >= 6
    for secret in (browser.session_id, ticket, ADMIN_TOKEN):
        assert not [value for value in stored if secret.encode() in value]


async def test_session_cookie_is_hidden_and_bound_to_the_host(browser: Browser) -> None:
    answer = await browser.log_in(ADMIN_TOKEN)

    cookies = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
    assert cookies.keys() == {SESSION_COOKIE, LOGIN_COOKIE}
    for line in cookies.values():
        attributes = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= attributes
        assert not any(part.startswith("domain") for part in attributes)
    assert len(browser.session_id) == 43


async def test_login_never_adopts_a_given_session_id(app: FastAPI, browser: Browser) -> None:
    """Session fixation: an id that an attacker has set before the login opens nothing after it."""
    for chosen in ("x" * 43, await app.state.runtime.console.sessions.begin(ADMIN)):
        browser.client.cookies.set(SESSION_COOKIE, chosen, domain="gateway.test", path="/")
        token = await browser.token("/console/login")
        await browser.post("/console/login", token=token, secret=ADMIN_TOKEN)
        assert browser.session_id != chosen
        assert await app.state.runtime.console.sessions.resume(chosen) is None


async def test_logout_ends_the_session_in_redis(app: FastAPI, admin: Browser) -> None:
    before = admin.session_id

    answer = await admin.post("/console/logout")

    assert answer.headers["location"] == "/console/login"
    assert not admin.session_id
    assert await app.state.runtime.console.sessions.resume(before) is None


async def test_revoked_key_ends_its_session_at_once(app: FastAPI, tenant: Tenant) -> None:
    tenants = app.state.runtime.tenants
    made = await tenants.api_keys.create(tenant.id)
    async with browser_of(app, Subject(ActorKind.API_KEY, made.key.id)) as browser:
        assert (await browser.get("/console/tenant")).status_code == 200

        await tenants.api_keys.revoke(tenant.id, made.key.id)

        assert (await browser.get("/console/tenant")).url.path == "/console/login"


async def test_suspended_tenant_is_refused_at_once(app: FastAPI, customer: Browser, tenant: Tenant) -> None:
    tenants = app.state.runtime.tenants.service
    await tenants.suspend(tenant.id, "unpaid <b>bill</b>")

    page = await customer.get("/console/tenant")

    assert page.status_code == 403
    assert "unpaid &lt;b&gt;bill&lt;/b&gt;" in page.text
    assert (await customer.get("/console")).status_code == 403
    await tenants.resume(tenant.id)
    assert (await customer.get("/console/tenant")).status_code == 200


async def test_key_without_scope_is_refused(app: FastAPI, tenant: Tenant) -> None:
    made = await app.state.runtime.tenants.api_keys.create(tenant.id, scopes=(Scope.GENERATE,))
    async with browser_of(app, Subject(ActorKind.API_KEY, made.key.id)) as browser:
        assert (await browser.get("/console/tenant")).status_code == 403
        assert "scope <code>read</code>" in (await browser.get("/console")).text


async def test_session_ends_when_the_admin_token_changes(app: FastAPI, browser: Browser, clock: Clock) -> None:
    before = ConsoleSession(Subject(ActorKind.BREAK_GLASS, "hash of the earlier token"), clock())
    await app.state.runtime.stores.console_sessions.begin("x" * 43, before, clock())
    browser.client.cookies.set(SESSION_COOKIE, "x" * 43, domain="gateway.test", path="/")

    for _ in range(2):
        assert (await browser.get("/console/oncall")).url.path == "/console/login"


@pytest.fixture
async def operator_token(app: FastAPI) -> tuple[Operator, OperatorToken, str]:
    operators = app.state.runtime.operators.service
    made = await operators.create("Ada", Role.OPERATOR)
    return made, *await operators.create_token(made.id)


async def test_login_by_operator_token_has_its_role(
    browser: Browser, operator_token: tuple[Operator, OperatorToken, str]
) -> None:
    await browser.log_in(operator_token[2])

    assert "Ada, operator" in (await browser.get("/console")).text


async def test_changed_role_acts_at_once(
    app: FastAPI, browser: Browser, operator_token: tuple[Operator, OperatorToken, str]
) -> None:
    made, _, text = operator_token
    await browser.log_in(text)
    token = await browser.token("/console/oncall/pause")

    assert await app.state.runtime.stores.operators.update(replace(made, role=Role.VIEWER))

    assert (await browser.post("/console/oncall/pause", token=token, reason="late")).status_code == 403
    assert (await browser.get("/console/oncall/pause")).status_code == 403
    assert (await app.state.runtime.operations.gate.read()).hold is None
    assert ">Pause<" not in (await browser.get("/console/oncall")).text


async def test_disabled_operator_and_revoked_token_end_the_session_at_once(
    app: FastAPI, clock: Clock, operator_token: tuple[Operator, OperatorToken, str]
) -> None:
    made, token, text = operator_token
    store = app.state.runtime.stores.operators
    async with browser_of(app) as one, browser_of(app, Subject(ActorKind.OPERATOR, made.id)) as without_token:
        await one.log_in(text)
        for browser, end in (
            (one, store.update_token(replace(token, revoked_at=clock()))),
            (without_token, store.update(replace(made, disabled_at=clock()))),
        ):
            assert (await browser.get("/console/oncall")).url.path == "/console/oncall"
            assert await end
            assert (await browser.get("/console/oncall")).url.path == "/console/login"


async def test_session_ends_twelve_hours_after_login(admin: Browser, clock: Clock) -> None:
    clock.advance(LONGEST - timedelta(seconds=1))
    assert (await admin.get("/console/oncall")).url.path == "/console/oncall"

    clock.advance(timedelta(seconds=1))

    assert (await admin.get("/console/oncall")).url.path == "/console/login"


async def test_session_ends_after_an_idle_hour(admin: Browser, redis: Redis) -> None:
    name = keys.console_session(keys.console_digest(admin.session_id))
    await redis.execute("PEXPIRE", name, 60_000)
    await admin.get("/console/oncall", headers={"x-console-refresh": "1"})  # no person asked for it
    assert await redis.execute("PTTL", name) <= 60_000

    await admin.get("/console/oncall")

    assert 60_000 < await redis.execute("PTTL", name) <= IDLE.total_seconds() * 1000


async def test_sessions_of_a_subject_are_bounded(app: FastAPI, clock: Clock, redis: Redis) -> None:
    sessions = app.state.runtime.console.sessions
    begun = []
    for _ in range(MOST_SESSIONS + 2):
        clock.advance(timedelta(seconds=1))
        begun.append(await sessions.begin(ADMIN))

    alive = [session_id for session_id in begun if await sessions.resume(session_id)]

    assert alive == begun[2:]
    assert await redis.execute("ZCARD", keys.console_sessions(ADMIN.kind, ADMIN.id)) == MOST_SESSIONS


async def test_message_of_an_action_is_shown_once(admin: Browser) -> None:
    answer = await admin.post("/console/oncall/pause", reason="a drill")
    assert answer.headers["location"] == "/console/oncall"

    pages = [(await admin.get("/console/oncall")).text for _ in range(2)]

    assert ["Dispatch is paused." in page for page in pages] == [True, False]


async def test_log_has_the_route_and_the_person(admin: Browser, capfd: pytest.CaptureFixture[str]) -> None:
    await admin.get("/console/oncall")
    await asyncio.sleep(0)  # lines are written after the response

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request" and line["method"] == "GET"]
    assert (line["route"], line["status"], line["actor"]) == ("/console/oncall", 200, "tester")
