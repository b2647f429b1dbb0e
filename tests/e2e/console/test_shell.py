"""The console in a browser: login, actions with and without JavaScript, times, keyboard, narrow screens."""

import re

import pytest
from playwright.async_api import expect

from service.cli.dev.stack import Stack
from tests.e2e.console.conftest import OpenPage
from tests.support.chromium import log_in, log_in_with

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
