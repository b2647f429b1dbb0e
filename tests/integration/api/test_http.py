"""HTTP as any client expects it, on every route of the app: a new route is covered by itself."""

import re
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from service.api.http.accept import best
from service.api.http.methods import HeadMiddleware
from service.config.settings import Settings
from service.domain.tenant import Tenant, new_key_text
from tests.conftest import client_of
from tests.guards.test_routes import UNLISTED, filled
from tests.support import factories
from tests.support.factories import ADMIN_TOKEN, create_body
from tests.support.webhooks import ENDPOINTS, ended

#: Every method of a client in use, one of another protocol, and one that is none.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW")
#: Headers that differ between two equal requests.
VARYING = {"x-request-id", "server-timing", "ratelimit", "ratelimit-policy", "x-fal-request-id", "date"}
#: Their callers have no key to send: a test of the route itself has the same case.
OWN_CALLERS = ("/callbacks/", "/fal/upload")
#: These paths are also those of an object with such an id: other methods reach the route of the object.
OVERLAPPING = re.compile(
    r"/v1/generations/estimate|/v1/deliveries/replay|/v1/end-users/{end_user_id}/|/admin/v1/bulk/preview"
    r"|/admin/v1/tenants/{tenant_id}/end-users/"
)
MARKED = {"content-type": "application/json", "content-encoding": "gzip"}


class Clients:
    """One client for each kind of caller, chosen by the path."""

    def __init__(self, app: FastAPI, key: str, stack: AsyncExitStack) -> None:
        self._app, self._key, self._stack = app, key, stack
        self._open: dict[str, httpx.AsyncClient] = {}

    async def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        token = ADMIN_TOKEN if path.startswith("/admin") else self._key
        if token not in self._open:
            self._open[token] = await self._stack.enter_async_context(client_of(self._app, token))
        return await self._open[token].request(method, path, **options)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, public_url="http://gateway.test")


@pytest.fixture
async def call(app: FastAPI, tenant: Tenant) -> AsyncIterator[Clients]:
    key = await app.state.runtime.tenants.api_keys.create(tenant.id)
    async with AsyncExitStack() as stack:
        yield Clients(app, key.text, stack)


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def is_stream(operation: dict[str, Any]) -> bool:
    return "text/event-stream" in operation["responses"].get("200", {}).get("content", {})


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(fault["pointer"], fault["type"]) for fault in answer.json().get("errors", ())]


async def real_paths(call: Clients, tenant: Tenant) -> dict[str, str]:
    """Return values for the parameters of paths. A route with another parameter answers 404, to HEAD as to GET."""
    made = (await call("POST", "/v1/generations", json=create_body(end_user_id="customer-7"))).json()
    endpoint = (await call("POST", ENDPOINTS, json={"url": "http://127.0.0.1:9000/", "ed25519": True})).json()
    test = (await call("POST", f"{ENDPOINTS}/{endpoint['id']}/test")).json()
    return {
        "{generation_id}": made["id"],
        "{request_id}": made["id"],
        "{endpoint}": "bytedance/seedance-2.0",
        "{endpoint_id}": endpoint["id"],
        "{delivery_id}": test["id"],
        "{end_user_id}": "customer-7",
        "{tenant_id}": tenant.id,
    }


# --- methods ----------------------------------------------------------------------------------------------------------


async def test_head_has_headers_of_get_and_no_body(app: FastAPI, call: Clients, tenant: Tenant) -> None:
    values = await real_paths(call, tenant)
    streams = {path for method, path, operation in operations(app) if method == "GET" and is_stream(operation)}
    paths = {path for method, path, _ in operations(app) if method == "GET"} - streams
    succeeded = 0
    for path in sorted({*paths, *(UNLISTED - {"/docs/assets", "/docs/{page}"}), "/docs/glossary.md"}):
        url = path
        for name, value in values.items():
            url = url.replace(name, value)
        get, head = await call("GET", filled(url)), await call("HEAD", filled(url))
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert {name: value for name, value in head.headers.items() if name not in VARYING} == {
            name: value for name, value in get.headers.items() if name not in VARYING
        }, path
        assert int(head.headers["content-length"]) == int(get.headers["content-length"])
        succeeded += get.is_success
    assert succeeded > len(paths) / 2
    assert streams
    for path in streams:
        assert (await call("HEAD", filled(path))).status_code == 405, path


