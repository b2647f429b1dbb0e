"""Incidents, solved by what the console shows and offers. Only the cause itself is outside of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.async_api import Page, expect

from service.cli.dev.stack import Stack
from tests.e2e.console.conftest import OpenPage
from tests.support.chromium import WAIT_MS, log_in
from tests.support.factories import create_body
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
_LOCKED = "Exhausted balance"


def _create(stack: Stack, prompt: str) -> str:
    body = create_body(prompt=prompt, duration=4, resolution="480p", image_url="https://v3b.fal.media/a.jpg")
    answer = httpx.post(
        f"{stack.base_url}/v1/generations", json=body, headers={"authorization": f"Bearer {stack.api_key}"}
    )
    answer.raise_for_status()
    created: str = answer.json()["id"]
    return created


async def _until_succeeded(stack: Stack, generation_id: str) -> None:
    url, headers = f"{stack.base_url}/v1/generations/{generation_id}", {"authorization": f"Bearer {stack.api_key}"}

    async def succeeded() -> bool:
        answer = await asyncio.to_thread(httpx.get, url, headers=headers)
        return bool(answer.json()["status"] == "succeeded")

    await until(succeeded, within=WAIT_MS / 1000)


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
    await page.get_by_label("Reason").fill(reason)
    await page.get_by_role("button", name=button).click()


async def test_redis_back_after_an_outage_needs_no_login(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page(expects_errors=True)
    await log_in(page, stack)

    stack.redis.kill()
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("store")
    stack.redis.restart()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Status")  # it has read itself again
    await expect(page.get_by_text("Nothing is wrong.")).to_be_visible()


async def test_locked_account_shows_fals_reason_and_resumes(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page()
    await log_in(page, stack)
    with _locked_account(stack):
        generation_id = _create(stack, "sandbox:no-video a locked account")
        await expect(page.get_by_text(_LOCKED).first).to_be_visible()

    await _confirm(page, "Resume", "the balance is topped up", "Resume dispatch")

    await expect(page.get_by_role("status")).to_have_text("Dispatch is resumed.")
    await _until_succeeded(stack, generation_id)
    await expect(page.get_by_text("Nothing is wrong.")).to_be_visible()


async def test_dead_workers_are_shown_with_the_command(stack: Stack, open_page: OpenPage) -> None:
    page = await open_page()
    await log_in(page, stack)
    stack.children["worker"].kill()
    generation_id = _create(stack, "sandbox:no-video without workers")

    finding = page.locator("section.finding.fail").filter(has_text="workers of dispatch")
    await expect(finding).to_contain_text("seedance-gateway worker")
    stack.start_worker()

    await _until_succeeded(stack, generation_id)
    await expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
