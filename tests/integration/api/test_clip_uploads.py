"""Uploads of videos and audio files, with the sandbox as fal's storage."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Tenant
from service.store import keys
from tests.conftest import client_of
from tests.support import clips, factories, pictures

MODEL = "bytedance/seedance-2.0/text-to-video"
MODELS = f"""
[models."{MODEL}"]
extends = "{MODEL}"

[models."{MODEL}".fields]
audio_urls = {{ type = "audios", files = {{ formats = ["mp3", "wav"], count = 3, bytes_each = 70_000 }} }}

[models."{MODEL}".fields.video_urls]
type = "videos"

[models."{MODEL}".fields.video_urls.files]
formats = ["mp4", "mov"]
count = 3
bytes_total = 50_000
seconds_total = [2, 15]
"""
MOST_OF_IMAGE = 60_000
BIG = clips.wav(3)
IMAGE = pictures.encoded("png")


@pytest.fixture
def settings(redis_url: str, sandbox_url: str, tmp_path: Path) -> Settings:
    file = tmp_path / "models.toml"
    file.write_text(MODELS)
    return factories.sandbox_settings(
        redis_url,
        sandbox_url,
        models=[MODEL],
        models_file=file,
        max_upload_bytes=MOST_OF_IMAGE,
        public_url="http://test",
    )


async def upload(
    api: httpx.AsyncClient, content: bytes | AsyncIterator[bytes], media: str = "application/octet-stream"
) -> httpx.Response:
    return await api.post("/v1/uploads", content=content, headers={"content-type": media})


async def fetched(url: str) -> bytes:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
    assert answer.status_code == 200
    return answer.content


async def pieces(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize(
    ("content", "media", "shape"),
    [
        (clips.video(), "video/mp4", (320, 320, 24.0, "mpeg4", 2.0)),
        (clips.video(container="mov"), "video/quicktime", (320, 320, 24.0, "mpeg4", 2.0)),
        (clips.wav(), "audio/wav", (None, None, None, "pcm_s16le", 2.0)),
        (clips.sound(), "audio/mpeg", (None, None, None, "mp3", 2.04)),
    ],
)
async def test_upload_of_clip_is_measured_and_stored_as_it_is(
    api: httpx.AsyncClient, content: bytes, media: str, shape: tuple[object, ...]
) -> None:
    answer = await upload(api, content, "image/png")  # a wrong label

    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert tuple(view.get(name) for name in ("width", "height", "frames_per_second", "codec", "seconds")) == shape
    assert (view["content_type"], view["size"]) == (media, len(content))
    assert await fetched(view["url"]) == content


async def test_upload_of_clip_as_form_or_in_pieces_is_accepted(api: httpx.AsyncClient) -> None:
    form = await api.post("/v1/uploads", files={"file": ("a.png", clips.video(), "image/png")})
    streamed = await upload(api, pieces(clips.video()))

    assert (form.status_code, streamed.status_code) == (201, 201)
    assert streamed.json()["seconds"] == 2.0


async def test_measurement_is_found_by_tenant_and_url(app: FastAPI, api: httpx.AsyncClient, tenant: Tenant) -> None:
    url = (await upload(api, clips.video())).json()["url"]
    store = app.state.runtime.stores.measurements

    found = await store.find(tenant.id, [url, "https://example.com/other.mp4"])

    assert {name: clip.seconds for name, clip in found.items()} == {url: 2}
    assert await store.find("ten_other", [url]) == {}
    redis = app.state.runtime.connections.redis
    lifetime = int(await redis.execute("PTTL", keys.measurement(tenant.id, url)))
    assert 6 * 86_400_000 < lifetime <= 7 * 86_400_000


async def test_image_is_still_an_image(api: httpx.AsyncClient) -> None:
    answer = await upload(api, IMAGE, "video/mp4")

    assert answer.status_code == 201
    assert answer.json()["content_type"] == "image/png"
    assert "seconds" not in answer.json()


@pytest.mark.parametrize(
    ("content", "expected", "text"),
    [
        (clips.video()[:-300], "clip_truncated", "ends before its last box"),
        (clips.video(tracks=2), "clip_format", "2 video streams"),
        (clips.sound(container="mp4", codec="aac"), "clip_format", "no video stream"),
        (b"ID3\4\0\0\0\0\0\0" + bytes(3000), "clip_unreadable", "damaged"),
        (clips.video(container="matroska"), "image_format", "Videos must be MP4 or MOV."),
        (clips.sound(container="flac", codec="flac"), "image_format", "Audio files must be MP3 or WAV."),
        (b"%PDF-1.7 " + bytes(100), "image_format", "a PDF document"),
    ],
)
async def test_unusable_file_is_refused_with_its_cause(
    api: httpx.AsyncClient, content: bytes, expected: str, text: str
) -> None:
    answer = await upload(api, content, "video/mp4")

    assert (answer.status_code, answer.json()["code"]) == (422, expected)
    assert text in answer.json()["detail"]


@pytest.mark.parametrize(
    "content",
    [
        clips.video() + bytes(50_000),
        BIG,
        IMAGE + bytes(MOST_OF_IMAGE),
    ],
    ids=["video", "audio", "image"],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_file_beyond_the_limit_of_its_kind_is_413(api: httpx.AsyncClient, content: bytes, streamed: bool) -> None:
    answer = await upload(api, pieces(content) if streamed else content)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_refused_clip_leaves_no_bytes_leased(app: FastAPI, api: httpx.AsyncClient) -> None:
    await upload(api, clips.video()[:-300])
    await upload(api, clips.video() + bytes(50_000))

    generations = app.state.runtime.generations
    assert (generations.images._disk.leased, generations.body_memory.leased) == (0, 0)


async def test_fal_upload_url_takes_a_clip(app: FastAPI, api: httpx.AsyncClient) -> None:
    begun = await api.post(
        "/fal/rest/storage/upload/initiate", json={"content_type": "video/mp4", "file_name": "a.mp4"}
    )
    assert begun.status_code == 200, begun.text
    address = begun.json()["upload_url"]
    async with client_of(app) as browser:
        put = await browser.put(address[address.index("/fal") :], content=clips.video())

    assert put.status_code == 200, put.text
    assert await fetched(begun.json()["file_url"]) == clips.video()


async def test_model_without_clips_refuses_them_as_before(
    monkeypatch: pytest.MonkeyPatch, app: FastAPI, api: httpx.AsyncClient
) -> None:
    monkeypatch.setattr(app.state.runtime.generations.uploads._clips, "most_bytes", {})

    answer = await upload(api, clips.video())

    assert (answer.status_code, answer.json()["code"]) == (422, "image_format")
    assert "a video" in answer.json()["detail"]
    assert "MP4" not in answer.json()["detail"]


async def test_generation_of_an_upload_has_the_exact_price(api: httpx.AsyncClient) -> None:
    """Without a measurement, the longest input counts."""
    url = (await upload(api, clips.video())).json()["url"]
    request = {"model": MODEL, "prompt": "p", "duration": "4"}

    exact = await api.post("/v1/generations/estimate", json={**request, "video_urls": [url]})
    unknown = await api.post("/v1/generations/estimate", json={**request, "video_urls": ["https://example.com/a.mp4"]})

    assert exact.status_code == unknown.status_code == 200, exact.text
    assert (exact.json()["parts"]["input_seconds"], unknown.json()["parts"]["input_seconds"]) == (2.0, 15.0)
