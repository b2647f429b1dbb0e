"""Large JSON is compressed if the client accepts gzip; small bodies, secrets, streams and files are not."""

import gzip
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.routing import APIRoute

from service.api.http.compression import LARGEST, NO_TRANSFORM, SMALLEST, Compression
from tests.support.factories import create_body
from tests.support.webhooks import ENDPOINTS, ended

LARGE = "/openapi.json"


async def raw(client: httpx.AsyncClient, path: str, accept: str | None, method: str = "GET") -> tuple[Any, bytes]:
    """Return the headers and the bytes as they are sent."""
    client.headers.pop("accept-encoding", None)
    headers = {} if accept is None else {"accept-encoding": accept}
    async with client.stream(method, path, headers=headers) as answer:
        return answer.headers, b"".join([piece async for piece in answer.aiter_raw()])


@pytest.mark.parametrize(
    ("accept", "is_compressed"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip;q=0.001", True),
        ("*", True),
        ("br;q=1, *;q=0.1", True),
        ("identity;q=0.5, gzip;q=0.8", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("br", False),
        ("gzipped", False),
        ("", False),
        (None, False),
    ],
)
async def test_large_json_is_compressed_as_accepted(
    anonymous: httpx.AsyncClient, accept: str | None, is_compressed: bool
) -> None:
    _, plain = await raw(anonymous, LARGE, None)
    headers, body = await raw(anonymous, LARGE, accept)

    assert headers["vary"] == "accept-encoding"
    assert headers["content-length"] == str(len(body))
    assert ("content-encoding" in headers) == is_compressed
    assert (gzip.decompress(body) if is_compressed else body) == plain
    assert not is_compressed or len(body) < len(plain) / 2


async def test_head_has_length_of_compressed_get(anonymous: httpx.AsyncClient) -> None:
    (get, body), (head, nothing) = [await raw(anonymous, LARGE, "gzip", method) for method in ("GET", "HEAD")]

    assert (head["content-length"], head["content-encoding"], nothing) == (str(len(body)), "gzip", b"")
    assert get["content-length"] == head["content-length"]


async def test_list_is_compressed_and_one_generation_is_not(api: httpx.AsyncClient) -> None:
    made = [(await api.post("/v1/generations", json=create_body())).json() for _ in range(15)]

    page, _ = await raw(api, "/v1/generations", "gzip")
    one, _ = await raw(api, f"/v1/generations/{made[0]['id']}", "gzip")

    assert (page["content-encoding"], page["vary"]) == ("gzip", "accept-encoding")
    assert "content-encoding" not in one
    assert "vary" not in one
    listed = (await api.get("/v1/generations", headers={"accept-encoding": "gzip"})).json()["data"]
    assert {g["id"] for g in listed} == {g["id"] for g in made}


async def test_stream_is_not_compressed(api: httpx.AsyncClient) -> None:
    headers, body = await raw(api, f"/v1/generations/{await ended(api)}/events", "gzip")

    assert "content-encoding" not in headers
    assert b"event: state" in body


async def answer(response: Response, method: str = "GET") -> dict[str, str]:
    """Return the headers of a response to a client that accepts gzip."""
    scope = {"type": "http", "method": method, "headers": [(b"accept-encoding", b"gzip")]}
    transport = httpx.ASGITransport(lambda _, receive, send: Compression(response)(scope, receive, send))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return dict((await client.get("/")).headers)


@pytest.mark.parametrize(
    ("size", "media", "status", "headers", "is_compressed"),
    [
        (SMALLEST, "application/json", 200, {}, True),
        (LARGEST, "application/json", 200, {}, True),
        (SMALLEST, "text/csv; charset=utf-8", 200, {}, True),
        (SMALLEST - 1, "application/json", 200, {}, False),
        (LARGEST + 1, "application/json", 200, {}, False),
        (SMALLEST, "video/mp4", 200, {}, False),
        (SMALLEST, "application/json", 206, {}, False),
        (SMALLEST, "application/json", 404, {}, False),
        (SMALLEST, "application/json", 200, {"content-encoding": "br"}, False),
        (SMALLEST, "application/json", 200, {"cache-control": "no-store, no-transform"}, False),
    ],
)
async def test_compression_is_bounded(
    size: int, media: str, status: int, headers: dict[str, str], is_compressed: bool
) -> None:
    response = Response(b"x" * size, status, media_type=media, headers=headers)

    found = await answer(response)

    assert (found.get("content-encoding") == "gzip") == is_compressed
    assert (int(found["content-length"]) < size) == is_compressed


async def test_answer_to_post_is_not_compressed() -> None:
    assert "content-encoding" not in await answer(Response(b"x" * SMALLEST, media_type="application/json"), "POST")


async def test_length_of_compressed_body_varies() -> None:
    """Bodies that differ in one letter compress equally, but for the name in the header of gzip."""
    bodies = [b"%04d" % n + b"x" * SMALLEST for n in range(60)]
    lengths = {(await answer(Response(body, media_type="application/json")))["content-length"] for body in bodies}

    assert len(lengths) > 20


def test_every_route_with_a_secret_is_marked(app: FastAPI) -> None:
    """By the schema of its response. A new route with a secret fails here until it has ``NO_TRANSFORM``."""
    document = app.openapi()
    marked = {
        route.path_format
        for route in app.routes
        if isinstance(route, APIRoute) and NO_TRANSFORM.dependency in [d.call for d in route.dependant.dependencies]
    }
    secret = set()
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                schema = response.get("content", {}).get("application/json", {}).get("schema", {})
                name = schema.get("$ref", "").rpartition("/")[2]
                fields = document["components"]["schemas"].get(name, {}).get("properties", {})
                if (status == "201" and fields.keys() & {"key", "webhook_secret", "token"}) or "secret" in fields:
                    secret.add(path)

    assert secret == marked
    assert f"{ENDPOINTS}/{{endpoint_id}}/secret" in marked
