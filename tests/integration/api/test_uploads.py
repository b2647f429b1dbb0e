"""Uploads, with the sandbox as fal's storage."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.media import inspector
from tests.conftest import client_of
from tests.support import factories, pictures

SAMPLES = Path(__file__).parents[3] / "deploy/sandbox/samples"
PHOTOS = [("rocket.jpg", "image/jpeg"), ("cat.png", "image/png"), ("coffee.webp", "image/webp")]
JPEG, PNG, WEBP = (pictures.encoded(kind) for kind in ("jpeg", "png", "webp"))
LIMIT = max((SAMPLES / name).stat().st_size for name, _ in PHOTOS)
SVG = b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
ZIP = b"PK\x03\x04" + b"a zip that every tool would open" * 10


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(
        redis_url, sandbox_url, max_upload_bytes=LIMIT, max_body_bytes=1024, max_inline_bytes=1024
    )


async def upload(api: httpx.AsyncClient, content: bytes | AsyncIterator[bytes], media: str) -> httpx.Response:
    return await api.post("/v1/uploads", content=content, headers={"content-type": media})


async def fetched(url: str) -> bytes:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
    assert answer.status_code == 200
    return answer.content


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize(("name", "media"), PHOTOS)
async def test_upload_of_bundled_photos_can_be_fetched(api: httpx.AsyncClient, name: str, media: str) -> None:
    photo = (SAMPLES / name).read_bytes()

    answer = await upload(api, photo, media)

    assert answer.status_code == 201, answer.text
    stored = await fetched(answer.json()["url"])
    width, height = pictures.opened(photo).size
    assert answer.json() == {
        "id": answer.json()["id"],
        "object": "upload",
        "url": answer.json()["url"],
        "content_type": media,
        "size": len(stored),
        "width": width,
        "height": height,
    }
    assert answer.json()["id"].startswith("upl_")
    assert pictures.opened(stored).tobytes() == pictures.opened(photo).tobytes()


async def test_upload_is_accepted_as_image_of_generation(api: httpx.AsyncClient) -> None:
    url = (await upload(api, JPEG, "image/jpeg")).json()["url"]

    answer = await api.post("/v1/generations", json=factories.create_body(image_url=url))

    assert answer.json()["input"]["image_url"] == url


@pytest.mark.parametrize("size", [1, 5, 100])
async def test_upload_in_chunks_of_any_size(api: httpx.AsyncClient, size: int) -> None:
    answer = await upload(api, pieces(WEBP, size), "image/webp")

    assert answer.status_code == 201, answer.text
    assert await fetched(answer.json()["url"]) == WEBP


@pytest.mark.parametrize("content", [b"\xff\xd8", b"x", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
async def test_upload_bytes_of_no_image_return_422(api: httpx.AsyncClient, content: bytes) -> None:
    answer = await upload(api, content, "image/jpeg")

    assert answer.status_code == 422
    assert [(fault["pointer"], fault["type"]) for fault in answer.json()["errors"]] == [("", "image_format")]


@pytest.mark.parametrize("chunked", [False, True])
async def test_upload_empty_body_returns_400(api: httpx.AsyncClient, chunked: bool) -> None:
    answer = await upload(api, pieces(b"", 1) if chunked else b"", "image/png")

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("chunked", [False, True])
async def test_upload_above_limit_returns_413(api: httpx.AsyncClient, chunked: bool) -> None:
    content = JPEG + b"\x00" * LIMIT

    answer = await upload(api, pieces(content, 10_000) if chunked else content, "image/jpeg")

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert str(LIMIT) in answer.json()["detail"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_upload_at_limit_is_accepted(api: httpx.AsyncClient, chunked: bool) -> None:
    content = JPEG.ljust(LIMIT, b"\x00")

    answer = await upload(api, pieces(content, 10_000) if chunked else content, "image/jpeg")

    assert (answer.status_code, answer.json()["size"]) == (201, len(JPEG)), "padding is removed"


async def test_upload_limit_applies_to_uploads_only(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/generations", content=b" " * 2000, headers={"content-type": "application/json"})

    assert answer.status_code == 413


async def test_upload_slow_client_returns_408(
    app: FastAPI, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.runtime.generations.images, "_timeout", timedelta(seconds=0.2))

    async def slow_chunks() -> AsyncIterator[bytes]:
        yield JPEG
        await asyncio.sleep(5)
        yield JPEG

    answer = await upload(api, slow_chunks(), "image/jpeg")

    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")


async def test_upload_bad_key_returns_401_before_body(anonymous: httpx.AsyncClient) -> None:
    read = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal read
        for piece in (JPEG, JPEG):
            read += 1
            yield piece

    answer = await upload(anonymous, content(), "image/jpeg")

    assert answer.status_code == 401
    assert read == 0


async def test_upload_storage_refusal_returns_503(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, app: FastAPI
) -> None:
    monkeypatch.setattr(
        app.state.runtime.generations.fal_storage,
        "_rest_url",
        app.state.runtime.generations.fal_storage._rest_url + "/nowhere",
    )

    answer = await upload(api, JPEG, "image/jpeg")

    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert "retry-after" in answer.headers


async def test_upload_while_fal_refuses_the_account_says_so(api: httpx.AsyncClient, sandbox_url: str) -> None:
    """The caller learns that it is not its key or its image, and nothing about the balance."""
    async with httpx.AsyncClient(base_url=sandbox_url) as fal:
        (await fal.post("/_sandbox/faults", json={"account": {"kind": "locked"}})).raise_for_status()
        try:
            answer = await upload(api, JPEG, "image/jpeg")
        finally:
            (await fal.delete("/_sandbox/faults")).raise_for_status()

    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
        *(503, "upstream_unavailable"),
        "60",
    )
    assert "fal refuses the account of this gateway" in answer.json()["detail"]
    assert "balance" not in answer.text.lower()


async def test_upload_storage_unavailable_returns_503(
    api: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.runtime.generations.fal_storage, "_rest_url", factories.NOWHERE)

    answer = await upload(api, JPEG, "image/jpeg")

    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert factories.FAL_KEY not in answer.text
    assert "retry-after" in answer.headers


async def test_upload_many_concurrently(app: FastAPI, api: httpx.AsyncClient) -> None:
    key = api.headers["authorization"].split()[1]
    async with client_of(app, key) as other:
        answers = await asyncio.gather(
            *(upload(client, JPEG.ljust(50_000, b"\x00"), "image/jpeg") for _ in range(5) for client in (api, other))
        )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["url"] for answer in answers}) == 10


@pytest.mark.parametrize("changes", [{"seconds": 0.01}, {"cpu_seconds": 0}, {"memory": 30_000_000}], ids=str)
async def test_upload_beyond_decoder_limits_fails_alone(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    photo = pictures.encoded("jpeg", pictures.picture(2000, 2000))
    with monkeypatch.context() as patch:
        patch.setattr(inspector, "_SMALL", dataclasses.replace(inspector._SMALL, **changes))
        refused = await upload(api, photo, "image/jpeg")

    assert (refused.status_code, refused.json()["code"]) == (503, "image_limit")
    assert refused.json()["retryable"]
    assert "retry-after" in refused.headers
    assert (await upload(api, photo, "image/jpeg")).status_code == 201


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
async def test_upload_turned_image_is_at_most_an_upload(api: httpx.AsyncClient, kind: str) -> None:
    """It is encoded again, at the quality that it has."""
    for quality in range(95, 1, -1):
        photo = pictures.encoded(
            kind, pictures.noise(800, 800), quality=quality, method=1, exif=pictures.exif(orientation=6)
        )
        if len(photo) <= LIMIT:
            break

    answer = await upload(api, photo, f"image/{kind}")

    assert answer.status_code == 201, answer.text
    assert len(await fetched(answer.json()["url"])) <= LIMIT


# --- forms ------------------------------------------------------------------------------------------------------------


def _form(*parts: tuple[str, bytes], end: bytes = b"--XX--\r\n") -> bytes:
    heads = (
        f"--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts
    )
    return b"".join(heads) + end


FILE = 'name="file"; filename="a.jpg"'


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (_form((FILE, JPEG), (FILE, JPEG)), "multipart/form-data; boundary=XX"),
        (_form(('name="note"', b"no file")), "multipart/form-data; boundary=XX"),
        (_form((FILE, JPEG), end=b""), "multipart/form-data; boundary=XX"),
        (_form((FILE, b"")), "multipart/form-data; boundary=XX"),
        (_form((FILE, JPEG)), "multipart/form-data"),
        (_form((FILE, JPEG)), "multipart/form-data; boundary=YY"),
        (b"nothing of the kind", "multipart/form-data; boundary=XX"),
        (_form((FILE, JPEG)), "multipart/form-data; boundary=" + "X" * 300),
        (b"--XX\r\n" + b"x" * 100_000 + b": y\r\n\r\n", "multipart/form-data; boundary=XX"),
    ],
    ids=[
        "two files",
        "no file",
        "no end",
        "empty file",
        "no boundary",
        "other boundary",
        "no form",
        "long boundary",
        "long header",
    ],
)
async def test_upload_form_without_one_whole_file_returns_400(api: httpx.AsyncClient, body: bytes, media: str) -> None:
    answer = await upload(api, body, media)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"--XX\r\n\r\n\r\n" * 20_000, "64 parts"),
        (_form(*[('name="note"', b"")] * 64, (FILE, JPEG)), "64 parts"),
        (_form((FILE, JPEG + b"\r\n--XXy" * 20_000)), "64 parts"),
        (_form((FILE, JPEG), end=b"--XX" + b" " * 100_000 + b"\r\n"), "65536 bytes"),
        (_form((FILE, JPEG)) + b"x" * 100_000, "65536 bytes"),
        (b"\r\n" * 50_000 + _form((FILE, JPEG)), "65536 bytes"),
        (_form(('name="note"', b"x" * 100_000), (FILE, JPEG)), "65536 bytes"),
    ],
    ids=["empty parts", "65 parts", "delimiters in file", "padded delimiter", "epilogue", "preamble", "large field"],
)
async def test_upload_form_beyond_one_file_returns_400(api: httpx.AsyncClient, body: bytes, reason: str) -> None:
    answer = await upload(api, body, "multipart/form-data; boundary=XX")

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.text
    assert f"more than {reason}" in answer.json()["detail"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_upload_form_limit_counts_file_only(api: httpx.AsyncClient, chunked: bool) -> None:
    body = _form((FILE, JPEG.ljust(LIMIT + 1, b"\x00")))

    answer = await upload(api, pieces(body, 10_000) if chunked else body, "multipart/form-data; boundary=XX")

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert str(LIMIT) in answer.json()["detail"]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_upload_form_in_chunks_of_any_size(api: httpx.AsyncClient, size: int) -> None:
    answer = await upload(api, pieces(_form((FILE, JPEG)), size), "multipart/form-data; boundary=XX")

    assert answer.status_code == 201, answer.text


# --- what is refused, each by its own code ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "media", "code"),
    [
        (SVG, "image/png", "image_format"),
        (PNG + ZIP, "image/png", "image_trailing_data"),
        (JPEG + ZIP, "image/jpeg", "image_trailing_data"),
        (WEBP + b"<html><script>", "image/webp", "image_trailing_data"),
        (PNG[: len(PNG) // 2], "image/png", "image_truncated"),
        (PNG[:20], "image/png", "image_truncated"),
        (JPEG[: len(JPEG) // 2], "image/jpeg", "image_truncated"),
        (JPEG[:-2], "image/jpeg", "image_truncated"),
        (WEBP[:-10], "image/webp", "image_truncated"),
        (pictures.png_header(40_000, 40_000), "image/png", "image_too_many_pixels"),
        (pictures.png_header(2**31 - 1, 2**31 - 1), "image/png", "image_too_many_pixels"),
        (pictures.png_header(600, 400), "image/png", "image_unreadable"),
        (PNG[:60] + b"\x00" + PNG[61:], "image/png", "image_unreadable"),
        (b"\xff\xd8\xff" + b"\x00" * 200, "image/jpeg", "image_unreadable"),
        (pictures.encoded("webp", save_all=True, append_images=[pictures.noise(60, 40)]), "image/webp", "image_format"),
    ],
)
async def test_upload_bad_image_returns_422_with_reason(
    api: httpx.AsyncClient, content: bytes, media: str, code: str
) -> None:
    answer = await upload(api, content, media)

    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code), problem
    assert [(fault["pointer"], fault["type"]) for fault in problem["errors"]] == [("", code)]


async def test_upload_removes_gps_position(api: httpx.AsyncClient) -> None:
    photo = pictures.encoded("jpeg", exif=pictures.exif())

    url = (await upload(api, photo, "image/jpeg")).json()["url"]

    stored = await fetched(url)
    assert pictures.SECRET.encode() in photo
    assert pictures.SECRET.encode() not in stored
    assert not pictures.opened(stored).getexif()
