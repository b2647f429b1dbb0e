"""Preflight of videos and audio files: fetched and measured before the paid submit, against a real server and Redis."""

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psutil
import pytest
from aiohttp import web

from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.measurement import Measurement
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.runtime import Runtime
from tests.support import clips, factories, pictures
from tests.support.factories import LOOPBACK
from tests.support.image_files import OTHERS
from tests.support.waiting import dispatched

MODEL = "bytedance/seedance-2.5/reference-to-video"
Create = Callable[..., Awaitable[Generation]]
GOOD = clips.video()
FILES = {
    "good.mp4": GOOD,
    "good.mov": clips.video(container="mov"),
    "good.mp3": clips.sound(),
    "good.wav": clips.wav(),
    "long.mp4": clips.video(20, width=320, rate=24),
    "too-long.mp4": clips.video(31),
    "short.mp4": clips.video(1),
    "slow-rate.mp4": clips.video(rate=12),
    "film.mp4": clips.video(rate=24),
    "fast-rate.mp4": clips.video(rate=90),
    "narrow.mp4": clips.video(width=256),
    "two.mp4": clips.video(tracks=2),
    "cut.mp4": GOOD[:-300],
    "lies.mp4": clips.at(GOOD, b"mvhd", 16, b"\0\x36\xee\x80"),
    "really.mkv": clips.video(container="matroska"),
    "page.mp4": b"<!doctype html><title>Not here</title>",
    "empty.mp4": b"",
    "long.wav": clips.wav(31),
    "cat.gif": OTHERS["GIF"][0],
    "cat.png": pictures.encoded("png"),
}


class FileServer:
    def __init__(self) -> None:
        self.base = ""
        self.requests: list[str] = []
        self.sent = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.requests.append(name)
        if name in FILES:
            return web.Response(body=FILES[name])
        if name == "endless.mp4":
            return await self._endless(request)
        return web.Response(status=int(name) if name.isdigit() else 404)

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(GOOD)
        while self.sent < 30_000_000:
            await response.write(b"\0" * 65_536)
            self.sent += 65_536
        return response


@pytest.fixture
async def files() -> AsyncIterator[FileServer]:
    server, application = FileServer(), web.Application()
    application.router.add_get("/{name}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(
        redis_url,
        sandbox_url,
        models=[MODEL],
        preflight=True,
        preflight_timeout=timedelta(seconds=10),
        preflight_files_timeout=timedelta(seconds=60),  # a good file is measured sooner on any machine
        preflight_allowed_networks=LOOPBACK,
    )


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.fixture
def create(runtime: Runtime, owner: Tenant, files: FileServer) -> Create:
    async def made(**lists: list[str]) -> Generation:
        forms = runtime.generations.forms
        fields: dict[str, Any] = {name: [f"{files.base}/{each}" for each in names] for name, names in lists.items()}
        body = {"prompt": "sandbox:no-video", "duration": "4", **fields}
        request = forms.of(forms.registry.enabled[MODEL]).check(body, owner.limits)
        return (await runtime.generations.creator.create(owner, request)).generation

    return made


