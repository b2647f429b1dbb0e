"""Random bytes, JSON, headers and paths at every route: each response is in the documented form, and never a 500."""

import asyncio
import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
import pytest
from fastapi import FastAPI

from service.api.openapi.export import document
from service.config.settings import Settings
from service.runtime import Runtime
from tests.conftest import client_of
from tests.support import factories
from tests.support.factories import create_body

#: Each number is a seed, so that a failure can be repeated.
SEEDS = range(12)
CALLS = 60

PIECES = [
    *("", "x", "0", "-1", "5", "true", "null", "NaN", "1e999", "wait=5", "\x00", "\x7f", "\t", "%00", "../", "//", "*"),
    *("é", "ÿ", "ü" * 50, "{sg}", "gen_", "gen_0123456789abcdefghjkmnpqrs", "sgk_", "Bearer", "=", ";", ",", '"', "'"),
    *("9" * 30, "9" * 5000, "application/json", "image/png", "chunked", "gzip", "2026-01-31T09:30:00Z", "9999-12-31"),
    *("bytes=0-1", 'W/"x"', "queued", "<script>", "${jndi:ldap://x}", "'; DROP TABLE", "{{7*7}}", "\\", "&", "?", "#"),
]
HEADERS = [
    *("x-fal-webhook-request-id", "x-fal-webhook-user-id", "x-fal-webhook-timestamp", "x-fal-webhook-signature"),
    *("accept", "accept-encoding", "authorization", "content-type", "cookie", "expect", "forwarded", "host"),
    *("idempotency-key", "if-match", "if-none-match", "origin", "prefer", "range", "te", "upgrade", "x-forwarded-for"),
    *(
        "x-forwarded-proto",
        "x-http-method-override",
        "x-request-id",
        "traceparent",
        "content-encoding",
        "last-event-id",
        "x-fal-target-url",
        "x-fal-request-timeout",
        "x-fal-queue-priority",
    ),
]
MODEL = "bytedance/seedance-2.0/image-to-video"
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"]
PARAMETERS = ["limit", "cursor", "status", "end_user_id", "created_after", "created_before", "x", ""]
FIELDS = [
    *create_body(),
    "duration",
    "seed",
    "metadata",
    "priority",
    "max_cost_usd",
    "expires_in",
    "webhook_url",
    "x",
    "",
]


Choice = TypeVar("Choice")


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(
        redis_url, max_body_bytes=20_000, max_upload_bytes=20_000, public_url="https://gw.example"
    )


