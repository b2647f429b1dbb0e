"""Every page of the console, light and dark, wide and narrow: axe-core finds no serious fault, no page is too wide.

A window of half the width is what a reader sees who enlarges the page to 200 %.

``CONSOLE_SHOTS=folder`` also writes a picture of each.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from service.app import create_app
from service.cli.dev.stack import Stack
from service.domain.operator import Role
from tests.e2e.console.conftest import OpenPage
from tests.support.chromium import log_in, log_in_with
from tests.support.console import session_routes
from tests.support.factories import create_body

pytestmark = pytest.mark.asyncio(loop_scope="module")
_PARAMETER: Final = re.compile(r"\{(\w+)(?::path)?\}")
_SEVERE: Final = ("serious", "critical")
_WIDE: Final = {"width": 1280, "height": 900}
_ENLARGED: Final = {"width": 640, "height": 450}
_NARROW: Final = {"width": 360, "height": 740}
_SHOTS: Final = os.environ.get("CONSOLE_SHOTS")


@pytest.fixture(scope="module")
def values(stack: Stack) -> dict[str, str]:
    """Make one of each thing that pages show. Return a value for each parameter of paths."""
    headers = {"authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.base_url, headers=headers) as client:
        body = create_body(prompt="sandbox:no-video a cat", image_url="https://v3b.fal.media/a.jpg", webhook_url=...)
        generation = client.post("/v1/generations", json=body).raise_for_status().json()
        doubtful = create_body(prompt="sandbox:500 a doubt", image_url="https://v3b.fal.media/a.jpg", webhook_url=...)
        client.post("/v1/generations", json=doubtful).raise_for_status()
        endpoint = (
            client.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/hook"}).raise_for_status().json()
        )
        client.post(f"/v1/webhook-endpoints/{endpoint['id']}/test").raise_for_status()
        delivery = client.get("/v1/deliveries").raise_for_status().json()["data"][0]
    return {
        "tenant_id": stack.tenant_id,
        "generation_id": generation["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": delivery["id"],
        "end_user_id": "customer-17",
        "section": "account-locked",
        "action": "pause",
        "path": "nowhere",
    }


def _paths(stack: Stack, values: dict[str, str], *, operators: bool) -> Iterator[str]:
    for route in session_routes(create_app(stack.settings)):
        is_page = route.method == "GET" and not route.path.endswith((".csv", "/video"))
        if is_page and isinstance(route.needs, Role) == operators and route.needs is not None:
            yield _PARAMETER.sub(lambda found: values.get(found[1], "x"), route.path)


@pytest.mark.parametrize("area", ["operator", "tenant"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_have_no_serious_fault(
    stack: Stack, open_page: OpenPage, values: dict[str, str], area: str, scheme: str
) -> None:
    page = await open_page(color_scheme=scheme, viewport=_WIDE, expects_errors=True)  # some pages are a 404
    if area == "operator":
        await log_in(page, stack)
    else:
        await log_in_with(page, stack.api_key)

    paths = _paths(stack, values, operators=area == "operator")
    found = {path: await _faults(page, path, scheme) for path in paths}

    assert {path: faults for path, faults in found.items() if faults} == {}
    assert len(found) > 10


async def _faults(page: Page, path: str, scheme: str) -> list[str]:
    await page.set_viewport_size(_WIDE)  # type: ignore[arg-type]
    await page.goto(path)
    results: Any = (await Axe().run(page)).response
    faults = [
        f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in results["violations"] if each["impact"] in _SEVERE
    ]
    await _picture(page, path, f"{scheme}-wide")
    for size in (_ENLARGED, _NARROW):
        await page.set_viewport_size(size)  # type: ignore[arg-type]
        if await page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            faults.append(f"scrolls sideways at {size['width']} pixels")
    await _picture(page, path, f"{scheme}-narrow")
    return faults


async def _picture(page: Page, path: str, kind: str) -> None:
    if _SHOTS:
        name = re.sub(r"\W+", "-", path.removeprefix("/console").strip("/")) or "home"
        await page.screenshot(path=Path(_SHOTS) / f"{name[:60]}.{kind}.png", full_page=True)
