"""A path in ``GATEWAY_PUBLIC_URL``: every link has it, behind proxies that remove it from requests and that do not."""

import re
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.config.settings import Settings
from service.config.types import OWN_SEGMENTS
from service.domain import callback
from tests.integration.api.fal.conftest import MODEL
from tests.support import factories
from tests.support.factories import create_body

PREFIX = "/video/eu-1"
ORIGIN = "https://api.example.com"
PUBLIC = ORIGIN + PREFIX
NO_ROUTE = "There is no such route."
NOTHING_THERE = "the proxy forwards nothing else"


class ReverseProxy:
    """Forwards the paths below the prefix, and answers 404 to every other."""

    def __init__(self, app: FastAPI, *, strips: bool) -> None:
        self._app = app
        self._strips = strips

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, raw = scope["path"], scope["raw_path"]
        if path != PREFIX and not path.startswith(f"{PREFIX}/"):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": NOTHING_THERE.encode()})
            return
        if self._strips:
            scope = {**scope, "path": path[len(PREFIX) :] or "/", "raw_path": raw[len(PREFIX) :] or b"/"}
        await self._app(scope, receive, send)


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, public_url=f"{PUBLIC}/")


@pytest.fixture(params=[True, False], ids=["stripping", "not stripping"])
async def proxied(request: pytest.FixtureRequest, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client without a key, whose requests pass through the proxy."""
    transport = httpx.ASGITransport(ReverseProxy(app, strips=request.param))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        yield client


@pytest.fixture
async def caller(proxied: httpx.AsyncClient, api: httpx.AsyncClient) -> httpx.AsyncClient:
    proxied.headers["authorization"] = api.headers["authorization"]
    return proxied


def links(value: Any) -> Iterator[str]:
    """Yield each text of a JSON value that is a path or a URL of this gateway."""
    match value:
        case str() if re.match(r"/[a-z.]", value) or value.startswith(ORIGIN):
            yield value
        case dict():
            for key, entry in value.items():
                if key != "pointer":  # into the body of the request
                    yield from links(entry)
        case list():
            for entry in value:
                yield from links(entry)


def links_of(response: httpx.Response) -> list[str]:
    found = [response.headers[name] for name in ("location", "content-location") if name in response.headers]
    found += re.findall("<([^>]*)>", response.headers.get("link", ""))
    is_json = response.content and "json" in response.headers.get("content-type", "")
    return found + (list(links(response.json())) if is_json else [])


def assert_inside(*found: str) -> None:
    for link in found:
        assert urljoin(PUBLIC, link).startswith(f"{PUBLIC}/"), link


async def test_every_route_is_reached_and_links_inside_prefix(app: FastAPI, caller: httpx.AsyncClient) -> None:
    """Most responses here are errors, which link too: ``instance`` is the path of the request."""
    routes = [route for route in app.routes if isinstance(route, Route)]
    linking = 0
    for route in routes:
        path = re.sub(r"\{\w+(:path)?\}", "x", route.path)
        for method in route.methods or ():
            async with caller.stream(method, path) as response:
                await response.aread()
            assert NO_ROUTE not in response.text, (method, path)
            assert NOTHING_THERE not in response.text, (method, path)
            found = [] if "openapi" in path else links_of(response)
            assert_inside(*found)
            linking += bool(found)
    assert linking > len(routes) / 2


async def test_created_objects_are_at_their_location(caller: httpx.AsyncClient) -> None:
    endpoint = await caller.post("/v1/webhook-endpoints", json={"url": "https://example.com/hook"})
    created = [
        await caller.post("/v1/generations", json=create_body()),
        endpoint,
        await caller.post(f"/v1/webhook-endpoints/{endpoint.json()['id']}/test"),
    ]
    for response in created:
        assert response.status_code in (201, 202), response.text
        (location,) = [link for link in links_of(response) if link == response.headers["location"]]
        read = await caller.get(urljoin(str(response.url), location))
        assert (read.status_code, read.json()["id"]) == (200, response.json()["id"])


async def test_error_is_an_instance_of_its_public_path(proxied: httpx.AsyncClient) -> None:
    for path in ("/v1/generations", "/v1/nothing", "/callbacks/fal/gen_x/a-secret"):
        answer = (await proxied.post(path)).json()
        assert answer["instance"] == PREFIX + callback.without_secret(path)


async def test_root_leads_to_documentation(proxied: httpx.AsyncClient) -> None:
    named = (await proxied.get(PUBLIC)).json()
    for name in ("docs", "openapi"):
        assert (await proxied.get(urljoin(PUBLIC, named[name]))).status_code == 200

    page = await proxied.get(PUBLIC, headers={"accept": "text/html"}, follow_redirects=True)

    assert (page.status_code, str(page.url)) == (200, f"{PUBLIC}/docs")


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


async def test_documentation_page_loads_inside_prefix(proxied: httpx.AsyncClient) -> None:
    page = await proxied.get("/docs")
    parser = _References()
    parser.feed(page.text)
    (document,) = re.findall(r"url: '([^']+)'", page.text)
    references = [urljoin(str(page.url), reference) for reference in (*parser.found, document)]

    assert len(references) >= 4
    assert_inside(*references)
    assert [(await proxied.get(reference)).status_code for reference in references] == [200] * len(references)


@pytest.mark.parametrize("path", ["/openapi.json", "/docs/openapi.json"])
async def test_openapi_server_is_inside_prefix(proxied: httpx.AsyncClient, path: str) -> None:
    (server,) = (await proxied.get(path)).json()["servers"]

    assert urljoin(PUBLIC, server["url"]) == PUBLIC


async def test_index_of_pages_links_inside_prefix(proxied: httpx.AsyncClient) -> None:
    text = (await proxied.get("/llms.txt")).text
    found = [link for link in re.findall(r"\]\(([^)]+)\)|`(/[^`]+)`", text) for link in link if link]

    assert len(found) > 10
    assert_inside(*found)
    assert {(await proxied.get(urljoin(PUBLIC, link))).status_code for link in found} == {200}


async def test_fal_urls_are_inside_prefix(caller: httpx.AsyncClient) -> None:
    bearer = caller.headers["authorization"].removeprefix("Bearer ")
    key = {"authorization": f"Key {bearer}"}
    submitted = await caller.post(f"/fal/queue/{MODEL}", json=create_body(), headers=key)
    begun = await caller.post(
        "/fal/rest/storage/upload/initiate", json={"content_type": "image/png", "file_name": "a.png"}, headers=key
    )
    body, ticket = submitted.json(), begun.json()

    assert_inside(*links_of(submitted), ticket["upload_url"])
    assert len(links_of(submitted)) == 3
    status = await caller.get(body["status_url"], headers=key)
    assert (status.status_code, status.json()["response_url"]) == (202, body["response_url"])
    refused = await caller.put(ticket["upload_url"], content=b"no image", headers={"content-type": "image/png"})
    assert refused.status_code == 422, "the URL leads to the route of uploads"
    assert (await caller.put(body["cancel_url"], headers=key)).status_code == 202
    stream = await caller.get(f"{body['status_url']}/stream", headers=key)  # it ends, since the generation has ended
    assert f'"status_url":"{body["status_url"]}"' in stream.text
    path = urlsplit(body["status_url"]).path.removeprefix(f"{PREFIX}/fal/queue")
    target = {**key, "x-fal-target-url": f"https://queue.fal.run{path}"}
    through = await caller.get("/fal/proxy", headers=target)
    assert through.json()["status_url"] == body["status_url"]


async def test_path_outside_of_prefix_is_no_route(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        paths = (f"{PREFIX}x/healthz", "/video/healthz", f"{PREFIX}{PREFIX}/healthz", "/vide%6f/eu-1/healthz")
        assert [(await client.get(path)).status_code for path in paths] == [404] * 4
        assert (await client.get("/healthz")).status_code == 200, "probes of the cluster use no prefix"


def test_prefix_cannot_begin_like_a_route(app: FastAPI) -> None:
    """A public URL below ``/v1`` is refused: with and without the prefix, a path would name two routes."""
    first = {getattr(route, "path", "").split("/")[1] for route in app.routes}

    assert first - {""} == OWN_SEGMENTS
