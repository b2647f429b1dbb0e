"""Login of operators by OpenID Connect, from the button to the audit trail."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from service.domain import ids
from service.domain.operator import Operator, Role
from service.domain.trail import Entry
from tests.support.console import Browser, browser_of
from tests.support.factories import Clock
from tests.support.openid import (
    ANN,
    CLIENT_ID,
    OpenIdServer,
    authorize,
    begin,
    log_in,
    query_of,
)
from tests.support.tokens import key
from tests.support.trail import links


async def newest_entries(app: FastAPI) -> list[Entry]:
    """Return the entries of the audit trail, the newest first."""
    return [link.load() for link in reversed(await links(app.state.runtime))]


async def operator_of(app: FastAPI, provider: OpenIdServer, sub: str = ANN["sub"]) -> Operator:
    operator_id = ids.of_text(ids.OPERATOR, f"{provider.issuer} {sub}")
    operator: Operator = await app.state.runtime.operators.service.get(operator_id)
    return operator


async def change(app: FastAPI, operator: Operator, **values: Any) -> None:
    assert await app.state.runtime.stores.operators.update(replace(operator, **values))


async def test_login_page_has_a_button_for_the_provider(browser: Browser) -> None:
    page = await browser.get("/console/oncall?x=1")
    assert "Log in with 127.0.0.1" in page.text
    assert 'href="/console/login/openid?next=/console/oncall%3Fx%3D1"' in page.text


async def test_login_leads_to_the_wanted_page(app: FastAPI, browser: Browser, provider: OpenIdServer) -> None:
    answer = await log_in(browser, "/console/oncall?x=1")
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/console/oncall?x=1">' in answer.text
    assert '<a href="/console/oncall?x=1">' in answer.text
    page = await browser.get("/console/oncall")
    assert "Ann Example, operator" in page.text
    operator = await operator_of(app, provider)
    assert (operator.name, operator.role) == ("Ann Example", Role.OPERATOR)
    assert operator.subject == f"{provider.issuer} {ANN['sub']}"


async def test_login_request_has_pkce_state_and_nonce(browser: Browser, provider: OpenIdServer) -> None:
    first, second = (
        query_of((await begin(browser)).headers["location"]),
        query_of((await begin(browser)).headers["location"]),
    )
    assert (first["response_type"], first["code_challenge_method"]) == ("code", "S256")
    assert first["redirect_uri"] == "https://gateway.test/console/login/openid/callback"
    assert first["scope"] == "openid profile email"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) == 43
        assert first[name] != second[name]
    assert "client_secret" not in first
    assert provider.tokens == []


@pytest.mark.parametrize("changes", [{"public_url": "https://gateway.test/video"}], ids=["prefix"])
async def test_redirect_uri_is_of_the_settings_not_of_the_host(browser: Browser) -> None:
    browser.client.headers["host"] = "evil.example.com"
    begun = await begin(browser)
    assert (
        query_of(begun.headers["location"])["redirect_uri"]
        == "https://gateway.test/video/console/login/openid/callback"
    )


@pytest.mark.parametrize("changes", [{"console_url": "http://localhost:8080"}], ids=["console_url"])
async def test_redirect_uri_is_of_the_console_url_if_set(browser: Browser) -> None:
    begun = await begin(browser)
    assert query_of(begun.headers["location"])["redirect_uri"] == "http://localhost:8080/console/login/openid/callback"


async def test_cookies_are_bound_to_host_and_script_cannot_read_them(browser: Browser) -> None:
    begun = await begin(browser)
    cookie = begun.headers["set-cookie"]
    assert cookie.startswith("__Host-seedance-openid=")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=lax", "Max-Age=600"):
        assert attribute in cookie
    assert "domain" not in cookie.lower()
    done = await browser.get(await authorize(begun), follow_redirects=False)
    session = next(each for each in done.headers.get_list("set-cookie") if each.startswith("__Host-seedance-console="))
    assert "SameSite=strict" in session
    assert "__Host-seedance-openid" not in browser.client.cookies


async def test_login_works_with_each_client_authentication_and_key(
    browser: Browser, provider: OpenIdServer, clock: Clock
) -> None:
    provider.published = [key("P-384", "other"), key("RSA", "first"), key("P-256", "second")]
    for methods in (["client_secret_post"], ["client_secret_basic"], None):
        clock.advance(timedelta(hours=1))  # the discovery document is read again
        provider.metadata["token_endpoint_auth_methods_supported"] = methods
        for signer in provider.published[1:]:
            provider.signer = signer
            assert (await log_in(browser)).status_code == 200, (methods, signer.kid)
            assert (await browser.get("/console/oncall")).status_code == 200
    assert [("client_secret" in form) for form in provider.tokens] == [True, True, False, False, False, False]


@pytest.mark.parametrize("changes", [{"oidc_client_secret": None}], ids=["public"])
async def test_login_of_a_public_client_sends_its_id_only(browser: Browser, provider: OpenIdServer) -> None:
    await log_in(browser)
    form = provider.tokens[0]
    assert form["client_id"] == CLIENT_ID
    assert "client_secret" not in form
    assert len(form["code_verifier"]) == 43


async def test_new_key_of_the_provider_is_fetched(browser: Browser, provider: OpenIdServer, clock: Clock) -> None:
    await log_in(browser)
    clock.advance(timedelta(seconds=30))
    provider.signer = key("P-256", "second")
    provider.published = [provider.signer]
    assert (await log_in(browser)).status_code == 200
    assert provider.requests.count("/jwks") == 2
    assert provider.requests.count("/.well-known/openid-configuration") == 1


async def test_role_and_name_follow_the_claims_at_the_next_login(
    app: FastAPI, browser: Browser, provider: OpenIdServer
) -> None:
    await log_in(browser)
    provider.person |= {"name": "Ann Other", "groups": ["video-admins"]}
    page = await browser.get("/console/oncall")
    assert "Ann Example, operator" in page.text, "the claims of the login count until the next one"
    await log_in(browser)
    page = await browser.get("/console/oncall")
    assert "Ann Other, admin" in page.text
    entries = {each.action: each for each in await newest_entries(app)}
    created, updated = entries["create_operator_at_login"], entries["update_operator_at_login"]
    assert created.target == updated.target
    assert updated.actor.id == updated.target == (await operator_of(app, provider)).id
    assert {"name", "role"} <= set(updated.changes)


async def test_login_without_a_change_leaves_the_operator(
    app: FastAPI, browser: Browser, provider: OpenIdServer
) -> None:
    await log_in(browser)
    version = (await operator_of(app, provider)).version
    await log_in(browser)
    assert (await operator_of(app, provider)).version == version


async def test_two_first_logins_create_one_operator(app: FastAPI, provider: OpenIdServer) -> None:
    async with browser_of(app) as first, browser_of(app) as second:
        answers = await asyncio.gather(log_in(first), log_in(second))
    assert [each.status_code for each in answers] == [200, 200]
    assert (await operator_of(app, provider)).role is Role.OPERATOR


async def test_person_without_a_role_is_refused(app: FastAPI, browser: Browser, provider: OpenIdServer) -> None:
    groups: tuple[object, ...] = (["staff"], [], None, "video", {"video-admins": True})
    for each in groups:
        provider.person["groups"] = each
        answer = await log_in(browser)
        assert (answer.status_code, "no role at this gateway" in answer.text) == (401, True), each
        assert browser.session_id == ""
    assert (
        await app.state.runtime.stores.operators.load(ids.of_text(ids.OPERATOR, f"{provider.issuer} {ANN['sub']}"))
        is None
    )


@pytest.mark.parametrize("changes", [{"oidc_default_role": "viewer"}], ids=["default"])
async def test_default_role_is_of_persons_without_a_rule(
    app: FastAPI, browser: Browser, provider: OpenIdServer
) -> None:
    provider.person["groups"] = ["staff"]
    await log_in(browser)
    assert (await operator_of(app, provider)).role is Role.VIEWER
    assert (await browser.get("/console/oncall/pause")).status_code == 403


async def test_removed_group_refuses_the_next_login(browser: Browser, provider: OpenIdServer) -> None:
    await log_in(browser)
    provider.person["groups"] = []
    assert (await log_in(browser)).status_code == 401


async def test_session_ends_twelve_hours_after_the_login(browser: Browser, clock: Clock) -> None:
    await log_in(browser)
    clock.advance(timedelta(hours=12))
    assert "Log in with" in (await browser.get("/console/oncall")).text


async def test_disabled_operator_is_refused_at_once_and_at_logins(
    app: FastAPI, browser: Browser, provider: OpenIdServer, clock: Clock
) -> None:
    await log_in(browser)
    await change(app, await operator_of(app, provider), disabled_at=clock())
    assert "Log in with" in (await browser.get("/console/oncall")).text
    provider.person["groups"] = ["video-admins"]
    answer = await log_in(browser)
    assert answer.status_code == 401
    assert "This operator is disabled" in answer.text
    assert (await operator_of(app, provider)).role is Role.OPERATOR


async def test_changed_role_of_an_operator_acts_at_the_next_request(
    app: FastAPI, browser: Browser, provider: OpenIdServer
) -> None:
    await log_in(browser)
    assert (await browser.get("/console/oncall/pause")).status_code == 200
    await change(app, await operator_of(app, provider), role=Role.VIEWER)
    assert (await browser.get("/console/oncall/pause")).status_code == 403


async def test_logout_ends_the_session_and_links_to_the_provider(browser: Browser, provider: OpenIdServer) -> None:
    await log_in(browser)
    answer = await browser.post("/console/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login/openid/logout")
    page = await browser.get("/console/login/openid/logout")
    assert (
        f'href="{provider.issuer}/logout?client_id=seedance-console&amp;'
        'post_logout_redirect_uri=https%3A%2F%2Fgateway.test%2Fconsole%2Flogin"' in page.text
    )
    assert "Log in with" in (await browser.get("/console/oncall")).text


async def test_logout_without_a_page_at_the_provider_is_local(browser: Browser, provider: OpenIdServer) -> None:
    provider.metadata["end_session_endpoint"] = None
    await log_in(browser)
    await browser.post("/console/logout")
    page = await browser.get("/console/login/openid/logout")
    assert "Your session of the console has ended." in page.text
    assert "Log out at" not in page.text


async def test_action_of_a_person_is_in_the_trail_under_the_operator(
    app: FastAPI, browser: Browser, provider: OpenIdServer
) -> None:
    await log_in(browser)
    answer = await browser.post("/console/oncall/pause", reason="fal is down")
    assert answer.status_code == 303
    entry = next(each for each in await newest_entries(app) if "pause" in each.action)
    assert (entry.actor.id, entry.actor.name) == ((await operator_of(app, provider)).id, "Ann Example")


@pytest.mark.parametrize("changes", [{"oidc_issuer": None}], ids=["off"])
@pytest.mark.parametrize("path", ["/login/openid", "/login/openid/callback?state=a&code=b", "/login/openid/logout"])
async def test_routes_without_an_issuer_do_not_exist(browser: Browser, path: str) -> None:
    assert (await browser.get(f"/console{path}")).status_code == 404
    assert "Log in with" not in (await browser.get("/console/login")).text
