"""Chromium for tests of the console, and what its tests share."""

from pathlib import Path
from typing import Final

from playwright.async_api import Page

from service.cli.dev.stack import Stack
from service.cli.ops.console import login_link
from service.runtime import open_runtime

CHROMIUM: Final = Path("/usr/bin/chromium")
#: The tests run as root in containers, without a GPU and with a small /dev/shm.
OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
#: Machines of the tests may be busy.
WAIT_MS: Final = 120_000


async def log_in(page: Page, stack: Stack) -> None:
    """Log in as admin by a new link."""
    await page.goto(await _new_link(stack))
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/console/oncall")


async def log_in_with(page: Page, text: str) -> None:
    """Log in with an API key or a token."""
    await page.goto("/console/login")
    await page.get_by_label("API key or token").fill(text)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("button", name="Log out").wait_for()


async def _new_link(stack: Stack) -> str:
    async with open_runtime(stack.settings) as runtime:
        return await login_link(runtime, stack.base_url, name="tester")
