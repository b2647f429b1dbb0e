"""Every error response is a problem document (RFC 9457) with enough information to correct the call."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.schemas import Problem
from service.config.settings import Settings
from service.domain import ids
from service.domain.tenant import Limits, Scope
from service.store import keys
from service.store.redis.client import Redis
from tests.conftest import Connect, client_of
from tests.support import factories
from tests.support.factories import NOW, create_body

LIMIT = 4096


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return factories.settings(redis_url, max_body_bytes=LIMIT, max_inline_bytes=LIMIT)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the document, after the checks that hold for every problem."""
    document: dict[str, Any] = answer.json()
    assert answer.status_code == document["status"] == status, answer.text
    assert document["code"] == code
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["type"] == f"urn:seedance-gateway:error:{code}"
    assert document["instance"] == answer.request.url.path
    assert document["request_id"] == answer.headers["x-request-id"]
    assert document["retryable"] == ("retry-after" in answer.headers)
    assert document["title"]
    assert document["detail"]
    Problem.model_validate(document, strict=True)
    return document


def pointers(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(fault["pointer"], fault["type"]) for fault in document["errors"]]


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"prompt": }', b"[" * 4000, b'{"a": "\\ud800"}'])
async def test_problem_400_invalid_json(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/v1/generations", content=body, headers={"content-type": "application/json"})

    problem(answer, 400, "malformed")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"prompt": ...}, [("/prompt", "missing")]),
        ({"prompt": 5}, [("/prompt", "string_type")]),
        ({"prompt": " "}, [("/prompt", "string_blank")]),
        ({"colour": "red"}, [("/colour", "extra_forbidden")]),
        ({"duration": 16}, [("/duration", "literal_error")]),
        ({"seed": True}, [("/seed", "int_type")]),
        ({"image_url": "data:image/svg+xml,AAAA"}, [("/image_url", "data_uri")]),
        ({"metadata": {"a/b": 1}}, [("/metadata/a~1b", "string_type")]),
        ({"resolution": "4k"}, [("/resolution", "literal_error")]),
        ({"bitrate_mode": "high"}, [("/bitrate_mode", "extra_forbidden")]),
        ({"prompt": ..., "seed": -1}, [("/prompt", "missing"), ("/seed", "greater_than_equal")]),
    ],
    ids=str,
)
async def test_problem_422_names_every_wrong_field(
    api: httpx.AsyncClient, redis: Redis, changes: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    answer = await api.post("/v1/generations", json=create_body(**changes))

    assert pointers(problem(answer, 422, "invalid")) == found
    assert await redis.execute("KEYS", "*generation*") == []


async def test_problem_422_above_a_hundred_faults_has_one(api: httpx.AsyncClient) -> None:
    """Each fault takes a hundred times the memory of its input."""
    body = {**create_body(), **{f"{number:x}": 0 for number in range(101)}}

    document = problem(await api.post("/v1/generations", json=body), 422, "invalid")

    assert pointers(document) == [("", "too_many_faults")]
    assert "101 faults" in document["detail"]


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"7"])
async def test_problem_422_body_is_no_object(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/v1/generations", content=body, headers={"content-type": "application/json"})

    assert pointers(problem(answer, 422, "invalid")) == [("", "model_type")]


def padded(size: int) -> bytes:
    body = json.dumps(create_body()).encode()
    return body + b" " * (size - len(body))


async def chunks(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("chunked", [False, True])
async def test_problem_413_body_above_limit(api: httpx.AsyncClient, redis: Redis, chunked: bool) -> None:
    body = padded(LIMIT + 1)

    answer = await api.post(
        "/v1/generations",
        content=chunks(body) if chunked else body,
        headers={"content-type": "application/json"},
    )

    assert f"{LIMIT} bytes" in problem(answer, 413, "too_large")["detail"]
    assert ("content-length" in answer.request.headers) is not chunked
    assert await redis.execute("KEYS", "*generation*") == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_at_limit_is_accepted(api: httpx.AsyncClient, chunked: bool) -> None:
    body = padded(LIMIT)

    answer = await api.post(
        "/v1/generations",
        content=chunks(body) if chunked else body,
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == 202


async def test_problem_413_by_declared_length(api: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-length": str(LIMIT + 1)}

    problem(await api.post("/v1/generations", content=chunks(b"{}"), headers=headers), 413, "too_large")


async def test_content_length_with_leading_zeros_is_accepted(api: httpx.AsyncClient) -> None:
    body = json.dumps(create_body()).encode()
    headers = {"content-type": "application/json", "content-length": f"{len(body):05000}"}

    assert (await api.post("/v1/generations", content=chunks(body), headers=headers)).status_code == 202


async def test_problem_413_is_sent_before_body_is_read(api: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 1000

    async with asyncio.timeout(30):
        answer = await api.post("/v1/generations", content=endless(), headers={"content-type": "application/json"})

    problem(answer, 413, "too_large")
    assert sent <= 2 + LIMIT // 1000


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "json"])
async def test_problem_415_other_media_type(api: httpx.AsyncClient, media: str) -> None:
    answer = await api.post(
        "/v1/generations", content=json.dumps(create_body()), headers={"content-type": media} if media else {}
    )

    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;x=y"])
async def test_json_media_type_ignores_case_and_parameters(api: httpx.AsyncClient, media: str) -> None:
    answer = await api.post("/v1/generations", content=json.dumps(create_body()), headers={"content-type": media})

    assert answer.status_code == 202


# --- who is calling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Key sgk_x",
        "sgk_x",
        "Bearer sgk_x",
        "Bearer " + "x" * 5000,
        "Bearer \u00e9" + "x" * 63,
        "Bearer a b",
    ],
)
async def test_problem_401_bad_key(anonymous: httpx.AsyncClient, header: str | None) -> None:
    headers = [] if header is None else [(b"authorization", header.encode("latin-1"))]

    answer = await anonymous.get("/v1/generations", headers=headers)

    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="seedance-gateway"'


async def test_problem_401_mistyped_key_is_distinguished(api: httpx.AsyncClient) -> None:
    right = api.headers["authorization"]

    answer = await api.get("/v1/generations", headers={"authorization": right[:-1] + "!"})

    assert "mistyped" in problem(answer, 401, "unauthenticated")["detail"]


async def test_problem_401_unknown_key(anonymous: httpx.AsyncClient) -> None:
    _, text = factories.api_key("ten_1")

    answer = await anonymous.get("/v1/generations", headers={"authorization": f"Bearer {text}"})

    assert "unknown" in problem(answer, 401, "unauthenticated")["detail"]


async def test_problem_401_known_id_with_other_secret(app: FastAPI, connect: Connect) -> None:
    mine = await connect()
    key, text = factories.api_key("ten_1")
    stolen = mine.headers["authorization"].removeprefix("Bearer ").split("_")[1]
    from service.domain.credential import _checksum

    secret = text.split("_")[2][:40]
    forged = f"sgk_{stolen}_{secret}{_checksum(stolen, secret)}"

    async with client_of(app, forged) as forger:
        problem(await forger.get("/v1/generations"), 401, "unauthenticated")
    assert (await mine.get("/v1/generations")).status_code == 200
    assert key.id != stolen


@pytest.mark.parametrize("change", ["expires_at", "revoked_at"])
async def test_problem_401_expired_or_revoked_key(app: FastAPI, change: str) -> None:
    tenants = app.state.runtime.tenants.service
    tenant = await tenants.create("acme")
    key, text = factories.api_key(tenant.id, **{change: NOW})
    assert await app.state.runtime.stores.api_keys.insert(key)

    async with client_of(app, text) as late:
        problem(await late.get("/v1/generations"), 401, "unauthenticated")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_authorization_scheme_ignores_case(api: httpx.AsyncClient, scheme: str) -> None:
    key = api.headers["authorization"].split()[1]

    assert (await api.get("/v1/generations", headers={"authorization": f"{scheme}  {key} "})).status_code == 200


SCOPES = [
    ("GET", "/v1/generations", Scope.READ),
    ("GET", "/v1/generations/x", Scope.READ),
    ("GET", "/v1/generations/x/events", Scope.READ),
    ("POST", "/v1/generations", Scope.GENERATE),
    ("POST", "/v1/generations/x/cancel", Scope.GENERATE),
    ("POST", "/v1/uploads", Scope.GENERATE),
]


@pytest.mark.parametrize(("method", "path", "scope"), SCOPES)
async def test_problem_403_missing_scope(connect: Connect, method: str, path: str, scope: Scope) -> None:
    others = tuple(other for other in Scope if other is not scope)
    without, only = await connect(scopes=others), await connect(scopes=(scope,))

    assert repr(scope.value) in problem(await without.request(method, path), 403, "forbidden")["detail"]
    assert (await only.request(method, path)).status_code not in (401, 403)


# --- what is not there ------------------------------------------------------------------------------------------------


async def test_problem_404_generation_of_other_tenant(
    app: FastAPI, api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    """Every tenant route with a parameter in its path. A parameter that this table lacks fails here, on purpose."""
    other_body = create_body(end_user_id="their-customer")
    endpoint = (await other_api.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/"})).json()
    delivery = (await other_api.post(f"/v1/webhook-endpoints/{endpoint['id']}/test")).json()
    period = {"start": "2026-01-01", "end": "2026-01-31"}
    report = (await other_api.post("/v1/usage-reports", json=period)).json()
    names = {
        "report_id": (report["id"], ids.new(ids.USAGE_REPORT, NOW), "x"),
        "generation_id": (
            (await other_api.post("/v1/generations", json=other_body)).json()["id"],
            ids.new("gen", NOW),
            "x",
        ),
        "end_user_id": ("their-customer", "nobodys-customer", "x"),
        "endpoint_id": (endpoint["id"], ids.new("whe", NOW), "x"),
        "delivery_id": (delivery["id"], ids.new("msg", NOW), "x"),
        "model_id": ("bytedance/seedance-2.0/text-to-video", "x/y/z", "x"),
    }
    for path, item in app.openapi()["paths"].items():
        parameters = re.findall(r"{(\w+)}", path) if path.startswith("/v1/") else []
        for method in item if parameters else ():
            (parameter,) = parameters
            answers = [
                await api.request(method.upper(), path.replace(f"{{{parameter}}}", name)) for name in names[parameter]
            ]
            documents = [problem(answer, 404, "not_found") for answer in answers]
            for document in documents:
                del document["instance"], document["request_id"]
            assert documents[0] == documents[1] == documents[2], f"{method} {path}: the responses must be equal"
    mine = await other_api.get("/v1/generations", params={"end_user_id": "their-customer"})
    assert [g["status"] for g in mine.json()["data"]] == ["queued"], "and the generation is unchanged"
    assert (await other_api.get("/v1/end-users/their-customer")).json()["blocked_at"] is None
    assert (await other_api.get(f"/v1/webhook-endpoints/{endpoint['id']}")).json()["enabled"]


TRICKS = [
    "..",
    "%2e%2e",
    "..%2f..%2fadmin%2fv1%2ftenants",
    "%00",
    "gen_%00",
    "gen_0123456789abcdefghjkmnpqrs%0a",
    "gen_0123456789abcdefghjkmnpqrs%20",
    "gen_0123456789ABCDEFGHJKMNPQRS",
    "gen_*",
    "*",
    "%7bsg%7d:tenants",
    "gen_0123456789abcdefghjkmnpqrs:keys",
    "%ff%fe",
    "%F0%9F%90%88",
    "gen_" + "0" * 5000,
    "ten_0123456789abcdefghjkmnpqrs",
    "x;y=z",
    "a%0d%0aX-Evil:%201",
]


@pytest.mark.parametrize("trick", TRICKS)
async def test_problem_404_path_traversal_in_id(api: httpx.AsyncClient, trick: str) -> None:
    for method, suffix in (("GET", ""), ("POST", "/cancel")):
        answer = await api.request(method, f"http://gateway.test/v1/generations/{trick}{suffix}")

        assert answer.status_code in (404, 405), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "x-evil" not in answer.headers


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/v2/generations", "/admin", "/.git/config", "/v1//x"])
async def test_problem_404_unknown_route(api: httpx.AsyncClient, path: str) -> None:
    problem(await api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/generations", {"POST", "GET", "HEAD"}),
        ("POST", "/admin/v1/tenants/x", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("PUT", "/v1/generations/x", {"GET", "HEAD"}),
        ("GET", "/v1/generations/x/cancel", {"POST"}),
        ("GET", "/v1/uploads", {"POST"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ],
)
async def test_problem_405_other_method(api: httpx.AsyncClient, method: str, path: str, allowed: set[str]) -> None:
    answer = await api.request(method, path)

    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {*allowed, "OPTIONS"}


# --- the rest ---------------------------------------------------------------------------------------------------------


async def test_problem_409_cancel_of_terminal(api: httpx.AsyncClient) -> None:
    created = (await api.post("/v1/generations", json=create_body())).json()
    await api.post(f"/v1/generations/{created['id']}/cancel")

    problem(await api.post(f"/v1/generations/{created['id']}/cancel"), 409, "not_cancellable")


async def test_problem_402_has_amounts(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/generations", json=create_body(max_cost_usd=1))

    document = problem(answer, 402, "max_cost_exceeded")
    assert re.fullmatch(r"\d+\.\d{6}", document["estimated"])
    assert document["limit"] == "1.000000"


async def test_problem_422_idempotency_key_with_other_payload(api: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "order-7"}
    await api.post("/v1/generations", json=create_body(), headers=headers)

    answer = await api.post("/v1/generations", json=create_body(seed=1), headers=headers)

    assert "errors" not in problem(answer, 422, "idempotency_mismatch")


async def test_problem_500_hides_the_exception(
    app: FastAPI, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("hush")

    monkeypatch.setattr("service.domain.models.forms.parse_create", broken)
    async with client_of(app, api.headers["authorization"].split()[1], raises=False) as client:
        answer = await client.post("/v1/generations", json=create_body())

    problem(answer, 500, "internal")
    assert "hush" not in answer.text
    assert "Traceback" not in answer.text
    assert re.fullmatch(r"gw;dur=\d+\.\d\d", answer.headers["server-timing"])


async def test_problem_500_does_not_affect_next_call(
    app: FastAPI, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("service.domain.models.forms.parse_create", lambda *_: 1 / 0)
        async with client_of(app, api.headers["authorization"].split()[1], raises=False) as client:
            assert (await client.post("/v1/generations", json=create_body())).status_code == 500

    assert (await api.post("/v1/generations", json=create_body())).status_code == 202


#: Statuses that have tests in other files: uploads, videos, Redis unavailable.
ELSEWHERE = {"408", "412", "416", "429", "503"}


def test_problem_every_documented_status_has_a_test(app: FastAPI) -> None:
    documented = {
        status
        for item in app.openapi()["paths"].values()
        for operation in item.values()
        for status, answer in operation["responses"].items()
        if answer.get("$ref", "").startswith("#/components/responses/Error")
    }
    tests: list[Callable[..., Awaitable[None]] | str] = [name for name in globals() if name.startswith("test_")]

    assert {status for status in documented - ELSEWHERE if not any(f"_{status}_" in str(name) for name in tests)} == (
        set()
    )


async def test_problem_stores_nothing(api: httpx.AsyncClient, redis: Redis) -> None:
    before = set(await redis.execute("KEYS", keys.TAG + "*"))
    headers = {"Idempotency-Key": "order-7"}
    for body in (b"{", b"[]", json.dumps(create_body(seed=-1)).encode(), b"x" * LIMIT * 2):
        answer = await api.post(
            "/v1/generations", content=body, headers={"content-type": "application/json", **headers}
        )
        assert answer.status_code >= 400

    left = {name.decode() for name in set(await redis.execute("KEYS", keys.TAG + "*")) - before}
    assert {name for name in left if not name.endswith(":used")} == set(), "only the last use of the key is recorded"


async def test_rate_limit_counts_request_once(app: FastAPI, connect: Connect) -> None:
    tenants = app.state.runtime.tenants.service
    limited = await tenants.create("limited", Limits(requests_per_minute=60, burst=10))
    client = await connect(limited)

    answer = await client.put("/v1/webhook-endpoints/whe_00000000000000000000000000", json={})

    assert (answer.status_code, answer.headers["ratelimit"].split(";")[1]) == (404, "r=9")
