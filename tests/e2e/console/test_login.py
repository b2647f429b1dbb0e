"""Logins in a browser by each way, with and without JavaScript; and what a tenant sees there of its own and of others.

The login provider is at ``localhost`` and the gateway at ``127.0.0.1``: to the browser these are two sites.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from pydantic import SecretStr

from service.cli.dev.child_processes import free_port
from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES
from tests.e2e.console.conftest import OpenPage
from tests.support.chromium import WAIT_MS, log_in, log_in_with
from tests.support.console import SESSION_COOKIE
from tests.support.factories import create_body
from tests.support.openid import CLIENT_ID, CLIENT_SECRET, OpenIdServer, openid_server
from tests.support.receiver import Receiver
from tests.support.tokens import claims_of_service, rule, signed
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
_BROWSERS: Final = pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[OpenIdServer]:
    async with openid_server(lambda: datetime.now(UTC), host="localhost") as server:
        yield server


@pytest.fixture(scope="module")
def stack(provider: OpenIdServer) -> Iterator[Stack]:
    openid = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(CLIENT_SECRET),
        "oidc_roles": {"groups": {"video-oncall": "operator"}},
    }
    port = free_port()
    provider.redirect_uri = f"http://127.0.0.1:{port}/console/login/openid/callback"
    with Stack(port=port, overrides={**OVERRIDES, **openid}) as started:
        yield started


@dataclass(frozen=True)
class Secrets:
    """Texts that log in."""

    operator_token: str
    jwt: str
    key_of_another_tenant: str


@pytest.fixture(scope="module")
def secrets(stack: Stack) -> Secrets:
    """Create an operator with a token, a trusted issuer and another tenant, over the admin API."""
    headers = {"authorization": f"Bearer {stack.describe()['admin_token']}"}
    with httpx.Client(base_url=f"{stack.base_url}/admin/v1", headers=headers) as client:

        def created(path: str, body: dict[str, Any]) -> Any:
            return client.post(path, json=body).raise_for_status().json()

        operator = created("/operators", {"name": "Ada", "role": "viewer"})
        token = created(f"/operators/{operator['id']}/tokens", {"name": "browser"})
        created(f"/tenants/{stack.tenant_id}/issuers", rule(scopes=["read"]))
        other = created("/tenants", {"name": "another tenant"})
        key = created(f"/tenants/{other['id']}/keys", {"name": "browser"})
    return Secrets(token["token"], signed(claims_of_service(datetime.now(UTC))), key["key"])


async def _by_link(page: Page, stack: Stack, _: Secrets) -> None:
    await log_in(page, stack)


async def _by_key(page: Page, stack: Stack, _: Secrets) -> None:
    await log_in_with(page, stack.api_key)


async def _by_operator_token(page: Page, _: Stack, secrets: Secrets) -> None:
    await log_in_with(page, secrets.operator_token)


async def _by_break_glass_token(page: Page, stack: Stack, _: Secrets) -> None:
    await log_in_with(page, stack.describe()["admin_token"])


async def _by_jwt(page: Page, _: Stack, secrets: Secrets) -> None:
    await log_in_with(page, secrets.jwt)


async def _by_openid(page: Page, _: Stack, __: Secrets) -> None:
    await page.goto("/console/oncall/receivers")
    await page.get_by_role("link", name="Log in with localhost").click()
    await page.wait_for_url("**/console/oncall/receivers")  # the wanted page, after the provider


Login = Callable[[Page, Stack, Secrets], Awaitable[None]]
#: The login, the name that each page then shows, and the first page.
WAYS: Final[dict[str, tuple[Login, str, str]]] = {
    "one-time link": (_by_link, "tester, admin", "/console/oncall"),
    "API key": (_by_key, "of development", "/console/tenant"),
    "token of an operator": (_by_operator_token, "Ada, viewer", "/console/oncall"),
    "break-glass token": (_by_break_glass_token, "admin token, admin", "/console/oncall"),
    "JWT of a service": (_by_jwt, "of development", "/console/tenant"),
    "OpenID Connect": (_by_openid, "Ann Example, operator", "/console/oncall"),
}


@_BROWSERS
@pytest.mark.parametrize("way", sorted(WAYS))
async def test_login_by_each_way_and_logout(
    stack: Stack, open_page: OpenPage, secrets: Secrets, way: str, *, scripts: bool
) -> None:
    page = await open_page(java_script_enabled=scripts)
    log_in_by, name, first = WAYS[way]

    await log_in_by(page, stack, secrets)

    await expect(page.locator(".who")).to_contain_text(name)
    await page.goto("/console")
    assert page.url == f"{stack.base_url}{first}"
    (cookie,) = await page.context.cookies()
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == (SESSION_COOKIE, True, True)
    assert (cookie["sameSite"], cookie["path"], cookie["domain"]) == ("Strict", "/", "127.0.0.1"), "of this host only"
    stored = (await page.context.storage_state(indexed_db=True))["origins"]
    assert stored == [], "the browser keeps nothing but the cookie"
    await page.get_by_role("button", name="Log out").click()
    await expect(page.locator(".who")).to_have_count(0)
    assert SESSION_COOKIE not in {each["name"] for each in await page.context.cookies()}
    await page.goto(first)
    assert page.url.startswith(f"{stack.base_url}/console/login?next=")


@_BROWSERS
async def test_wrong_secret_is_explained_and_not_shown(open_page: OpenPage, *, scripts: bool) -> None:
    page = await open_page(java_script_enabled=scripts, expects_errors=True)  # 401
    await page.goto("/console/login")
    await page.get_by_label("API key or token").fill("sgo_wrong_secret")
    await page.get_by_role("button", name="Log in", exact=True).click()

    await expect(page.get_by_role("alert")).to_contain_text("The login failed.")
    assert "sgo_wrong_secret" not in await page.content()
    assert SESSION_COOKIE not in {cookie["name"] for cookie in await page.context.cookies()}


async def _dead_delivery(stack: Stack, receiver: Receiver) -> dict[str, str]:
    """Create a generation, an endpoint and a delivery that the receiver has refused. Return their pages."""
    headers = {"authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(base_url=f"{stack.base_url}/v1", headers=headers) as client:
        hook = (await client.post("/webhook-endpoints", json={"url": receiver.url})).raise_for_status().json()
        body = create_body(
            prompt="sandbox:no-video a replay",
            duration=4,
            resolution="480p",
            image_url="https://v3b.fal.media/a.jpg",
            end_user_id="ann",
            webhook_url=...,
        )
        generation = (await client.post("/generations", json=body)).raise_for_status().json()
        found: list[Any] = []

        async def is_dead() -> bool:
            query = {"endpoint_id": hook["id"], "status": "dead"}
            found[:] = (await client.get("/deliveries", params=query)).raise_for_status().json()["data"]
            return bool(found)

        await until(is_dead, within=WAIT_MS / 1000)
    return {
        "generation": f"/console/tenant/generations/{generation['id']}",
        "video": f"/console/tenant/generations/{generation['id']}/video",
        "delivery": f"/console/tenant/deliveries/{found[0]['id']}",
        "endpoint": f"/console/tenant/endpoints/{hook['id']}",
        "replay": f"/console/tenant/endpoints/{hook['id']}/replay",
        "end user": "/console/tenant/end-user?id=ann",
    }


@_BROWSERS
async def test_tenant_replays_its_own_and_cannot_see_anothers(
    stack: Stack, open_page: OpenPage, secrets: Secrets, *, scripts: bool
) -> None:
    with Receiver(otherwise=500) as receiver:
        paths = await _dead_delivery(stack, receiver)
        receiver.otherwise = 204
        before = len(receiver.received)
        page = await open_page(java_script_enabled=scripts)
        await log_in_with(page, stack.api_key)
        await page.get_by_role("link", name="Deliveries").click()
        await page.locator(f"a[href='{paths['delivery']}']").click()
        await expect(page.get_by_role("cell", name="500").first).to_be_visible()

        await page.get_by_role("button", name="Send it again").click()

        await expect(page.get_by_role("status")).to_have_text("The delivery is sent again.")
        await asyncio.to_thread(receiver.wait_for, lambda received: len(received) > before)
        assert len({each.headers["webhook-id"] for each in receiver.received}) == 1

    other = await open_page(java_script_enabled=scripts, expects_errors=True)  # 404
    await log_in_with(other, secrets.key_of_another_tenant)
    for name, path in paths.items():
        answer = await other.goto(path)
        assert answer is not None
        assert answer.status == 404, name
    await other.goto("/console/tenant/deliveries")
    await expect(other.get_by_text("No delivery matches")).to_be_visible()
