"""A browser without a screen: cookies, forms with their tokens, and the headers that browsers send with a POST."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any, Final
from urllib.parse import quote

import httpx
from fastapi import FastAPI
from starlette.routing import Route

from service.console.routes import ConsoleRoute, PublicRoute, SessionRoute
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.operator import Role

ORIGIN: Final = "https://gateway.test"
_TOKEN: Final = re.compile(r'name="csrf" value="([^"]+)"')
#: A parameter of a path.
PARAMETER: Final = re.compile(r"\{(\w+)(?::path)?\}")
SESSION_COOKIE: Final = "__Host-seedance-console"
LOGIN_COOKIE: Final = "__Host-seedance-login"


class Browser:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Navigate to a page, and follow redirects."""
        options.setdefault("follow_redirects", True)
        return await self.client.get(path, **options)

    async def token(self, path: str = "/console") -> str:
        """Return a token of the forms of a page."""
        page = await self.get(path)
        found = _TOKEN.search(page.text)
        assert found, page.text
        return unescape(found[1])

    async def post(
        self, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        """Send a form as a page of the console would. The response is not followed."""
        given = await self.token() if token is None else token
        return await self.client.post(
            path,
            data={**({"csrf": given} if given else {}), **fields},
            headers={"origin": ORIGIN, "sec-fetch-site": "same-origin"} if headers is None else headers,
        )

    async def log_in(self, secret: str, **fields: Any) -> httpx.Response:
        token = await self.token("/console/login")
        return await self.post("/console/login", token=token, secret=secret, **fields)

    async def log_in_as(self, app: FastAPI, subject: Subject) -> None:
        """Begin a session without the login page and its limits."""
        session_id = await app.state.runtime.console.sessions.begin(subject)
        self.client.cookies.set(SESSION_COOKIE, session_id, domain="gateway.test", path="/")

    @property
    def session_id(self) -> str:
        return self.client.cookies.get(SESSION_COOKIE) or ""


@asynccontextmanager
async def browser_of(app: FastAPI, subject: Subject | None = None) -> AsyncIterator[Browser]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        browser = Browser(client)
        if subject is not None:
            await browser.log_in_as(app, subject)
        yield browser


def console_routes(app: FastAPI) -> list[ConsoleRoute]:
    """Return the routes below ``/console`` in their order."""
    routes = [route for route in app.routes if isinstance(route, Route) and route.path.startswith("/console")]
    assert all(isinstance(route, SessionRoute | PublicRoute) for route in routes)
    return [route for route in routes if isinstance(route, ConsoleRoute)]


def session_routes(app: FastAPI) -> list[SessionRoute]:
    return [route for route in console_routes(app) if isinstance(route, SessionRoute)]


def filled(path: str, value: str = "x") -> str:
    """Return the path with a value for each parameter."""
    return PARAMETER.sub(quote(value, safe=""), path)


ADMIN: Final = Subject(ActorKind.LOCAL, "tester")


async def operator_subject(app: FastAPI, role: Role) -> Subject:
    """Return a new operator, as a login by OpenID Connect makes it."""
    operator = await app.state.runtime.operators.service.create("Ada", role)
    return Subject(ActorKind.OPERATOR, operator.id)
