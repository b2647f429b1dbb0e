"""Uploads as the clients send them, downloads as video players request them."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.integration.sandbox.driver import Fal
from tests.integration.sandbox.images import CAT
from tests.integration.sandbox.server import Server


async def initiate(http: httpx.AsyncClient, form: str = "initiate") -> dict[str, str]:
    body = {"content_type": "image/png", "file_name": "my cat.png"}
    answer = await http.post(f"/rest/storage/upload/{form}", params={"storage_type": "fal-cdn-v3"}, json=body)
    addresses: dict[str, str] = answer.json()
    return addresses


async def token(http: httpx.AsyncClient) -> dict[str, str]:
    answer = await http.post("/rest/storage/auth/token", params={"storage_type": "fal-cdn-v3"}, json={})
    found: dict[str, str] = answer.json()
    return found


async def test_upload_by_js_client_without_key(fal: Fal, server: Server) -> None:
    content = CAT.read_bytes()
    addresses = await initiate(fal.http)
    async with httpx.AsyncClient() as other_api:
        assert (await other_api.put(addresses["upload_url"], content=content)).status_code == 200
        assert (await other_api.get(addresses["file_url"])).content == content
    result = await fal.outcome("my cat", image_url=addresses["file_url"], resolution="480p", duration="4")
    assert addresses["file_url"].startswith(f"{server.url}/cdn/files/")
    assert result.headers["x-fal-billable-units"] == "39.89125"  # so the size is that of the cat photo


async def test_upload_in_parts_by_js_client(http: httpx.AsyncClient) -> None:
    addresses = await initiate(http, "initiate-multipart")
    parts = [(await http.put(f"{addresses['upload_url']}/{n}", content=bytes([n]) * 1000)).json() for n in (2, 1, 10)]
    await http.post(f"{addresses['upload_url']}/complete", json={"parts": parts})
    assert [part["partNumber"] for part in parts] == [2, 1, 10]
    assert (await http.get(addresses["file_url"])).content == b"\1" * 1000 + b"\2" * 1000 + b"\n" * 1000


async def test_upload_by_python_client_with_token(http: httpx.AsyncClient, server: Server) -> None:
    issued = await token(http)
    headers = {"Authorization": f"Bearer {issued['token']}", "X-Fal-File-Name": "cat.png"}
    uploaded = await http.post(f"{issued['base_url']}/files/upload", content=CAT.read_bytes(), headers=headers)
    file = await http.get(uploaded.json()["access_url"])
    assert issued["token_type"] == "Bearer"
    assert datetime.fromisoformat(issued["expires_at"]) > datetime.now(UTC)
    assert (file.content, file.headers["content-type"]) == (CAT.read_bytes(), "image/png")


async def test_upload_in_parts_by_python_client(http: httpx.AsyncClient) -> None:
    begun = (await http.post("/cdn/files/upload/multipart", headers={"X-Fal-File-Name": "a.bin"})).json()
    url = f"{begun['access_url']}/multipart/{begun['uploadId']}"
    answers = [await http.put(f"{url}/{n}", content=bytes([n]) * 10) for n in (1, 2)]
    await http.post(f"{url}/complete", json={"parts": []})
    assert all(answer.headers["etag"] for answer in answers)
    assert (await http.get(begun["access_url"])).content == b"\1" * 10 + b"\2" * 10


async def test_download_honours_ranges(fal: Fal) -> None:
    url = (await fal.outcome()).json()["video"]["url"]
    whole = await fal.http.get(url)
    middle = await fal.http.get(url, headers={"Range": "bytes=100-199"})
    beyond = await fal.http.get(url, headers={"Range": "bytes=999999-"})
    assert whole.headers["accept-ranges"] == "bytes"
    assert (middle.status_code, middle.content) == (206, whole.content[100:200])
    assert middle.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    "path",
    [
        "/cdn/files/none.png",
        "/cdn/files/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/cdn/files/%2fetc%2fpasswd",
        "/cdn/files/..%2fwebhook-key",
    ],
)
async def test_download_of_other_path_is_refused(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/cdn/upload/b/ffff/never-given-out", "/cdn/upload/..%2f..%2fnew"])
async def test_upload_to_unissued_url_is_refused(http: httpx.AsyncClient, path: str, tmp_path: Path) -> None:
    assert (await http.put(path, content=b"x")).status_code == 404


async def test_realtime_token_is_a_json_string(http: httpx.AsyncClient) -> None:
    answer = await http.post("/rest/tokens/", json={"allowed_apps": ["x"], "token_expiration": 120})
    assert isinstance(answer.json(), str)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"file_name": 5}'])
async def test_upload_without_name_is_400(http: httpx.AsyncClient, body: bytes) -> None:
    assert (await http.post("/rest/storage/upload/initiate", content=body)).status_code == 400
