"""The console in a browser: actions with and without JavaScript, refreshes, times, keyboard, hostile texts."""

import asyncio
import re
from functools import partial

import httpx
import pytest
from playwright.async_api import ConsoleMessage, Dialog, Page, Request, expect

from service.app import create_app
from service.cli.dev.stack import Stack
from service.console.routes import SessionRoute
from service.runtime import open_runtime
from tests.e2e.console.conftest import OpenPage
from tests.support.chromium import log_in, log_in_with
from tests.support.console import session_routes
from tests.support.hostile import STARTS, World, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_login_by_the_link_that_up_prints(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page()
    await page.goto(stack.describe()["login_url"])

    await page.get_by_role("button", name="Log in").click()

    await page.wait_for_url("**/console/oncall")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Status")
    (cookie,) = await page.context.cookies()
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (
        "__Host-seedance-console",
        True,
        True,
        "Strict",
    )


async def test_action_without_javascript_shows_its_effect(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page(java_script_enabled=False)
    await log_in(page, stack)

    await page.get_by_role("link", name="Pause").click()
    await page.get_by_label("Reason").fill("a drill <b>without script</b>")
    await page.get_by_role("button", name="Pause dispatch").click()

    await expect(page.get_by_role("status")).to_have_text("Dispatch is paused.")
    await expect(page.get_by_text("paused by an operator: a drill <b>without script</b>")).to_be_visible()
    await page.get_by_role("link", name="Resume").first.click()
    await page.get_by_label("Reason").fill("end of the drill")
    await page.get_by_role("button", name="Resume dispatch").click()
    await expect(page.get_by_role("status")).to_have_text("Dispatch is resumed.")


async def test_page_refreshes_and_shows_times_of_the_readers_zone(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page(timezone_id="Asia/Tokyo", locale="en-GB")
    await log_in(page, stack)
    time = page.locator("main time").last
    shown = await time.inner_text()
    assert "UTC" not in shown
    assert re.search(r" UTC \(shown in Asia/Tokyo\)$", await time.get_attribute("title") or "")

    await expect(time).not_to_have_text(shown)  # the page has read itself again


async def test_tenant_logs_in_by_key_and_out(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page(viewport={"width": 360, "height": 640})
    await log_in_with(page, stack.api_key)
    await expect(page.get_by_role("heading", level=1)).to_have_text("development")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360, "the page scrolls sideways"

    await page.get_by_role("button", name="Log out").click()

    await page.wait_for_url("**/console/login")
    assert "__Host-seedance-console" not in {cookie["name"] for cookie in await page.context.cookies()}


async def test_keyboard_reaches_content_first(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page()
    await log_in(page, stack)
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"


_REFRESH_MS = 10_000


def _is_refresh(request: Request) -> bool:
    return "x-console-refresh" in request.headers


async def _refresh(page: Page) -> None:
    """Let the time pass after which the page refreshes, and wait for the new content."""
    await page.evaluate("document.querySelector('main').firstElementChild.isOld = true")
    async with page.expect_response(lambda response: _is_refresh(response.request)):
        await page.clock.run_for(_REFRESH_MS)
    await page.wait_for_function("!document.querySelector('main').firstElementChild.isOld")


async def test_page_refreshes_only_while_visible(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page()
    await page.clock.install()
    await log_in(page, stack)
    refreshes = []
    page.on("request", lambda request: refreshes.append(request.url) if _is_refresh(request) else None)
    hide = "hidden => Object.defineProperty(document, 'visibilityState', {value: hidden, configurable: true})"

    await page.evaluate(hide, "hidden")
    for _ in range(5):
        await page.clock.run_for(_REFRESH_MS)
    await page.evaluate(hide, "visible")
    await _refresh(page)

    assert len(refreshes) == 1


async def test_refresh_keeps_focus_on_the_same_link(stack: Stack, open_page: OpenPage) -> None:
    """A finding appears above, and takes the position of the link: Enter must not act on something else."""
    page = await open_page()
    await page.clock.install()
    await log_in(page, stack)
    await page.locator("main").get_by_role("link", name="Drain").focus()
    await _operate(stack, "pause", reason="a drill")

    await _refresh(page)

    assert await page.locator("section.finding").count() > 0
    assert await page.evaluate("document.activeElement.textContent") == "Drain"
    await _operate(stack, "resume")
    await page.locator("section.finding").get_by_role("link", name="Resume").focus()
    await _refresh(page)
    assert await page.locator("section.finding").filter(has_text="a drill").count() == 0
    assert await page.evaluate("document.activeElement.textContent") == "Resume", "the other link of this action"


async def _operate(stack: Stack, act: str, **body: str) -> None:
    headers = {"authorization": f"Bearer {stack.describe()['admin_token']}"}
    url = f"{stack.base_url}/admin/v1/{act}"
    (await asyncio.to_thread(httpx.post, url, headers=headers, json=body or None)).raise_for_status()


async def test_hostile_texts_run_no_script(stack: Stack, open_page: OpenPage) -> None:
    """The browser is the judge: no script runs, no dialog opens, and the content policy is not violated."""
    seen: set[str] = set()
    async with open_runtime(stack.settings) as runtime:
        connect = partial(_connect, stack)
        world = World(runtime, connect, start=STARTS[1])
        await world.build(stack.describe()["admin_token"], partial(asyncio.sleep, 0))
    routes = session_routes(create_app(stack.settings))
    for for_operators in (True, False):
        page = await open_page(expects_errors=True)  # 404 of what was not made
        incidents = _incidents_of(page)
        await (log_in(page, stack) if for_operators else log_in_with(page, world.api_key))
        for path in _one_of_each(world, routes, for_operators=for_operators):
            await page.goto(path)
            seen |= shown(await page.content())
            assert incidents == [], path
    assert {"prompt", "tenant-name", "jwt-sub", "receiver-answer", "fal-log", "operator-name", "end-user-id"} <= seen
    await _operate(stack, "resume")


def _connect(stack: Stack, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=stack.base_url, headers={"authorization": f"Bearer {token}"}, timeout=60)


def _incidents_of(page: Page) -> list[str]:
    """Return the list to which dialogs, errors of scripts and violations of the content policy will be added."""
    found: list[str] = []

    async def dismiss(dialog: Dialog) -> None:
        found.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if _is_violation(message) else None)
    return found


def _is_violation(message: ConsoleMessage) -> bool:
    return message.type == "error" and not message.text.startswith("Failed to load resource")


def _one_of_each(world: World, routes: list[SessionRoute], *, for_operators: bool) -> list[str]:
    """Return each page, of the first and of the last thing that it can show. Downloads are not pages."""
    found: dict[str, None] = {}
    for route in routes:
        if not route.path.endswith((".csv", "/video")):
            pages = [*world.pages([route], for_operators=for_operators)]
            found |= dict.fromkeys([*pages[:1], *pages[-1:]])
    return [*found]
