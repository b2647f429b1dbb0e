"""Attacks on the console: forged requests, open redirects, frames, roles, and texts with markup."""

import hashlib
import html
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.console.next_page import checked_next
from service.domain.actor import Actor, ActorKind
from service.domain.console_session import Subject
from service.domain.operator import Role
from service.domain.tenant import Scope, Tenant
from service.usecases.console.identity import Identities, Identity
from tests.support import factories
from tests.support.console import ORIGIN, SESSION_COOKIE, Browser, browser_of, console_routes, filled, session_routes

#: The headers of a forged POST, by what is wrong with it.
FORGED: dict[str, dict[str, str]] = {
    "no origin": {},
    "foreign origin": {"origin": "https://evil.example"},
    "origin null": {"origin": "null"},
    "sibling origin": {"origin": "https://other.gateway.test"},
    "other port": {"origin": "https://gateway.test:8443"},
    "over http": {"origin": "http://gateway.test"},
    "host as a prefix": {"origin": "https://gateway.test.evil.example"},
    "cross-site": {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
    "same-site": {"origin": ORIGIN, "sec-fetch-site": "same-site"},
    "navigation": {"origin": ORIGIN, "sec-fetch-site": "none"},
}
FOREIGN_PAGES = [
    "https://evil.example/",
    "//evil.example/console",
    "/\\evil.example",
    "/console/..//evil.example",
    "/console//evil.example",
    "/console\\evil.example",
    "/console/\tx",
    "/console/x\r\nset-cookie: a=b",
    "javascript:alert(1)",
    "/consolex",
    "/v1/generations",
    "console/oncall",
    "/console/logout",
    "/console/login?next=/console",
    "/console/" + "x" * 3000,
    "/console/<script>",
]


async def paused(app: FastAPI) -> bool:
    return (await app.state.runtime.operations.gate.read()).hold is not None


@pytest.mark.parametrize("name", sorted(FORGED))
async def test_forged_post_is_refused(app: FastAPI, admin: Browser, name: str) -> None:
    token = await admin.token()

    answer = await admin.post("/console/oncall/pause", token=token, headers=FORGED[name], reason="forged")

    assert answer.status_code == 403
    assert not await paused(app)


@pytest.mark.parametrize("wrong", ["missing", "of another session", "cut", "not base64", "not ASCII"])
async def test_post_without_token_of_the_session_is_refused(app: FastAPI, admin: Browser, wrong: str) -> None:
    token = await admin.token()
    async with browser_of(app, Subject(ActorKind.LOCAL, "another")) as other:
        given = {"missing": "", "of another session": await other.token(), "cut": token[:40]}
    given |= {"not base64": "?" * 88, "not ASCII": "ü" * 44}

    answer = await admin.post("/console/oncall/pause", token=given[wrong], reason="forged")

    assert answer.status_code == 403
    assert not await paused(app)


async def test_every_post_refuses_forged_requests(app: FastAPI, admin: Browser) -> None:
    posts = [route for route in console_routes(app) if route.method == "POST"]
    assert len(posts) > 4
    token = await admin.token()
    for route in posts:
        path = filled(route.path)
        for headers in ({}, {"origin": "https://evil.example"}, {"origin": ORIGIN, "sec-fetch-site": "cross-site"}):
            answer = await admin.client.post(path, data={"csrf": token}, headers=headers)
            assert answer.status_code == 403, path
        answer = await admin.client.post(path, data={"reason": "x"}, headers={"origin": ORIGIN})
        assert answer.status_code == 403, path
    assert (await admin.get("/console/oncall")).url.path == "/console/oncall", "the session goes on"


@pytest.mark.parametrize("path", ["/console/login", "/console/login/link"])
@pytest.mark.parametrize("name", sorted(FORGED))
async def test_forged_login_is_refused(app: FastAPI, browser: Browser, name: str, path: str) -> None:
    """The form's token is right: the origin alone refuses the login."""
    ticket = await app.state.runtime.console.login.issue_ticket(Subject(ActorKind.LOCAL, "ada"))
    fields = {"secret": factories.ADMIN_TOKEN, "ticket": ticket}
    token = await browser.token("/console/login")

    answer = await browser.post(path, token=token, headers=FORGED[name], **fields)

    assert (answer.status_code, browser.session_id) == (403, "")
    await browser.post(path, token=token, **fields)
    assert browser.session_id


async def test_login_form_refuses_the_token_of_another_browser(app: FastAPI, browser: Browser) -> None:
    """Login CSRF: an attacker would log a victim in as the attacker."""
    async with browser_of(app) as other:
        token = await other.token("/console/login")
    await browser.get("/console/login")

    answer = await browser.post("/console/login", token=token, secret=factories.ADMIN_TOKEN)

    assert answer.status_code == 403
    assert not browser.session_id


async def test_every_page_and_action_needs_a_session(app: FastAPI, browser: Browser) -> None:
    routes = session_routes(app)
    assert len(routes) > 8
    for route in routes:
        answer = await browser.client.request(route.method, filled(route.path), headers={"origin": ORIGIN})
        assert answer.status_code == 303, route.path
        assert answer.headers["location"].startswith("/console/login"), route.path


def _rights() -> dict[str, dict[str, Any]]:
    return {
        "viewer": {"role": Role.VIEWER},
        "operator": {"role": Role.OPERATOR},
        "admin": {"role": Role.ADMIN},
        "key that reads": {"scopes": frozenset({Scope.READ})},
        "key that generates": {"scopes": frozenset({Scope.GENERATE})},
        "key that manages": {"scopes": frozenset({Scope.MANAGE})},
        "key of a suspended tenant": {"scopes": frozenset(Scope), "suspended": True},
    }


@pytest.mark.parametrize("who", sorted(_rights()))
async def test_role_or_scope_below_the_needed_one_is_refused_everywhere(
    app: FastAPI, admin: Browser, monkeypatch: pytest.MonkeyPatch, tenant: Tenant, who: str
) -> None:
    rights = dict(_rights()[who])
    if "scopes" in rights:
        owner = factories.tenant(suspended=True) if rights.pop("suspended", False) else tenant
        rights["tenant"] = owner
    actor = Actor(kind=ActorKind.LOCAL, name=who, role=rights.pop("role", None))
    identity = Identity(actor, **rights)
    token = await admin.token()

    async def of_subject(_self: Identities, _subject: Subject) -> Identity:
        return identity

    monkeypatch.setattr(Identities, "of_subject", of_subject)
    refused = [r for r in session_routes(app) if r.needs is not None and not identity.may(r.needs)]
    for route in refused:
        data = {"csrf": token, "reason": "x"} if route.method == "POST" else None
        answer = await admin.client.request(route.method, filled(route.path), data=data, headers={"origin": ORIGIN})
        assert answer.status_code == 403, (who, route.path)
    assert refused
    assert not await paused(app)


async def test_every_response_forbids_frames_scripts_and_storage(app: FastAPI, admin: Browser) -> None:
    paths = [filled(route.path) for route in console_routes(app) if route.method == "GET"]
    for path in [*paths, "/console/nowhere"]:
        answer = await admin.client.get(path)
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        expected = {
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
        }
        assert {name: answer.headers[name] for name in expected} == expected, path
        assert not [mark for mark in ("<script>", " style=", " onclick=", "javascript:") if mark in answer.text], path


@pytest.mark.parametrize("target", FOREIGN_PAGES)
async def test_login_redirects_to_no_other_place(browser: Browser, target: str) -> None:
    answer = await browser.log_in(factories.ADMIN_TOKEN, next=target)

    assert answer.headers["location"] == "/console"


@pytest.mark.parametrize(
    "target", ["/console", "/console/", "/console/oncall", "/console/tenants/ten_1?status=queued&metadata%5Ba%5D=7"]
)
def test_next_page_below_the_console_is_kept(target: str) -> None:
    assert checked_next(target) == target.removeprefix("/console")


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=1" for _ in range(600)), "application/x-www-form-urlencoded", 400),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
    ],
)
async def test_form_beyond_its_bounds_is_refused(admin: Browser, body: bytes, media_type: str, status: int) -> None:
    headers = {"origin": ORIGIN, "content-type": media_type}
    assert (await admin.client.post("/console/oncall/pause", content=body, headers=headers)).status_code == status


