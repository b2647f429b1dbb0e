"""An OpenID provider on this machine: it logs in the person that a test sets, and checks the client as RFCs demand."""

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import httpx
from aiohttp import BasicAuth, web

from service.clock import Clock
from tests.support.console import Browser
from tests.support.tokens import Key, key, public, signed

CLIENT_ID: Final = "seedance-console"
CLIENT_SECRET: Final = "a-secret-of:the~client+%/"
REDIRECT_URI: Final = "https://gateway.test/console/login/openid/callback"
ANN: Final[dict[str, Any]] = {"sub": "248289761001", "name": "Ann Example", "groups": ["staff", "video-oncall"]}
_LIFETIME: Final = 300


@dataclass
class OpenIdServer:
    """The provider. A test changes the fields; ``None`` in ``claims`` leaves a claim out of the ID token."""

    clock: Clock
    issuer: str = ""
    redirect_uri: str = REDIRECT_URI
    person: dict[str, Any] = field(default_factory=lambda: dict(ANN))
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    signer: Key = field(default_factory=key)
    published: list[Key] = field(default_factory=lambda: [key()])
    metadata: dict[str, Any] = field(default_factory=dict)
    response: dict[str, str | None] = field(default_factory=dict)
    """Changes of the authorization response."""
    id_token: str | None = None
    """Sent instead of the ID token of the person."""
    token_response: tuple[int, bytes] | None = None
    status: int = 200
    """Of the discovery document."""
    requests: list[str] = field(default_factory=list)
    tokens: list[dict[str, str]] = field(default_factory=list)
    """Forms of the requests for a token."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    async def discover(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/logout",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }
        document = {name: value for name, value in document.items() if value is not None}
        return web.json_response(document, status=self.status)

    async def give_keys(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        return web.json_response(public(*self.published))

    async def authorize(self, request: web.Request) -> web.Response:
        """Log in the person, and return the browser with a code."""
        asked = dict(request.query)
        assert asked["client_id"] == CLIENT_ID
        assert asked["redirect_uri"] == self.redirect_uri, "a provider redirects to registered URIs only"
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.issuer, **self.response}
        query = urlencode({name: value for name, value in answer.items() if value is not None})
        return web.Response(status=302, headers={"location": f"{asked['redirect_uri']}?{query}"})

    async def exchange(self, request: web.Request) -> web.Response:
        """Redeem a code once, for the client that has the code verifier."""
        self.requests.append(request.path)
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.tokens.append(form)
        if self.token_response is not None:
            return web.Response(status=self.token_response[0], body=self.token_response[1])
        if not self._authenticated(request, form):
            return web.json_response({"error": "invalid_client", "error_description": "<b>secret</b>"}, status=401)
        asked = self.codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form.get("redirect_uri"):
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = self.id_token if self.id_token is not None else self.issue(asked["nonce"])
        return web.json_response({"access_token": "opaque", "token_type": "Bearer", "id_token": token})

    def issue(self, nonce: str, **changes: Any) -> str:
        """Return an ID token of the person."""
        now = int(self.clock().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + _LIFETIME,
            "nonce": nonce,
            **self.person,
            **self.claims,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithm = "RS256" if self.signer.key_type == "RSA" else "ES256"
        return signed(claims, self.signer, **{"alg": algorithm, **self.header})

    def _authenticated(self, request: web.Request, form: Mapping[str, str]) -> bool:
        given = request.headers.get("authorization")
        if given is None:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        login = BasicAuth.decode(given)
        return (unquote(login.login), login.password) == (CLIENT_ID, CLIENT_SECRET)


@asynccontextmanager
async def openid_server(clock: Clock, *, host: str = "127.0.0.1") -> AsyncIterator[OpenIdServer]:
    """Serve a provider at a port of this machine. ``host``: the name of this machine in its issuer."""
    server = OpenIdServer(clock)
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", server.discover)
    app.router.add_get("/jwks", server.give_keys)
    app.router.add_get("/authorize", server.authorize)
    app.router.add_post("/token", server.exchange)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.issuer = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def begin(browser: Browser, next_page: str = "") -> httpx.Response:
    """Click on the login. Return the redirect to the provider."""
    query = f"?{urlencode({'next': next_page})}" if next_page else ""
    return await browser.get(f"/console/login/openid{query}", follow_redirects=False)


async def authorize(begun: httpx.Response) -> str:
    """Log in at the provider. Return the path to which it sends the browser."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(begun.headers["location"])
    parts = urlsplit(answer.headers["location"])
    return f"{parts.path}?{parts.query}"


async def log_in(browser: Browser, next_page: str = "") -> httpx.Response:
    """Log in by OpenID Connect. Return the response to the redirect of the provider."""
    return await browser.get(await authorize(await begin(browser, next_page)), follow_redirects=False)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))
