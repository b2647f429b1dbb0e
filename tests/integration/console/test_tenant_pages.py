"""The tenant's area of the console: own data only, actions by scope, no secret and no markup of others in a page."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.end_user import pseudonym
from service.domain.generation import Output, Video
from service.domain.operator import Role
from service.domain.tenant import Scope, Tenant
from service.runtime import Runtime
from tests.support import factories
from tests.support.console import ORIGIN, PARAMETER, Browser, browser_of, filled, session_routes
from tests.support.factories import create_body
from tests.support.receiver import Receiver
from tests.support.trail import entries
from tests.support.webhooks import deliveries, drained, ended, endpoint

NAME = "<b>anna</b> & /?#ü"
OUTPUT = Output(Video("https://v3b.fal.media/files/a.mp4", "video/mp4", "a.mp4", 1), seed=7)


@pytest.fixture
async def reader(app: FastAPI, tenant: Tenant) -> AsyncIterator[Browser]:
    """Return a browser with a session of a key that may only read."""
    made = await app.state.runtime.tenants.api_keys.create(tenant.id, scopes=(Scope.READ,))
    async with browser_of(app, Subject(ActorKind.API_KEY, made.key.id)) as opened:
        yield opened


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[Browser]:
    """Return a browser with a session of a key of another tenant."""
    other = await app.state.runtime.tenants.service.create("other")
    made = await app.state.runtime.tenants.api_keys.create(other.id)
    async with browser_of(app, Subject(ActorKind.API_KEY, made.key.id)) as opened:
        yield opened


@pytest.fixture
async def paths(api: httpx.AsyncClient, runtime: Runtime) -> dict[str, str]:
    """Create one of everything; return the pages and the actions on it."""
    with Receiver() as receiver:
        made = await endpoint(api, f"{receiver.url}?token=1", headers={"x-key": "s3cret"})
        generation_id = await ended(api, end_user_id=NAME, prompt="<script>alert(1)</script>")
        await drained(runtime)
    (delivery,) = await deliveries(api)
    user = quote(NAME, safe="")
    return {
        "generation": f"/console/tenant/generations/{generation_id}",
        "endpoint": f"/console/tenant/endpoints/{made['id']}",
        "replay": f"/console/tenant/endpoints/{made['id']}/replay",
        "delivery": f"/console/tenant/deliveries/{delivery['id']}",
        "end_user": f"/console/tenant/end-user?id={user}",
        "erase": f"/console/tenant/end-user/erase?id={user}",
    }


LISTS = ("", "/generations", "/usage", "/endpoints", "/deliveries", "/end-users", "/keys")
FILTERED = (
    "/generations?status=canceled&end_user_id=nobody",
    "/deliveries?status=dead&endpoint_id=x&generation_id=gen_1",
    "/end-users?prefix=%3Cb&blocked=no",
    "/end-users?blocked=yes",
)


async def test_pages_show_own_data_escaped(paths: dict[str, str], customer: Browser) -> None:
    for path in (*(f"/console/tenant{each}" for each in (*LISTS, *FILTERED)), *paths.values()):
        page = await customer.get(path)
        assert page.status_code == 200, (path, page.text)
        assert "<script>alert" not in page.text
        assert "<b>anna" not in page.text
        assert "s3cret" not in page.text
    generation = await customer.get(paths["generation"])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in generation.text
    assert paths["delivery"] in generation.text
    assert quote(NAME) in (await customer.get("/console/tenant/end-users?prefix=%3Cb")).text


async def test_every_route_of_a_thing_is_not_found_for_another_tenant(
    app: FastAPI, paths: dict[str, str], stranger: Browser, customer: Browser
) -> None:
    """Also those that no table of this module names. Operators' routes are forbidden to every tenant."""
    values = {f"{name}_id": paths[name].rpartition("/")[2] for name in ("generation", "endpoint", "delivery")}
    token, found = await stranger.token("/console/tenant"), {}
    for route in session_routes(app):
        if isinstance(route.needs, Role):
            answer = await customer.client.request(route.method, filled(route.path), headers={"origin": ORIGIN})
            found[filled(route.path)] = 404 if answer.status_code == 403 else answer.status_code
            continue
        path = PARAMETER.sub(lambda found: values.get(found[1], found[0]), route.path)
        if route.method == "GET" and (path != route.path or path.endswith(("/end-user", "/erase", "/erasure"))):
            found[path] = (await stranger.get(path, params={"id": NAME}, follow_redirects=False)).status_code
        elif path != route.path:
            found[path] = (await stranger.post(path, token=token, id=NAME, reason="x")).status_code
    assert {path: status for path, status in found.items() if status != 404} == {}
    assert len(found) > 50


async def test_pages_of_another_tenant_are_not_found(paths: dict[str, str], stranger: Browser) -> None:
    for path in paths.values():
        assert (await stranger.get(path)).status_code == 404, path
    assert (await stranger.get(f"{paths['generation']}/video")).status_code == 404
    for path in (f"/console/tenant{each}" for each in (*LISTS, *FILTERED)):
        page = await stranger.get(path)
        assert page.status_code == 200, path
        assert not any(own.removeprefix("/console") in page.text for own in paths.values()), path