async def test_reason_with_markup_is_escaped(admin: Browser) -> None:
    payload = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}"

    await admin.post("/console/oncall/pause", reason=payload)

    page = (await admin.get("/console/oncall")).text
    assert payload not in page
    assert "<img src=x" not in page
    assert html.escape(payload, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page


async def test_name_of_tenant_with_markup_is_escaped(app: FastAPI) -> None:
    tenants = app.state.runtime.tenants
    made = await tenants.api_keys.create(
        (await tenants.service.create("<img src=x>'\"")).id, name="<script>key</script>"
    )
    async with browser_of(app, Subject(ActorKind.API_KEY, made.key.id)) as browser:
        page = (await browser.get("/console/tenant")).text

    assert "&lt;img src=x&gt;" in page
    assert "<img src=x>" not in page
    assert "<script>key" not in page


async def test_unavailable_redis_shows_a_page(app: FastAPI, admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.errors import StoreUnavailable
    from service.store.console.sessions import ConsoleSessionStore

    async def resume(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("Redis does not answer.")

    monkeypatch.setattr(ConsoleSessionStore, "resume", resume)

    page = await admin.get("/console/oncall")

    assert page.status_code == 503
    assert "Redis does not answer." in page.text
    assert 'data-refresh="5"' in page.text


class TestPublicUrl:
    """Behind a proxy that changes ``Host``, the origin of the public URL counts."""

    @pytest.fixture
    def settings(self, redis_url: str) -> Settings:
        return factories.settings(redis_url, public_url="https://video.example.com/eu")

    async def test_origin_of_the_public_url_is_own(self, app: FastAPI) -> None:
        subject = Subject(ActorKind.LOCAL, "tester")
        async with browser_of(app) as browser:
            session_id = await app.state.runtime.console.sessions.begin(subject)
            name = f"{SESSION_COOKIE}-{hashlib.sha256(b'/eu').hexdigest()[:8]}"
            browser.client.cookies.set(name, session_id, domain="gateway.test", path="/")
            for origin, status in (("https://video.example.com", 303), ("https://evil.example", 403)):
                answer = await browser.post("/console/oncall/pause", headers={"origin": origin}, reason="x")
                assert answer.status_code == status
            assert "/eu/console/oncall" in (await browser.get("/console/oncall")).text


class TestWithoutConsole:
    @pytest.fixture
    def settings(self, redis_url: str) -> Settings:
        return factories.settings(redis_url, console=False)

    async def test_setting_removes_every_route(self, app: FastAPI, browser: Browser) -> None:
        for path in ("/console", "/console/login", "/console/static/console.css"):
            assert (await browser.client.get(path)).status_code == 404
        assert console_routes(app) == []


async def test_unexpected_error_is_a_page_without_details(
    app: FastAPI, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(_self: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("service.usecases.operations.status.StatusService.read", read)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=admin.client.cookies) as client:
        page = await client.get("/console/oncall")

    assert page.status_code == 500
    assert "Something went wrong here" in page.text
    assert "secret detail" not in page.text
