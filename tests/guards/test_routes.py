"""Every route authenticates its caller, or is on a short list of public routes."""

import re

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match

from service.api.http.raw_route import DirectRoutes
from tests.conftest import client_of
from tests.support.console import console_routes

PUBLIC = {
    *(("GET", path) for path in ("/healthz", "/readyz", "/readyz/process")),
    ("GET", "/.well-known/webhook-keys/{tenant_id}/{endpoint_id}"),  # public keys
    ("GET", "/fal/.well-known/{tenant_id}/jwks.json"),  # public keys too
}
#: Callers of these routes have no key and sign instead: without a signature they are refused as well.
SIGNED = {("POST", "/callbacks/fal/{generation_id}/{token}")}
#: The security scheme of a route, by the beginning of its path.
SCHEMES = {
    "/v1/": "apiKey",
    "/vercel/": "apiKey",
    "/openai/": "apiKey",
    "/openrouter/": "apiKey",
    "/admin/": "adminToken",
    "/callbacks/": "falSignature",
    "/fal/upload": "uploadTicket",
    "/fal/": "falKey",
}
#: Not in the document, and public: the document itself and the documentation.
UNLISTED = {"/", "/openapi.json", "/docs", "/docs/openapi.json", "/docs/assets", "/docs/{page}", "/llms.txt"}
METHODS = {"get", "put", "post", "delete", "patch"}


def operations(app: FastAPI) -> list[tuple[str, str]]:
    return [
        (method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item if method in METHODS
    ]


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "x", path)


async def test_route_without_key_is_refused_unless_public(app: FastAPI) -> None:
    async with client_of(app) as anonymous:
        answers = {
            (method, path): (await anonymous.request(method, filled(path))).status_code
            for method, path in operations(app)
        }

    assert {operation for operation, status in answers.items() if status != 401} == PUBLIC
    assert len(answers) > len(PUBLIC)
    assert answers.keys() >= SIGNED


def test_hot_route_is_the_route_that_fastapi_would_call(app: FastAPI) -> None:
    """A hot route is found first: it must not shadow a route that is registered before it."""
    direct = DirectRoutes(app.routes, app.router)
    found = {}
    for method, path in operations(app):
        scope = {"type": "http", "method": method, "path": filled(path), "query_string": b"", "headers": []}
        if (match := direct.find(scope)) is not None:
            found[method, path] = match[0].path
            usual = next(route for route in app.routes if route.matches(dict(scope))[0] is Match.FULL)
            assert usual is match[0], (method, path)
    assert {("POST", "/v1/generations"), ("GET", "/v1/generations/{generation_id}")} <= found.keys()
    assert all(path == of_route for (_, path), of_route in found.items() if "/fal/" not in path)


def test_route_body_is_read_by_the_gateway_only(app: FastAPI) -> None:
    """FastAPI would read a body before the caller is authenticated, and without a limit."""
    routes = [route for route in app.routes if isinstance(route, APIRoute)]

    assert not [route.path for route in routes if route.body_field is not None]
    assert len(routes) > len(PUBLIC)


async def test_route_with_wrong_key_is_refused(app: FastAPI) -> None:
    async with client_of(app, "sgk_wrong") as wrong:
        answers = {
            (method, path): (await wrong.request(method, filled(path))).status_code for method, path in operations(app)
        }

    assert {operation for operation, status in answers.items() if status != 401} == PUBLIC


async def test_admin_route_with_tenant_key_is_refused(app: FastAPI, api: httpx.AsyncClient) -> None:
    admin = [(method, path) for method, path in operations(app) if path.startswith("/admin/")]

    answers = {(await api.request(method, filled(path))).status_code for method, path in admin}

    assert admin
    assert answers == {401}


def test_document_lists_every_route(app: FastAPI) -> None:
    """A route that is missing in the document would be missing in the tests above."""
    listed = set(app.openapi()["paths"])
    unlisted = {getattr(route, "path", "").replace(":path}", "}") for route in app.routes} - listed
    of_console = {path.replace(":path}", "}") for path in (route.path for route in console_routes(app))}

    assert {path for path in unlisted - of_console if path} <= UNLISTED


def test_document_declares_security_of_every_route(app: FastAPI) -> None:
    schemes = {
        (method.upper(), path): operation.get("security")
        for path, item in app.openapi()["paths"].items()
        for method, operation in item.items()
    }

    for (method, path), security in schemes.items():
        if (method, path) in PUBLIC:
            assert not security, path
        elif (method, path) in SIGNED:
            assert [list(way) for way in security] == [["falSignature"]], path
        else:
            scheme = next(name for beginning, name in SCHEMES.items() if path.startswith(beginning))
            assert [list(way) for way in security] == [[scheme]], path


@pytest.mark.parametrize("path", sorted({*UNLISTED, "/docs/glossary.md"} - {"/docs/assets", "/docs/{page}"}))
async def test_documentation_page_and_document_are_public(app: FastAPI, path: str) -> None:
    async with client_of(app) as anonymous:
        assert (await anonymous.get(path)).status_code == 200