async def test_head_sends_no_body_to_the_server() -> None:
    """httpx and uvicorn discard the body of a HEAD themselves."""
    sent: list[Message] = []
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]}

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"def"})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "HEAD", "headers": [(b"range", b"bytes=0-1")]}
    await HeadMiddleware(app)(scope, receive, send)

    assert sent == [start, {"type": "http.response.body"}]
    assert (scope["method"], scope["headers"]) == ("HEAD", [])


def detail_of(answer: httpx.Response) -> str:
    """Return the text of an error, in the form of the API that was called."""
    body = answer.json()
    return str(body["error"]["message"] if "error" in body else body["detail"])


async def test_allow_names_exactly_the_methods_of_a_path(app: FastAPI, call: Clients) -> None:
    async with client_of(app) as anonymous:
        for path in sorted({*app.openapi()["paths"], *(UNLISTED - {"/docs/assets", "/docs/{page}"})}):
            url = filled(path)
            asked = await call("OPTIONS", url)
            if path != "/fal/proxy":  # OPTIONS is one of its own methods
                assert (asked.status_code, asked.content) == (204, b""), path
            refused = await anonymous.request("BREW", url)
            allowed = refused.headers["allow"].split(", ")
            assert allowed == asked.headers.get("allow", refused.headers["allow"]).split(", ") == sorted(set(allowed))
            for method in METHODS:
                answer = await anonymous.request(method, url)
                if method in allowed or not OVERLAPPING.match(path):
                    assert (answer.status_code == 405) == (method not in allowed), (method, path)
                if answer.status_code == 405:
                    assert answer.headers["allow"].split(", ") == allowed
                    assert method == "HEAD" or detail_of(answer).startswith(method) or path.startswith("/fal/")


async def test_method_of_unknown_path_is_404(anonymous: httpx.AsyncClient) -> None:
    for method in METHODS:
        assert (await anonymous.request(method, "/v1/nothing")).status_code == 404, method


# --- query ------------------------------------------------------------------------------------------------------------


