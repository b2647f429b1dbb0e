"""Incidents, solved by what the console shows and offers. Only the cause itself is outside of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.async_api import Page, expect

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES
from tests.e2e.console.conftest import OpenPage
from tests.support.chromium import WAIT_MS, log_in
from tests.support.factories import create_body
from tests.support.receiver import Receiver
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
_LOCKED = "Exhausted balance"
_SLOTS = 2
_MOST_TABS = 60
_NAME_OF = "element => (element.labels?.[0] ?? element).textContent.trim()"
#: With and without JavaScript in the browser.
_BROWSERS = pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(overrides={**OVERRIDES, "upstream_concurrency": _SLOTS}) as started:
        yield started


def _create(stack: Stack, prompt: str, **fields: str) -> str:
    body = create_body(
        **{"webhook_url": ..., **fields},
        prompt=prompt,
        duration=4,
        resolution="480p",
        image_url="https://v3b.fal.media/a.jpg",
    )
    answer = httpx.post(
        f"{stack.base_url}/v1/generations", json=body, headers={"authorization": f"Bearer {stack.api_key}"}
    )
    answer.raise_for_status()
    created: str = answer.json()["id"]
    return created


async def _until_status(stack: Stack, status: str, *generation_ids: str) -> None:
    headers = {"authorization": f"Bearer {stack.api_key}"}

    async def reached() -> bool:
        urls = [f"{stack.base_url}/v1/generations/{each}" for each in generation_ids]
        answers = [await asyncio.to_thread(httpx.get, url, headers=headers) for url in urls]
        return all(answer.json()["status"] == status for answer in answers)

    await until(reached, within=WAIT_MS / 1000)


@contextmanager
def _locked_account(stack: Stack) -> Iterator[None]:
    faults = f"{stack.sandbox_url}/_sandbox/faults"
    httpx.post(faults, json={"account": {"kind": "locked"}}).raise_for_status()
    try:
        yield
    finally:
        httpx.delete(faults).raise_for_status()


async def _confirm(page: Page, link: str, reason: str, button: str) -> None:
    await page.get_by_role("link", name=link).first.click()
    await _decide(page, reason, button)


async def _decide(page: Page, reason: str, button: str) -> None:
    await page.get_by_label("Reason").fill(reason)
    async with page.expect_navigation():
        await page.get_by_role("button", name=button).click()


async def _press(page: Page, name: str, *, key: str = "Enter", text: str = "") -> None:
    """Press Tab until an element of ``main`` with a name or a label has the focus. Type into it, and press a key."""
    await page.locator("main").focus()
    for _ in range(_MOST_TABS):
        await page.keyboard.press("Tab")
        focused = page.locator("main :focus")
        if await focused.count() and await focused.evaluate(_NAME_OF) == name:
            break
    else:
        raise AssertionError(f"Tab does not lead to {name!r}")
    assert await focused.evaluate("element => getComputedStyle(element).outlineStyle") != "none", "the focus is shown"
    await page.keyboard.type(text)
    await page.keyboard.press(key)
    await page.wait_for_load_state()


async def _until_shown(page: Page, text: str) -> None:
    """Load the page again until it shows a text, as a reader without JavaScript does."""

    async def shown() -> bool:
        await page.reload()
        return await page.get_by_text(text).first.is_visible()

    await until(shown, within=WAIT_MS / 1000)


async def _until_shows(page: Page, text: str, *, scripts: bool) -> None:
    """Wait until the page refreshes by itself, or load it again where scripts are off."""
    if scripts:
        await expect(page.get_by_text(text).first).to_be_visible()
    else:
        await _until_shown(page, text)


@_BROWSERS
async def test_redis_back_after_an_outage_needs_no_login(stack: Stack, open_page: OpenPage, *, scripts: bool) -> None:
    page = await open_page(java_script_enabled=scripts, expects_errors=True)
    await log_in(page, stack)

    stack.redis.kill()
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("store")
    stack.redis.restart()

    await _until_shows(page, "Nothing is wrong.", scripts=scripts)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Status")


@_BROWSERS
async def test_locked_account_shows_fals_reason_and_resumes(
    stack: Stack, open_page: OpenPage, *, scripts: bool
) -> None:
    page = await open_page(java_script_enabled=scripts)
    await log_in(page, stack)
    with _locked_account(stack):
        generation_id = _create(stack, "sandbox:no-video a locked account")
        await _until_shows(page, _LOCKED, scripts=scripts)

    if scripts:  # by the keyboard alone, while the page refreshes
        await _press(page, "Resume")
        await _press(page, "Reason", key="Tab", text="the balance is topped up")
        await _press(page, "Resume dispatch")
    else:
        await _confirm(page, "Resume", "the balance is topped up", "Resume dispatch")

    await expect(page.get_by_role("status")).to_have_text("Dispatch is resumed.")
    await _until_status(stack, "succeeded", generation_id)
    await _until_shows(page, "Nothing is wrong.", scripts=scripts)


@_BROWSERS
async def test_dead_workers_are_shown_with_the_command(stack: Stack, open_page: OpenPage, *, scripts: bool) -> None:
    page = await open_page(java_script_enabled=scripts)
    await log_in(page, stack)
    stack.children["worker"].kill()
    generation_id = _create(stack, "sandbox:no-video without workers")

    await _until_shows(page, "seedance-gateway worker", scripts=scripts)
    await expect(page.locator("section.finding.fail").filter(has_text="workers of dispatch")).to_be_visible()
    stack.start_worker()

    await _until_status(stack, "succeeded", generation_id)
    await _until_shows(page, "Nothing is wrong.", scripts=scripts)


@_BROWSERS
async def test_flooding_tenant_is_paused_and_its_queue_canceled(
    stack: Stack, open_page: OpenPage, *, scripts: bool
) -> None:
    page = await open_page(java_script_enabled=scripts)
    await log_in(page, stack)
    flood = [_create(stack, f"sandbox:hang sandbox:no-video a flood, {number}") for number in range(8)]

    await page.goto(f"/console/oncall/tenants?id={stack.tenant_id}")
    await _confirm(page, "Pause", "a loop in its code", "Pause")
    await page.goto("/console/oncall/bulk")
    await page.get_by_label("Tenant id").first.fill(stack.tenant_id)
    await page.get_by_label("Status").select_option("queued")
    await page.get_by_role("button", name="Preview the cancel").click()
    await expect(page.get_by_role("button", name=f"Cancel {len(flood) - _SLOTS}")).to_be_visible()
    await _decide(page, "a loop in its code", "Cancel ")
    await _until_shown(page, "done")

    await _until_status(stack, "canceled", *flood[_SLOTS:])
    await _cancel_at_fal(page, stack)
    await _until_status(stack, "canceled", *flood[:_SLOTS])
    await page.goto(f"/console/oncall/tenants/{stack.tenant_id}")
    await _confirm(page, "Unpause", "the loop is mended", "Unpause")
    await expect(page.get_by_role("status")).to_be_visible()


async def _cancel_at_fal(page: Page, stack: Stack) -> None:
    await page.goto(f"/console/oncall/bulk/preview?kind=cancel&status=in_flight&tenant_id={stack.tenant_id}")
    await _decide(page, "a loop in its code", "Cancel ")


@_BROWSERS
async def test_dead_receiver_gets_all_after_its_repair(stack: Stack, open_page: OpenPage, *, scripts: bool) -> None:
    page = await open_page(java_script_enabled=scripts)
    await log_in(page, stack)
    with Receiver(otherwise=500) as receiver:
        for number in range(3):
            _create(stack, f"sandbox:no-video a dead receiver, {number}", webhook_url=receiver.url)
        await page.goto(f"/console/oncall/bulk/preview?kind=replay&status=dead&tenant_id={stack.tenant_id}")
        await _until_shown(page, "Replay 3")
        receiver.otherwise = 204
        before = len(receiver.received)

        await page.reload()
        await _decide(page, "the receiver is repaired", "Replay 3")
        await _until_shown(page, "done")

        await asyncio.to_thread(receiver.wait_for, lambda received: len(received) >= before + 3)
    assert len({each.headers["webhook-id"] for each in receiver.received[before:]}) == 3


@_BROWSERS
async def test_unconfirmed_submit_is_dismissed_at_the_desk(stack: Stack, open_page: OpenPage, *, scripts: bool) -> None:
    page = await open_page(java_script_enabled=scripts)
    await log_in(page, stack)
    generation_id = _create(stack, "sandbox:500 an unknown outcome")
    await page.goto("/console/oncall/unconfirmed")
    await _until_shown(page, generation_id)

    await page.get_by_role("link", name=generation_id).click()
    await expect(page.get_by_text("an unknown outcome")).to_be_visible()
    await page.locator("#dismiss-reason").fill("fal's support has no such job")
    await page.get_by_role("button", name="It never happened").click()

    await expect(page.get_by_role("status")).to_be_visible()
    await _until_status(stack, "failed", generation_id)