#: Each action: the page, the rest of its path, and its fields.
ACTIONS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("generation", "/cancel", {}),
    ("endpoint", "/test", {}),
    ("endpoint", "/disable", {}),
    ("endpoint", "/enable", {}),
    ("replay", "", {"reason": "it works again"}),
    ("delivery", "/redeliver", {}),
    ("end_user", "/block", {"id": NAME, "reason": "abuse"}),
    ("end_user", "/unblock", {"id": NAME}),
    ("erase", "", {"id": NAME, "reason": "request of the person"}),
)


def action(paths: dict[str, str], page: str, rest: str) -> str:
    return paths[page].partition("?")[0] + rest


@pytest.mark.parametrize(("page", "rest", "fields"), ACTIONS)
async def test_action_of_another_tenant_is_not_found(
    paths: dict[str, str], stranger: Browser, page: str, rest: str, fields: dict[str, str]
) -> None:
    assert (await stranger.post(action(paths, page, rest), token=None, headers=None, **fields)).status_code == 404


@pytest.mark.parametrize(("page", "rest", "fields"), ACTIONS)
async def test_action_without_scope_is_forbidden_and_recorded(
    app: FastAPI, paths: dict[str, str], reader: Browser, page: str, rest: str, fields: dict[str, str]
) -> None:
    answer = await reader.post(action(paths, page, rest), token=None, headers=None, **fields)

    assert answer.status_code == 403
    assert (await entries(app.state.runtime))[-1].error == "forbidden"
    shown = await reader.get(paths[page])
    assert shown.status_code == (403 if page in ("replay", "erase") else 200)
    assert action(paths, page, rest).removeprefix("/console") + '"' not in shown.text, "no form of the action"


async def test_actions_change_and_are_recorded(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, paths: dict[str, str], customer: Browser, tenant: Tenant
) -> None:
    queued = (await api.post("/v1/generations", json=create_body(end_user_id=NAME))).json()["id"]
    answer = await customer.post(f"/console/tenant/generations/{queued}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/tenant/generations/{queued}")
    assert (await api.get(f"/v1/generations/{queued}")).json()["status"] == "canceled"
    for page, rest, fields in ACTIONS[1:]:
        answer = await customer.post(action(paths, page, rest), token=None, headers=None, **fields)
        assert answer.status_code == 303, (page, rest, answer.text)
        assert (await customer.get(answer.headers["location"])).status_code == (200 if rest != "/x" else 404)

    actions = [entry.action for entry in await entries(app.state.runtime) if entry.actor.tenant_id == tenant.id]
    assert actions[-9:] == [
        "cancel_generation",
        "send_test_event",
        "disable_endpoint",
        "enable_endpoint",
        "replay_deliveries",
        "redeliver_event",
        "block_end_user",
        "unblock_end_user",
        "erase_end_user",
    ]
    erasure = await customer.get(f"/console/tenant/erasure?id={quote(NAME, safe='')}")
    assert "public by their URLs" in erasure.text
    assert (await customer.get(paths["end_user"])).status_code == 404
    assert pseudonym(tenant, NAME) in {entry.target for entry in await entries(app.state.runtime)}


async def test_page_of_generation_shows_video_of_fal(
    api: httpx.AsyncClient, runtime: Runtime, customer: Browser, stranger: Browser
) -> None:
    """The page permits the origin of the video, and no other."""
    created = (await api.post("/v1/generations", json=create_body())).json()["id"]
    for verb in (
        lambda g: g.submitting(factories.NOW),
        lambda g: g.submitted("request-1"),
        lambda g: g.succeeded(OUTPUT, 1_000, factories.NOW),
    ):
        await runtime.transitions.apply(created, verb)
    path = f"/console/tenant/generations/{created}"

    page = await customer.get(path)
    video = await customer.get(f"{path}/video", follow_redirects=False)

    assert f'src="{path}/video"' in page.text
    assert "media-src 'self' https://v3b.fal.media" in page.headers["content-security-policy"]
    assert (video.status_code, video.headers["location"]) == (307, OUTPUT.video.url)
    assert (await stranger.get(f"{path}/video", follow_redirects=False)).status_code == 404


@pytest.mark.parametrize("query", ["status=lost", "cursor=%21", "cursor=Z2VuXzE"])
async def test_wrong_filter_is_an_error_page(customer: Browser, query: str) -> None:
    for path in ("generations", "deliveries"):
        page = await customer.get(f"/console/tenant/{path}?{query}")
        assert page.status_code == 422


async def test_list_continues_on_next_page_with_filters(api: httpx.AsyncClient, customer: Browser) -> None:
    for number in range(22):
        await api.post("/v1/generations", json=create_body(end_user_id=f"a-{number:02}"))

    first = await customer.get("/console/tenant/end-users?prefix=a-")
    target = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = await customer.get(target)

    assert "prefix=a-" in target
    assert "a-19" in first.text
    assert "a-20" not in first.text
    assert "a-21" in second.text
    assert 'rel="next"' not in second.text
