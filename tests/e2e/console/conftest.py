"""Debian's Chromium, driven by Playwright, and a whole stack of processes with a console.

A module of these tests has one event loop, one stack and one browser::

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    async def test_status_shows_a_pause(stack: Stack, open_page: OpenPage) -> None:
        page = await open_page()
        await log_in(page, stack)
        await page.goto("/console/oncall")
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
import redis
from playwright.async_api import Browser, Page, async_playwright, expect

from service.cli.dev.stack import Stack
from service.store import keys
from tests.e2e.conftest import OVERRIDES
from tests.support.chromium import CHROMIUM, OPTIONS, WAIT_MS

OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(overrides=OVERRIDES) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    assert CHROMIUM.exists(), "this needs Chromium (Debian: apt-get install chromium)"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(stack: Stack, chromium: Browser) -> AsyncIterator[OpenPage]:
    """Return a function that opens a page. Its options are those of a browser context, like ``color_scheme``.

    An error in the page, like a violation of its content policy, fails the test at its end, unless one is expected.
    """
    contexts, errors = [], list[str]()
    _forget_login_attempts(stack)

    async def opened(*, expects_errors: bool = False, **options: Any) -> Page:
        context = await chromium.new_context(base_url=stack.base_url, **options)
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()
        if expects_errors:  # responses like 503, which the browser reports
            return page
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert errors == []


def _forget_login_attempts(stack: Stack) -> None:
    """Make each test independent of the logins of others: all come from one address, whose attempts are limited."""
    with redis.Redis.from_url(stack.redis.url) as client:
        client.delete(*(keys.console_attempts(name) for name in ("127.0.0.1", "")))