class Chaos:
    """Random values of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def text(self) -> str:
        return "".join(self._random.choices(PIECES, k=self._random.randint(0, 3)))

    def pick(self, choices: Sequence[Choice]) -> Choice:
        return self._random.choice(choices)

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def blob(self) -> bytes:
        return self._random.randbytes(self._random.choice([0, 1, 10, 1000, 30_000]))

    def value(self, depth: int = 0) -> Any:
        choices: list[Any] = [None, True, 0, -1, 5, 2**70, 1.5, 1e308, self.text(), "\ud800"]
        if depth < 4:
            choices += [[self.value(depth + 1)], {self.text(): self.value(depth + 1)}]
        return self._random.choice(choices)

    def body(self) -> bytes:
        match self._random.randint(0, 5):
            case 0:
                return self.blob()
            case 1:
                return json.dumps(self.value()).encode()
            case 2:
                return b"[" * 9000
        changes = {name: self.value() for name in self._random.sample(FIELDS, 2)}
        return json.dumps({**create_body(), **changes}).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        names = self._random.sample(HEADERS, self._random.randint(0, 4))
        return [(name.encode(), self.text().encode("latin-1", "replace").replace(b"\x00", b"")) for name in names]

    def json_headers(self) -> list[tuple[bytes, bytes]]:
        media = self._random.choice([b"application/json", b"image/jpeg", b"application/json; charset=x"])
        return [*(pair for pair in self.headers() if pair[0] != b"authorization"), (b"content-type", media)]

    def path(self, template: str) -> str:
        if "/fal/queue/" in template and self.chance(0.5):
            template = template.replace("{endpoint}", MODEL)
        for name in re.findall(r"{(\w+)}", template):
            template = template.replace(f"{{{name}}}", self.segment())
        return template if self.chance(0.9) else template + self.segment()

    def segment(self) -> str:
        return quote(self.text()[:200], safe="%/") or "x"

    def query(self) -> str:
        return urlencode([(self.pick(PARAMETERS), self.text()) for _ in range(self._random.randint(0, 3))])

    def method(self, usual: str) -> str:
        return usual if self.chance(0.8) else self.pick(METHODS)


@pytest.fixture(params=SEEDS)
def chaos(request: pytest.FixtureRequest) -> Chaos:
    return Chaos(request.param)


@pytest.fixture(scope="module")
def routes() -> list[tuple[str, str]]:
    described = [(method.upper(), path) for path, item in document()["paths"].items() for method in item]
    return [*described, ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/docs/assets/x"), ("GET", "/nowhere")]


@pytest.fixture
async def clients(
    app: FastAPI, api: httpx.AsyncClient, operator: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> list[httpx.AsyncClient]:
    return [api, operator, anonymous]


def acceptable(answer: httpx.Response) -> bool:
    """503 is allowed only where an upload needs storage: these tests have none."""
    if answer.request.url.path.startswith("/fal/"):
        return acceptable_to_fals_clients(answer)
    if answer.request.url.path.startswith(("/openai/", "/openrouter/", "/vercel/")):
        return acceptable_to_other_clients(answer)
    if answer.status_code >= 500:
        return answer.status_code == 503 and answer.json()["code"] == "upstream_unavailable"
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        return answer.headers["content-type"] == "application/problem+json" and "x-request-id" in answer.headers
    return True


def acceptable_to_fals_clients(answer: httpx.Response) -> bool:
    if answer.status_code >= 500:
        return answer.status_code == 503 and answer.json()["error_type"] == "upstream_unavailable"
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        return answer.headers["content-type"] == "application/json" and answer.status_code != 409
    return answer.request.method in ("HEAD", "OPTIONS") or "x-fal-request-id" in answer.headers


def acceptable_to_other_clients(answer: httpx.Response) -> bool:
    if answer.status_code < 400 or answer.request.method == "HEAD":
        return True
    error = answer.json()["error"]
    return answer.status_code in {*range(400, 500), 503} and bool(error["message"]) and "x-request-id" in answer.headers


async def test_fuzz_any_request_never_returns_500(
    chaos: Chaos, routes: list[tuple[str, str]], clients: list[httpx.AsyncClient]
) -> None:
    for _ in range(CALLS):
        method, template = chaos.pick(routes)
        client = chaos.pick(clients)
        request = client.build_request(
            chaos.method(method),
            f"http://gateway.test{chaos.path(template)}?{chaos.query()}",
            headers=chaos.json_headers() if chaos.chance(0.7) else chaos.headers(),
            content=chaos.body(),
        )

        answer = await client.send(request)

        assert acceptable(answer), (
            request.method,
            request.url,
            request.headers.raw,
            request.content[:300],
            answer.text,
        )


async def test_fuzz_accepted_create_can_be_read(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, chaos: Chaos
) -> None:
    """A generation that a worker cannot load would be lost."""
    answers = await asyncio.gather(
        *(
            api.post("/v1/generations", content=body, headers={"content-type": "application/json"})
            for body in _bodies(chaos)
        )
    )
    created = [answer.json() for answer in answers if answer.status_code == 202]

    for generation in created:
        found = (await api.get(f"/v1/generations/{generation['id']}")).json()
        assert {**found, "queue": None} == {**generation, "queue": None}, "newer generations may precede it"
        assert await runtime.stores.generations.load(generation["id"]) is not None
    assert {answer.status_code for answer in answers} <= {202, 400, 402, 413, 422}


async def test_fuzz_refusals_store_nothing(app: FastAPI, api: httpx.AsyncClient) -> None:
    """A caller that sends invalid requests as fast as possible gets responses, and so does the next caller."""
    async with client_of(app) as anonymous:
        answers = await asyncio.gather(
            *(anonymous.post("/v1/generations", content=b"x" * 1000) for _ in range(200)), return_exceptions=True
        )

    assert {answer.status_code for answer in answers if isinstance(answer, httpx.Response)} == {401}
    assert len(answers) == 200
    assert (await api.post("/v1/generations", json=create_body())).status_code == 202


def _bodies(chaos: Chaos) -> Iterator[bytes]:
    for _ in range(CALLS):
        yield json.dumps({**create_body(), chaos.pick(FIELDS): chaos.value()}).encode()
