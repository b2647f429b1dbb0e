"""Login of a service by its token (JWT), and the ends of the session: no session outlives what it was begun with."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.usecases.console.login import REFUSED
from tests.support import factories, tokens
from tests.support.console import Browser, browser_of
from tests.support.factories import Clock
from tests.support.tokens import SERVICE_ACCOUNT, claims_of_service, key, later, rule, signed
from tests.support.trail import entries
from tests.support.waiting import until

LIFETIME = timedelta(minutes=10)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url="https://gateway.test", jwks_allowed_networks=factories.LOOPBACK)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def trust(operator: httpx.AsyncClient, tenant: Tenant, **changes: Any) -> str:
    answer = await operator.post(f"/admin/v1/tenants/{tenant.id}/issuers", json=rule(**changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def token(**changes: Any) -> str:
    return signed(claims_of_service(**{"exp": later(LIFETIME.total_seconds()), **changes}))


async def is_logged_in(browser: Browser, path: str = "/console/tenant") -> bool:
    """Return whether the session goes on. A page that refreshes by itself must see the end of it too."""
    pages = [await browser.get(path, headers=headers) for headers in ({"x-console-refresh": "1"}, {})]
    paths = {page.url.path for page in pages}
    assert len(paths) == 1
    return paths == {path}


async def test_login_by_token_shows_the_tenant_and_the_service(
    operator: httpx.AsyncClient, tenant: Tenant, browser: Browser
) -> None:
    await trust(operator, tenant)

    answer = await browser.log_in(token(), next="/console/tenant/usage")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/tenant/usage")
    page = await browser.get("/console")
    assert page.url.path == "/console/tenant"
    assert "of acme" in page.text
    assert (await browser.get("/console/oncall")).status_code == 403


async def test_login_by_token_of_a_key_set_url(operator: httpx.AsyncClient, tenant: Tenant, browser: Browser) -> None:
    async with tokens.issuer_server() as issuer:
        await trust(operator, tenant, jwks=None, jwks_url=issuer.url)

        assert (await browser.log_in(token())).status_code == 303

        fetched = issuer.requests
        assert await is_logged_in(browser)
        assert issuer.requests == fetched > 0, "pages do not fetch the key set again"


@pytest.mark.parametrize("scopes", [["read"], ["generate"], ["read", "manage"]])
async def test_session_of_a_token_has_the_scopes_of_its_rule(
    operator: httpx.AsyncClient, tenant: Tenant, browser: Browser, scopes: list[str]
) -> None:
    await trust(operator, tenant, scopes=scopes)
    await browser.log_in(token())

    assert (await browser.get("/console/tenant")).status_code == (200 if "read" in scopes else 403)
    blocked = await browser.post("/console/tenant/end-user/block", id="ann", reason="abuse")
    assert blocked.status_code == (404 if "manage" in scopes else 403), "the end user is unknown"


async def test_act_of_a_token_is_recorded_under_its_service(
    app: FastAPI, operator: httpx.AsyncClient, tenant: Tenant, browser: Browser
) -> None:
    issuer_id = await trust(operator, tenant)
    await browser.log_in(token())

    await browser.post("/console/tenant/end-user/block", id="ann", reason="abuse")

    actor = (await entries(app.state.runtime))[-1].actor
    assert (actor.kind, actor.tenant_id) == (ActorKind.SERVICE, tenant.id)
    assert issuer_id.split("_")[1] in (actor.id or "")


#: Each is refused with the text of all failures, whatever is wrong with it.
WRONG: dict[str, Callable[[], str]] = {
    "expired": lambda: signed(claims_of_service(exp=later(-3600), iat=later(-7200), nbf=later(-7200))),
    "not yet valid": lambda: token(nbf=later(600)),
    "wrong audience": lambda: token(aud=["another-gateway"]),
    "wrong issuer": lambda: token(iss="https://evil.example"),
    "wrong subject": lambda: token(sub=f"{SERVICE_ACCOUNT}-2"),
    "key of another issuer": lambda: signed(claims_of_service(), key("P-256", "other"), kid="first"),
    "changed claims": lambda: ".".join((token().split(".")[0], tokens.part(claims_of_service(sub="x")), "AAAA")),
    "alg none": lambda: f"{tokens.part({'alg': 'none'})}.{tokens.part(claims_of_service())}.",
    "cut": lambda: token()[:-4],
}


@pytest.mark.parametrize("name", sorted(WRONG))
async def test_login_by_a_wrong_token_is_refused(
    operator: httpx.AsyncClient, tenant: Tenant, browser: Browser, name: str
) -> None:
    await trust(operator, tenant)

    answer = await browser.log_in(WRONG[name]())

    assert answer.status_code == 401
    assert REFUSED in answer.text
    assert not browser.session_id


async def test_session_ends_when_the_token_expires(
    operator: httpx.AsyncClient, tenant: Tenant, browser: Browser, settings: Settings, clock: Clock
) -> None:
    await trust(operator, tenant)
    await browser.log_in(token())
    form = await browser.token("/console/tenant")

    clock.advance(LIFETIME + settings.jwt_leeway - timedelta(seconds=1))
    assert await is_logged_in(browser)
    clock.advance(timedelta(seconds=1))

    late = await browser.post("/console/tenant/end-user/block", token=form, id="ann", reason="late")
    assert (late.status_code, late.headers["location"]) == (303, "/console/login")
    assert not await is_logged_in(browser)


async def test_longer_token_does_not_prolong_the_session_of_another(
    operator: httpx.AsyncClient, tenant: Tenant, app: FastAPI, clock: Clock
) -> None:
    """Both tokens are of one service, and have one id."""
    await trust(operator, tenant)
    async with browser_of(app) as short, browser_of(app) as long:
        await short.log_in(token())
        await long.log_in(token(exp=later(3600)))

        clock.advance(timedelta(minutes=11))

        assert [await is_logged_in(each) for each in (short, long)] == [False, True]


async def _issuer_removed(operator: httpx.AsyncClient, tenant: Tenant, issuer_id: str) -> None:
    (await operator.delete(f"/admin/v1/tenants/{tenant.id}/issuers/{issuer_id}")).raise_for_status()


async def _tenant_deleted(operator: httpx.AsyncClient, tenant: Tenant, _: str) -> None:
    (await operator.delete(f"/admin/v1/tenants/{tenant.id}")).raise_for_status()


@pytest.mark.parametrize("revoke", [_issuer_removed, _tenant_deleted])
async def test_session_of_a_token_ends_with_its_trust(
    app: FastAPI, operator: httpx.AsyncClient, tenant: Tenant, browser: Browser, revoke: Any
) -> None:
    """The next request ends it. The token itself works no longer than the 0.9 s of the cache."""
    issuer_id = await trust(operator, tenant)
    await browser.log_in(token())
    assert await is_logged_in(browser)

    await revoke(operator, tenant, issuer_id)

    assert not await is_logged_in(browser)

    async def is_refused() -> bool:
        async with browser_of(app) as other:
            return (await other.log_in(token())).status_code in (401, 429)

    await until(is_refused)


async def test_suspension_refuses_the_session_of_a_token_at_once(
    app: FastAPI, operator: httpx.AsyncClient, tenant: Tenant, browser: Browser
) -> None:
    await trust(operator, tenant)
    await browser.log_in(token())

    await app.state.runtime.tenants.service.suspend(tenant.id, "unpaid")

    assert (await browser.get("/console/tenant")).status_code == 403


async def test_session_of_a_key_or_a_token_of_an_operator_ends_when_it_expires(
    app: FastAPI, tenant: Tenant, clock: Clock
) -> None:
    runtime, end = app.state.runtime, clock() + LIFETIME
    made = await runtime.tenants.api_keys.create(tenant.id, expires_at=end)
    ada = await runtime.operators.service.create("Ada", Role.VIEWER)
    of_ada, text = await runtime.operators.service.create_token(ada.id, expires_at=end)
    assert of_ada.expires_at == end
    async with browser_of(app, Subject(ActorKind.API_KEY, made.key.id)) as customer, browser_of(app) as person:
        await person.log_in(text)
        pages = ((customer, "/console/tenant"), (person, "/console/oncall"))
        clock.advance(LIFETIME - timedelta(seconds=1))
        assert [await is_logged_in(*page) for page in pages] == [True, True]

        clock.advance(timedelta(seconds=1))

        assert [await is_logged_in(*page) for page in pages] == [False, False]