def checked(app: FastAPI) -> list[tuple[str, str, list[str]]]:
    """Return the operations that check their query, with the names of its parameters."""
    return [
        (method, path, [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"])
        for method, path, operation in operations(app)
        if path.startswith(("/v1/", "/admin/v1/"))
    ]


async def test_unknown_query_parameter_is_refused(app: FastAPI, call: Clients) -> None:
    for method, path, _ in checked(app):
        answer = await call(method, filled(path), params={"nonsense": "1", "q/~": ""})
        assert answer.status_code == 422, (method, path, answer.text)
        assert faults(answer) == [("/query/nonsense", "extra_forbidden"), ("/query/q~1~0", "extra_forbidden")]


async def test_unknown_query_parameter_without_key_is_401(app: FastAPI) -> None:
    async with client_of(app) as anonymous:
        for method, path, _ in checked(app):
            answer = await anonymous.request(method, filled(path), params={"nonsense": "1"})
            assert answer.status_code == 401, (method, path)


async def test_repeated_query_parameter_is_refused(app: FastAPI, call: Clients) -> None:
    repeated = 0
    valid = {
        **dict.fromkeys(("created_after", "created_before", "after", "before"), "2026-01-01T00:00:00Z"),
        "error_code": "internal",
    }
    for method, path, names in checked(app):
        for name in (name for name in names if name not in ("status", "event", "by", "drain", "metadata")):
            value = valid.get(name) or ("2026-01-01" if name in ("start", "end", "period") else "1")
            answer = await call(method, filled(path), params=[(name, value), (name, value)])
            assert (f"/query/{name}", "repeated") in faults(answer), (path, name, answer.text)
            repeated += 1
    assert repeated > 10


async def test_wrong_query_parameter_has_a_sentence_of_this_api(app: FastAPI, call: Clients) -> None:
    refused = 0
    for method, path, names in checked(app):
        for name, value in ((name, value) for name in names for value in ("", "x", "-1", "1.5", "2026-01-01T00:00:00")):
            answer = await call(method, filled(path), params={name: value})
            for fault in answer.json().get("errors", ()):
                assert fault["pointer"].startswith("/query/")
                sentence = re.sub(r"'\w+'", "", fault["detail"])  # without the names of values
                assert not re.search(r"Input|should|valid|[Uu]nable", sentence), (path, fault)
                refused += 1
    assert refused > 20


async def test_known_query_parameters_are_accepted(call: Clients) -> None:
    for path in ("/v1/generations?limit=1&status=queued", "/v1/usage?by=day", "/v1/generations?", "/v1/generations?&"):
        assert (await call("GET", path)).status_code == 200, path


async def test_many_unknown_query_parameters_are_few_faults(call: Clients) -> None:
    answer = await call("GET", "/v1/generations?" + "&".join(f"{'x' * 100}{n}" for n in range(300)))

    assert len(faults(answer)) == 20
    assert len(answer.content) < 10_000


async def test_fal_ignores_unknown_query_parameters(app: FastAPI, call: Clients) -> None:
    url = "/fal/queue/bytedance/seedance-2.0/image-to-video"
    for method, path, _ in operations(app):
        if path.startswith("/fal/"):
            plain = await call(method, filled(path))
            assert (await call(method, filled(path), params={"nonsense": "1"})).status_code == plain.status_code, path
    assert (await call("POST", url, params={"nonsense": "1"}, json={})).status_code == 422


# --- bodies -----------------------------------------------------------------------------------------------------------


def with_body(app: FastAPI, media: str | None = None) -> list[tuple[str, str]]:
    bodies = [(method, path, operation.get("requestBody")) for method, path, operation in operations(app)]
    return [(method, path) for method, path, body in bodies if body and media in (None, *body["content"])]


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br, identity", "deflate", "x" * 500])
async def test_encoded_body_is_415_that_names_the_encoding(
    app: FastAPI, call: Clients, tenant: Tenant, encoding: str
) -> None:
    values = await real_paths(call, tenant)
    bodies = [(method, path) for method, path in with_body(app) if not path.startswith((*OWN_CALLERS, "/fal/proxy"))]
    assert len(bodies) > 10
    for method, path in bodies:
        url = path.replace("/queue/{endpoint}", "/queue/bytedance/seedance-2.0/image-to-video")
        url = url.replace("/run/{endpoint}", "/run/bytedance/seedance-2.0/image-to-video")
        for name, value in values.items():
            url = url.replace(name, value)
        media = "image/png" if path == "/v1/uploads" else "application/json"
        headers = {"content-type": media, "content-encoding": encoding}
        answer = await call(method, filled(url), content=b"{}", headers=headers)
        assert answer.status_code == 415, (method, path, answer.text)
        assert encoding.partition(",")[0][:64] in detail_of(answer)
        assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", "Identity", "", " , identity"])
async def test_body_that_is_not_encoded_is_read(api: httpx.AsyncClient, encoding: str) -> None:
    answer = await api.post("/v1/generations", json=create_body(), headers={"content-encoding": encoding})

    assert answer.status_code == 202, answer.text


async def test_encoded_callback_is_415(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.post("/callbacks/fal/x/y", content=b"{}", headers=MARKED)).status_code == 415


async def test_byte_order_mark_is_ignored(app: FastAPI, call: Clients, tenant: Tenant) -> None:
    values = await real_paths(call, tenant)
    for method, path in with_body(app, "application/json"):
        if path.startswith(OWN_CALLERS):
            continue
        url = path
        for name, value in values.items():
            url = url.replace(name, value)
        for body in (b'{"nonsense": 1}', b"[]", b"{"):
            answers = [
                await call(method, filled(url), content=prefix + body, headers={"content-type": "application/json"})
                for prefix in (b"", BOM_UTF8)
            ]
            assert answers[0].status_code == answers[1].status_code, (method, path, body)
            assert faults(answers[0]) == faults(answers[1])
    made = await call("POST", "/v1/generations", content=BOM_UTF8 + _create(), headers=_JSON)
    again = await call("POST", "/v1/generations", content=_create(), headers=_JSON)
    assert (made.status_code, again.headers["idempotency-replayed"]) == (202, "true")


_JSON = {"content-type": "application/json", "idempotency-key": "order-7"}


def _create() -> bytes:
    return httpx.Request("POST", "http://x", json=create_body()).content


# --- negotiation ------------------------------------------------------------------------------------------------------

CSV, JSON, HTML = "text/csv", "application/json", "text/html"
ACCEPT = [
    (None, JSON),
    ("*/*", JSON),
    ("text/csv", CSV),
    ("TEXT/CSV", CSV),
    ("Text/Csv; Q=0.5", CSV),
    ("text/csv;q=0", JSON),
    ("text/csv;q=0.0, */*", JSON),
    ("text/*", CSV),
    ("application/json, text/csv;q=0.9", JSON),
    ("application/json;q=0.5, text/csv;q=0.9", CSV),
    ("text/csv, */*;q=0.1", CSV),
    ("*/*, text/csv", CSV),
    ("text/csv;header=present", CSV),
    ("image/png", JSON),
    ("text/csv;q=high", JSON),
    ("", JSON),
    (",,;,;q=1," * 500, JSON),
]


@pytest.mark.parametrize(("accept", "media"), ACCEPT)
async def test_usage_is_negotiated(api: httpx.AsyncClient, accept: str | None, media: str) -> None:
    del api.headers["accept"]

    answer = await api.get("/v1/usage", headers={} if accept is None else {"accept": accept})

    assert answer.headers["content-type"].split(";")[0] == media
    assert answer.headers["vary"] == "accept"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", 307),
        ("text/html;q=0", 200),
        ("*/*", 200),
        ("application/json", 200),
    ],
)
async def test_index_is_negotiated(anonymous: httpx.AsyncClient, accept: str, status: int) -> None:
    answer = await anonymous.get("/", headers={"accept": accept})

    assert answer.status_code == status
    assert answer.headers.get("location", "/docs") == "/docs"
    assert status == 307 or answer.json()["docs"] == "/docs"


