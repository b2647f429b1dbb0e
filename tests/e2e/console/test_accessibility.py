"""Every page of the console, light and dark, wide and narrow: axe-core finds no serious fault, no page is too wide.

A window of half the width is what a reader sees who enlarges the page to 200 %.

``CONSOLE_SHOTS=folder`` also writes a picture of each, with few colors. ``make pictures`` does it.
"""

import os
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from PIL import Image
from playwright.async_api import Page

from service.app import create_app
from service.cli.dev.stack import Stack
from service.domain.operator import Role
from tests.e2e.console.conftest import OpenPage
from tests.support.chromium import WAIT_MS, log_in, log_in_with
from tests.support.console import PARAMETER, session_routes
from tests.support.factories import create_body
from tests.support.tokens import rule
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
_END_USER: Final = "customer-17"
_ERASED: Final = "customer-18"
#: Queries of pages that show nothing without one.
_QUERIES: Final = {
    "/console/oncall/bulk/preview": "?kind=replay&tenant_id={tenant_id}",
    "/console/tenant/bulk/preview": "?status=dead",
    "/console/tenant/end-user": f"?id={_END_USER}",
    "/console/tenant/end-user/erase": f"?id={_END_USER}",
    "/console/tenant/erasure": f"?id={_ERASED}",
}
#: Statuses of pages other than 200.
_STATUSES: Final = {"/nowhere": 404}
_SEVERE: Final = ("serious", "critical")
_WIDE: Final = {"width": 1280, "height": 900}
_ENLARGED: Final = {"width": 640, "height": 450}
_NARROW: Final = {"width": 360, "height": 740}
_COLORS: Final = 48
#: What pages show as values. Texts of others, like the reason of an act, are not changed.
_VALUES: Final = "[...document.querySelectorAll('dd, td:not(.text)')].map(each => each.innerText).join('\\n')"
_SHOTS: Final = os.environ.get("CONSOLE_SHOTS")


@pytest.fixture(scope="module")
def values(stack: Stack) -> dict[str, str]:
    """Make one of each thing that pages show. Return a value for each parameter of paths."""
    headers = {"authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=f"{stack.base_url}/v1", headers=headers, timeout=60) as client:

        def created(path: str, **body: Any) -> Any:
            return client.post(path, json=body).raise_for_status().json()

        generation = created("/generations", **_body("sandbox:no-video a cat on a rocket", end_user_id=_END_USER))
        doubtful = created("/generations", **_body("sandbox:500 a doubt", end_user_id=_END_USER))
        created("/generations", **_body("sandbox:no-video of a person", end_user_id=_ERASED))
        endpoint = created("/webhook-endpoints", url="http://127.0.0.1:9000/hook", description="Orders")
        delivery = created(f"/webhook-endpoints/{endpoint['id']}/test")
        client.delete(f"/end-users/{_ERASED}").raise_for_status()
        while client.get(f"/generations/{generation['id']}", params={"wait": 20}).json()["finished_at"] is None:
            pass
    return {
        "tenant_id": stack.tenant_id,
        "generation_id": generation["id"],
        "doubtful_id": doubtful["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": delivery["id"],
        "section": "account-locked",
        "action": "pause",
        **_made_by_operators(stack),
    }


def _body(prompt: str, **fields: str) -> dict[str, Any]:
    image = "https://v3b.fal.media/a.jpg"
    return create_body(prompt=prompt, image_url=image, metadata={"order": "7"}, webhook_url=..., **fields)


def _made_by_operators(stack: Stack) -> dict[str, str]:
    headers = {"authorization": f"Bearer {stack.describe()['admin_token']}"}
    with httpx.Client(base_url=f"{stack.base_url}/admin/v1", headers=headers, timeout=60) as client:

        def created(path: str, body: dict[str, Any]) -> Any:
            return client.post(path, json=body).raise_for_status().json()

        key = created(f"/tenants/{stack.tenant_id}/keys", {"name": "shop"})
        issuer = created(f"/tenants/{stack.tenant_id}/issuers", rule(name="cluster"))
        wanted = {"kind": "cancel", "filter": {"tenant_id": stack.tenant_id, "status": "queued"}}
        preview = created("/bulk/preview", wanted)
        seen = {"previewed_at": preview["previewed_at"], "expected": preview["matched"]}
        job = created("/bulk", {**wanted, **seen, "reason": "a loop in the shop's code"})
        client.post("/pause", json={"reason": "fal reports an incident"}).raise_for_status()  # the status has a finding
    return {"key_id": key["id"], "issuer_id": issuer["id"], "bulk_job_id": job["id"]}


def _paths(stack: Stack, values: dict[str, str], *, operators: bool) -> Iterator[tuple[str, str]]:
    """Yield the name and the path of each page."""
    for route in session_routes(create_app(stack.settings)):
        is_page = route.method == "GET" and not route.path.endswith((".csv", "/video"))
        if is_page and isinstance(route.needs, Role) == operators and route.needs is not None:
            own = {**values, "generation_id": values["doubtful_id"]} if "/unconfirmed/" in route.path else values
            path = PARAMETER.sub(lambda found: own[found[1]], route.path)  # noqa: B023
            yield route.path, path + _QUERIES.get(route.path, "").format(**values)
    if operators:
        yield "/login", "/console/login"
        yield "/login/link", "/console/login/link?ticket=x"
        yield "/nowhere", "/console/nowhere"


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
        values = {**values, "bulk_job_id": await _replay_job(page)}

    paths = _paths(stack, values, operators=area == "operator")
    found = {path: await _faults(page, name, path, scheme) for name, path in paths}

    assert {path: faults for path, faults in found.items() if faults} == {}
    assert len(found) > 10


async def _replay_job(page: Page) -> str:
    """Start a bulk job of the tenant, as soon as a delivery is dead. Return its id."""

    async def is_offered() -> bool:
        await page.goto("/console/tenant/bulk/preview?status=dead")
        return await page.get_by_label("Reason").count() > 0

    await until(is_offered, within=WAIT_MS / 1000)
    await page.get_by_label("Reason").fill("the receiver is repaired")
    await page.locator("main form[method=post] button").click()
    await page.wait_for_url("**/console/tenant/bulk/blk_*")
    return page.url.rpartition("/")[2]


async def _faults(page: Page, name: str, path: str, scheme: str) -> list[str]:
    await page.set_viewport_size(_WIDE)  # type: ignore[arg-type]
    answer = await page.goto(path)
    results: Any = (await Axe().run(page)).response
    faults = [
        f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in results["violations"] if each["impact"] in _SEVERE
    ]
    if answer is None or answer.status != _STATUSES.get(name, 200):
        faults.append(f"is not the page: {answer and answer.status}")
    if shown := re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d", await page.evaluate(_VALUES)):
        faults.append(f"shows a time of no zone of the reader: {shown[0]}")
    await _picture(page, name, f"{scheme}-wide")
    for size in (_ENLARGED, _NARROW):
        await page.set_viewport_size(size)  # type: ignore[arg-type]
        if await page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            faults.append(f"scrolls sideways at {size['width']} pixels")
    await _picture(page, name, f"{scheme}-narrow")
    return faults


async def _picture(page: Page, name: str, kind: str) -> None:
    if _SHOTS:
        file = re.sub(r"[^a-z]+", "-", name.removeprefix("/console")).strip("-")
        with Image.open(BytesIO(await page.screenshot(full_page=True))) as picture:
            small = picture.convert("RGB").quantize(_COLORS)
            small.save(Path(_SHOTS) / f"{file}.{kind}.png", optimize=True)
