"""Headers of every response, paths with an encoded slash, and requests with two hosts."""

import base64
import hashlib
import re
import socket
from urllib.parse import quote, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import client_of
from tests.guards.test_routes import UNLISTED, filled, operations
from tests.support.factories import ADMIN_TOKEN, create_body
from tests.support.served import served

#: Responses that caches may store: public keys, and files of the documentation.
CACHED = ("/.well-known/", "/fal/.well-known/")


async def test_every_response_has_security_headers(app: FastAPI, api: httpx.AsyncClient) -> None:
    key = api.headers["authorization"].removeprefix("Bearer ")
    async with client_of(app) as anonymous, client_of(app, ADMIN_TOKEN) as operator, client_of(app, key) as tenant:
        for client in (anonymous, operator, tenant):
            for method, path in [*operations(app), *(("GET", path) for path in sorted(UNLISTED)), ("GET", "/nowhere")]:
                answer = await client.request(method, filled(path))
                assert answer.headers.get_list("x-content-type-options") == ["nosniff"], (method, path)
                assert len(answer.headers.get_list("cache-control")) == 1, (method, path)
                if not path.startswith(CACHED) and not answer.headers["content-type"].startswith("text/"):
                    assert answer.headers["cache-control"] == "no-store", (method, path)


async def test_keys_and_secrets_are_not_stored(operator: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    made = await operator.post("/admin/v1/tenants", json={"name": "shop"})
    key = await operator.post(f"/admin/v1/tenants/{made.json()['id']}/keys", json={})
    hook = await api.post("/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9000/hook"})
    secret = await api.get(f"/v1/webhook-endpoints/{hook.json()['id']}/secret")
    created = await api.post("/v1/generations", json=create_body())
    for answer in (made, key, hook, secret, created):
        assert answer.is_success, answer.text
        assert answer.headers["cache-control"].split(", ")[0] == "no-store"
    for answer in (made, key, hook, secret):
        assert answer.headers["cache-control"] == "no-store, no-transform"


async def test_documentation_page_allows_its_own_scripts_only(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    scripts = policy["script-src"].split()
    assert "'unsafe-inline'" not in scripts
    assert "'unsafe-eval'" not in scripts
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert inline
    for text in inline:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in scripts
    for source in re.findall(r'<script src="(.*?)"', page.text):
        assert source.startswith("/")
        assert "'self'" in scripts
    assert (policy["default-src"], policy["frame-ancestors"], policy["connect-src"]) == ("'none'", "'none'", "'self'")
    assert page.headers["x-frame-options"] == "DENY"


async def test_only_the_documentation_is_html(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    paths = [*(path for method, path in operations(app) if method == "GET"), *UNLISTED, "/nowhere"]
    html = [path for path in paths if "html" in (await anonymous.get(filled(path))).headers.get("content-type", "")]
    assert html == ["/docs"]


async def test_encoded_slash_reaches_no_other_route(app: FastAPI, api: httpx.AsyncClient) -> None:
    """For every route with a segment after a parameter: the segments as one are the parameter of a shorter route."""
    g = (await api.post("/v1/generations", json=create_body())).json()
    for slash in ("%2F", "%2f"):
        answer = await api.post(f"/v1/generations/{g['id']}{slash}cancel")
        assert answer.status_code in (404, 405), answer.text
    assert (await api.get(f"/v1/generations/{g['id']}")).json()["status"] == "queued"
    for method, path in operations(app):
        for place in range(1, path.count("/")):
            parts = filled(path).split("/")
            joined = "/".join(parts[: place + 1]) + "%2F" + "/".join(parts[place + 1 :])
            if joined.startswith("/v1/end-users/"):
                continue  # their ids may have slashes: below
            answer = await api.request(method, joined)
            assert answer.status_code in (401, 404, 405), (method, joined, answer.text)


@pytest.mark.parametrize("name", ["anna/block", "anna/erasure", "anna/unblock", "a/b", "50%/block"])
async def test_end_user_with_slash_is_no_action(api: httpx.AsyncClient, name: str) -> None:
    await api.post("/v1/generations", json=create_body(end_user_id=name))
    path = f"/v1/end-users/{quote(name, safe='')}"
    assert (await api.get(path)).json()["id"] == name
    assert (await api.post(path)).status_code == 405
    blocked = await api.post(f"{path}/block")
    assert (blocked.status_code, blocked.json()["id"]) == (200, name)
    assert (await api.post("/v1/generations", json=create_body(end_user_id=name))).status_code == 403
    assert (await api.post("/v1/generations", json=create_body(end_user_id="anna"))).status_code == 202


@pytest.mark.parametrize("hosts", [("a.example", "b.example"), ("a.example", "a.example")])
async def test_two_hosts_are_400(app: FastAPI, hosts: tuple[str, str]) -> None:
    import asyncio

    with served(app) as gateway:
        answers = [
            await asyncio.to_thread(_status, gateway.url, "".join(f"Host: {host}\r\n" for host in given))
            for given in (hosts, hosts[:1])
        ]
    assert answers == [400, 200]


def _status(url: str, host_lines: str) -> int:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(f"GET /healthz HTTP/1.1\r\n{host_lines}Connection: close\r\n\r\n".encode())
        return int(connection.recv(1000).split()[1])