@pytest.mark.parametrize(
    "accept", ["application/json", "text/html, image/*", "text/event-stream;q=0", "Text/Event-Stream", "*/*;q=0", ""]
)
async def test_events_are_sent_whatever_is_accepted(api: httpx.AsyncClient, accept: str) -> None:
    answer = await api.get(f"/v1/generations/{await ended(api)}/events", headers={"accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")


def test_best_offer_of_equal_ones_is_the_earliest() -> None:
    assert best("gzip, br", ("br", "gzip")) == "gzip"
    assert best("*", ("br", "gzip")) == "br"
    assert best("br;q=0, *", ("br", "gzip")) == "gzip"
    assert best("identity", ("br", "gzip")) is None


# --- credentials ------------------------------------------------------------------------------------------------------


async def test_401_below_fal_has_challenge(app: FastAPI) -> None:
    async with client_of(app) as anonymous:
        for method, path, operation in operations(app):
            if path.startswith("/fal/") and operation["security"]:
                answer = await anonymous.request(method, filled(path))
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"].startswith("Key realm="), path


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (ADMIN_TOKEN, "not an API key"),
        ("x", "not an API key"),
        ("sgk_foo", "mistyped"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret of webhooks"),
        ("764cabcf-b745-4b3e-ae38-1200304cf45b:0123456789abcdef0123456789abcdef", "key of fal"),
        ("ten_06h082q4e8x4s0m6y0m5z3g2vc", "an id"),
    ],
)
async def test_wrong_kind_of_key_is_named_by_its_form(app: FastAPI, token: str, sentence: str) -> None:
    for scheme, path in (("Bearer", "/v1/generations"), ("Key", "/fal/run/x")):
        async with client_of(app) as client:
            answer = await client.post(path, headers={"authorization": f"{scheme} {token}"})
        assert answer.status_code == 401
        assert sentence in answer.json()["detail"]


async def test_admin_token_as_key_is_answered_like_any_text(app: FastAPI) -> None:
    """The sentence must not show that a token is valid."""
    details = set()
    for token in (ADMIN_TOKEN, ADMIN_TOKEN[:-1] + "x", "another-token-of-any-length"):
        async with client_of(app, token) as client:
            details.add((await client.get("/v1/usage")).json()["detail"])
    assert len(details) == 1


async def test_api_key_as_admin_token_is_named(app: FastAPI, api: httpx.AsyncClient) -> None:
    details = {(await api.get("/admin/v1/tenants")).json()["detail"]}
    async with client_of(app, new_key_text()[1]) as unknown, client_of(app, "wrong") as wrong:
        details.add((await unknown.get("/admin/v1/tenants")).json()["detail"])
        other = (await wrong.get("/admin/v1/tenants")).json()["detail"]
    assert details == {"This is an API key of a tenant. /admin/v1 needs an operator's token (sgo_...)."}
    assert other == "The token is wrong. /admin/v1 needs an operator's token (sgo_...) or the admin token."