@pytest.mark.parametrize(
    ("lists", "code", "text"),
    [
        ({"video_urls": ["too-long.mp4"]}, "invalid_input", "video_urls/0: the video lasts 31 s, not 1.8 to 30.2 s"),
        ({"video_urls": ["lies.mp4"]}, "invalid_input", "video_urls/0: the video lasts 3600 s"),
        ({"video_urls": ["good.mp4", "short.mp4"]}, "invalid_input", "video_urls/1: the video lasts 1 s"),
        (
            {"video_urls": ["long.mp4", "long.mp4"]},
            "invalid_input",
            "video files last 40 s together, not up to 30.2",
        ),
        ({"video_urls": ["slow-rate.mp4"]}, "invalid_input", "has 12 frames per second, not 24 to 60"),
        ({"video_urls": ["fast-rate.mp4"]}, "invalid_input", "has 90 frames per second, not 24 to 60"),
        ({"video_urls": ["narrow.mp4"]}, "invalid_input", "has 256 x 320 pixels, each side must have 300 to 6000"),
        ({"video_urls": ["two.mp4"]}, "invalid_input", "2 video streams"),
        ({"video_urls": ["cut.mp4"]}, "invalid_input", "ends before its last box"),
        ({"video_urls": ["really.mkv"]}, "invalid_input", "the file is not MP4 or MOV"),
        ({"video_urls": ["good.mp3"]}, "invalid_input", "the file is not MP4 or MOV"),
        ({"video_urls": ["page.mp4"]}, "invalid_input", "the file is not MP4 or MOV"),
        ({"video_urls": ["empty.mp4"]}, "invalid_input", "the file is empty"),
        ({"video_urls": ["404"]}, "image_unreachable", "its server responded with 404"),
        (
            {"video_urls": ["good.mp4"], "audio_urls": ["long.wav"]},
            "invalid_input",
            "the audio files last 31 s together, not up to 30.2",
        ),
        ({"video_urls": ["good.mp4"], "audio_urls": ["good.mp4"]}, "invalid_input", "the file is not MP3 or WAV"),
        ({"image_urls": ["404"]}, "image_unreachable", "image_urls/0: its server responded with 404"),
        ({"image_urls": ["cat.png", "page.mp4"]}, "invalid_input", "image_urls/1: The file is an HTML"),
    ],
)
async def test_preflight_broken_limit_fails_at_no_cost(
    runtime: Runtime, create: Create, lists: dict[str, list[str]], code: str, text: str
) -> None:
    ended = await dispatched(runtime, await create(**lists))

    assert (ended.status, ended.actual_cost, ended.submitted_at) == (Status.FAILED, 0, None)
    assert ended.error is not None
    assert ended.error.code == code
    assert text in ended.error.message
    assert (await runtime.operations.audit.run()).clean


@pytest.mark.parametrize(
    "lists",
    [
        {"video_urls": ["good.mp4", "good.mov"], "audio_urls": ["good.mp3", "good.wav"]},
        {"image_urls": ["cat.png", "cat.gif"]},
        {"video_urls": ["403", "500", "429"]},
    ],
    ids=["good", "formats of images", "inconclusive"],
)
async def test_preflight_without_definite_fault_submits(
    runtime: Runtime, create: Create, lists: dict[str, list[str]]
) -> None:
    assert (await dispatched(runtime, await create(**lists))).submitted_at is not None


async def test_preflight_of_file_beyond_most_bytes_stops_its_download(
    runtime: Runtime, create: Create, files: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.usecases.lifecycle.clip_preflight.largest_clip", lambda _: 1_000_000)

    ended = await dispatched(runtime, await create(video_urls=["endless.mp4"]))

    assert ended.error is not None
    assert "more than 1000000 bytes" in ended.error.message
    assert files.sent < 30_000_000


async def test_preflight_of_measured_upload_fetches_nothing(
    runtime: Runtime, owner: Tenant, create: Create, files: FileServer
) -> None:
    url = f"{files.base}/too-long.mp4"
    long = Measurement(container="mp4", size=9, seconds=Decimal(31), codec="h264", width=640, height=640)
    await runtime.stores.measurements.save(owner.id, url, long)

    ended = await dispatched(runtime, await create(video_urls=["too-long.mp4"]))

    assert ended.error is not None
    assert "lasts 31 s" in ended.error.message
    assert files.requests == []


async def test_preflight_of_videos_beyond_their_hold_fails(
    runtime: Runtime, owner: Tenant, create: Create, files: FileServer
) -> None:
    def clip(seconds: int) -> Measurement:
        return Measurement(container="mp4", size=9, seconds=Decimal(seconds), codec="h264", width=640, height=640)

    await runtime.stores.measurements.save(owner.id, f"{files.base}/a.mp4", clip(2))
    g = await create(video_urls=["a.mp4"])
    assert g.input_seconds == 2
    await runtime.stores.measurements.save(owner.id, f"{files.base}/a.mp4", clip(20))

    ended = await dispatched(runtime, g)

    assert ended.error is not None
    assert (ended.error.message, ended.actual_cost) == ("The videos last 20 s; the money for 2 s is held.", 0)


async def test_preflight_of_ten_videos_has_bounded_memory(
    runtime: Runtime, create: Create, files: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    g = await create(video_urls=["good.mp4"] + [f"good.mp4?{number}" for number in range(9)])
    before, started = psutil.Process().memory_info().rss, time.perf_counter()

    assert (await dispatched(runtime, g)).submitted_at is not None

    elapsed, grown = time.perf_counter() - started, psutil.Process().memory_info().rss - before
    with capsys.disabled():
        sys.stdout.write(f"\npreflight and submit of 10 videos: {elapsed:.1f} s, {grown / 1e6:.1f} MB more memory\n")
    assert files.requests.count("good.mp4") == 10
    assert grown < 50_000_000
