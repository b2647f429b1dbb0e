"""Preflight: probes of images before the paid submit, against a real server, real Redis and the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from service.config.settings import Settings
from service.domain.field_types import IMAGE_URL_LENGTH
from service.domain.generation import Generation
from service.domain.status import Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.net.image_probe import ImageProbe, ProbeFailed, ProbeRefused, ProbeResult
from service.runtime import Runtime, open_runtime
from service.usecases.lifecycle.preflight import classify_probe
from tests.conftest import Scrape
from tests.support import factories, pictures
from tests.support.factories import LOOPBACK
from tests.support.image_files import OTHERS
from tests.support.waiting import dispatched

READ = 4096
PHOTO = pictures.encoded("png", pictures.noise(200, 200))
Create = Callable[..., Awaitable[Generation]]


#: What the server answers, by the file's name; "404" and the like are answered with that status.
BODIES = {
    "cat.png": PHOTO,
    "page.png": b"<!doctype html><title>Not here</title>",
    "empty.png": b"",
    "heic.jpg": OTHERS["HEIC"][0],
    "bomb.png": pictures.png_header(40_000, 40_000),
}
RANGES = {
    "ranges.png": f"bytes 0-{READ - 1}/{len(PHOTO)}",
    "vast-range.png": f"bytes 0-{READ - 1}/30000001",
}
STREAMED = {"vast.png": {"content-length": "30000001"}, "endless.png": {}}
MOVED = {
    "moved.png": "/cat.png",
    "lost.png": "/404",
    "inward.png": "http://169.254.169.254/latest/meta-data/",
    "round.png": "/round.png",
    "mail.png": "http://127.0.0.1:25/",
}


class Photographs:
    """A server of images that records its requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.accepted: list[str] = []
        self.called = asyncio.Event()
        self.released = asyncio.Event()
        """Until it is set, ``slow.png`` gets no response."""
        self.sent = 0
        self.base = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append((name, request.headers.get("range", "")))
        self.accepted.append(request.headers.get("accept", ""))
        self.called.set()
        if name in MOVED:
            raise web.HTTPFound(MOVED[name])
        if name in BODIES:
            return web.Response(body=BODIES[name], content_type="text/html")
        if name in RANGES:
            return web.Response(status=206, body=PHOTO[:READ], headers={"content-range": RANGES[name]})
        if name in STREAMED:
            return await self._streamed(request, STREAMED[name])
        if name == "slow.png":
            await self.released.wait()
            return web.Response(body=PHOTO)
        if name == "reset.png" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=int(name) if name.isdigit() else 404)

    async def _streamed(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(PHOTO)
        while self.sent < 30_000_000:
            await response.write(b"\x00" * 65_536)
            self.sent += 65_536
        return response


@pytest.fixture
async def photographs() -> AsyncIterator[Photographs]:
    server = Photographs()
    application = web.Application()
    application.router.add_get("/{name}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1, max_line_size=2 * IMAGE_URL_LENGTH)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(
        redis_url,
        sandbox_url,
        preflight=True,
        preflight_timeout=timedelta(seconds=4),  # a good photograph is probed sooner on any machine
        preflight_bytes=READ,
        preflight_allowed_networks=LOOPBACK,
    )


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.fixture
def create(runtime: Runtime, owner: Tenant) -> Create:
    async def made(**changes: Any) -> Generation:
        request = factories.create_request(prompt="sandbox:no-video", **changes)
        return (await runtime.generations.creator.create(owner, request)).generation

    return made


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("404", "image_unreachable", "404"),
        ("410", "image_unreachable", "410"),
        ("lost.png", "image_unreachable", "404"),
        ("page.png", "invalid_input", "an HTML or XML document"),
        ("heic.jpg", "invalid_input", "Most Compatible"),
        ("empty.png", "invalid_input", "not a JPEG"),
        ("vast.png", "invalid_input", "30000001 bytes"),
        ("vast-range.png", "invalid_input", "30000001 bytes"),
        ("bomb.png", "invalid_input", "40000 x 40000"),
    ],
)
@pytest.mark.parametrize("field", ["image_url", "end_image_url"])
async def test_preflight_definite_fault_fails_at_no_cost(
    runtime: Runtime, create: Create, photographs: Photographs, field: str, name: str, code: str, reason: str
) -> None:
    good = f"{photographs.base}/cat.png"
    g = await create(**{"image_url": good, "end_image_url": good, field: f"{photographs.base}/{name}"})

    ended = await dispatched(runtime, g)

    assert ended.status is Status.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.retryable, ended.actual_cost) == (code, False, 0)
    assert reason in ended.error.message
    assert field in ended.error.message
    assert (ended.submitted_at, await runtime.stores.queue.slots_used()) == (None, 0)
    assert (await runtime.operations.audit.run()).clean


@pytest.mark.parametrize(
    "name",
    [
        "cat.png",
        "ranges.png",
        "endless.png",
        "moved.png",
        "slow.png",
        "reset.png",
        "inward.png",
        "round.png",
        "401",
        "403",
        "429",
        "500",
        "503",
    ],
)
async def test_preflight_good_or_inconclusive_submits(
    runtime: Runtime, create: Create, photographs: Photographs, name: str
) -> None:
    g = await create(image_url=f"{photographs.base}/{name}")

    assert (await dispatched(runtime, g)).status is Status.SUBMITTED
    assert photographs.asked[0] == (name, f"bytes=0-{READ - 1}")
    assert photographs.sent < 15_000_000, "read no further than the beginning"


@pytest.mark.parametrize(("name", "status"), [("cat.png", Status.SUBMITTED), ("404", Status.FAILED)])
async def test_preflight_probes_longest_image_url(
    runtime: Runtime, create: Create, photographs: Photographs, name: str, status: Status
) -> None:
    """Presigned URLs of object stores have session tokens of kilobytes."""
    url = f"{photographs.base}/{name}?X-Amz-Security-Token=".ljust(IMAGE_URL_LENGTH, "a")

    assert (await dispatched(runtime, await create(image_url=url, end_image_url=url))).status is status
    assert photographs.asked[0] == (name, f"bytes=0-{READ - 1}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/cat.png", "https://does-not-exist.invalid/cat.png"])
async def test_preflight_unreachable_server_submits(runtime: Runtime, create: Create, url: str) -> None:
    assert (await dispatched(runtime, await create(image_url=url))).status is Status.SUBMITTED


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/cat.png", "http://169.254.169.254/", "https://[::1]:9/", "https://localhost/cat.png"]
)
async def test_preflight_private_address_is_never_called(photographs: Photographs, url: str) -> None:
    async with ImageProbe(most_bytes=READ) as viewer:
        assert isinstance(await viewer.probe(url), ProbeRefused)


async def test_preflight_accepts_formats_of_the_model(settings: Settings, photographs: Photographs) -> None:
    """Some servers send AVIF to a client that accepts every image."""
    async with ImageProbe(settings.preflight_allowed_networks, most_bytes=READ) as viewer:
        assert isinstance(await viewer.probe(f"{photographs.base}/cat.png"), ProbeResult)
    assert photographs.accepted == ["image/jpeg, image/png, image/webp, */*;q=0.1"]


async def test_preflight_redirect_to_private_address_is_refused(settings: Settings, photographs: Photographs) -> None:
    """Neither a redirect, nor a server on a network that is not allowed."""
    async with ImageProbe(settings.preflight_allowed_networks, most_bytes=READ) as viewer:
        assert await viewer.probe(f"{photographs.base}/inward.png") == ProbeFailed("refused_address")
        assert await viewer.probe(f"{photographs.base}/mail.png") == ProbeFailed("refused_address")
    async with ImageProbe(most_bytes=READ) as viewer:
        assert isinstance(await viewer.probe(f"{photographs.base}/cat.png"), ProbeRefused)
    assert [name for name, _ in photographs.asked] == ["inward.png", "mail.png"]


async def test_preflight_does_not_probe_files_of_fal(
    runtime: Runtime, create: Create, photographs: Photographs, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def called(*_: object) -> None:
        raise AssertionError("probed")

    monkeypatch.setattr(ImageProbe, "probe", called)
    for url in ("https://v3b.fal.media/a.jpg", f"{sandbox_url}/cdn/files/b/x/y.png"):
        assert (await dispatched(runtime, await create(image_url=url))).status is Status.SUBMITTED


async def test_preflight_disabled_probes_nothing(redis_url: str, sandbox_url: str, photographs: Photographs) -> None:
    async with open_runtime(factories.sandbox_settings(redis_url, sandbox_url)) as runtime:
        owner = await runtime.tenants.service.create("acme")
        request = factories.create_request(prompt="sandbox:no-video", image_url=f"{photographs.base}/404")
        g = (await runtime.generations.creator.create(owner, request)).generation
        assert (await dispatched(runtime, g)).status is Status.SUBMITTED
    assert photographs.asked == []


async def test_preflight_of_canceled_generation_changes_nothing(
    runtime: Runtime, create: Create, owner: Tenant, photographs: Photographs
) -> None:
    g = await create(image_url=f"{photographs.base}/slow.png")
    await runtime.queues.run(WorkQueue.DISPATCH)
    async with asyncio.timeout(20):
        await photographs.called.wait()

    await runtime.generations.canceller.cancel(owner, g.id)
    photographs.released.set()

    await runtime.queues.consumers[WorkQueue.DISPATCH].idle()
    found = await runtime.stores.generations.load(g.id)
    assert found is not None
    assert found.status is Status.CANCELED


async def test_preflight_is_not_repeated_with_the_submit(
    runtime: Runtime, clock: factories.Clock, create: Create, owner: Tenant, photographs: Photographs
) -> None:
    request = factories.create_request(prompt="sandbox:429=1 again", image_url=f"{photographs.base}/cat.png")
    g = (await runtime.generations.creator.create(owner, request)).generation
    assert (await dispatched(runtime, g)).status is Status.QUEUED

    clock.advance(timedelta(minutes=2))

    assert (await dispatched(runtime, g)).status is Status.SUBMITTED
    assert [span for _, span in photographs.asked if span] == ["bytes=0-4095"], "requests without a range are fal's own"


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (ProbeResult(200, PHOTO[:100], None), None),
        (ProbeResult(200, PHOTO[:100], 30_000_000), None),
        (ProbeResult(200, PHOTO[:100], 30_000_001), "invalid_input"),
        (ProbeResult(200, pictures.encoded("jpeg")[:20], None), None),
        (ProbeResult(404, b"", 30_000_001), "image_unreachable"),
        (ProbeResult(503, b"", 30_000_001), None),
        (ProbeFailed("tls"), None),
        (ProbeRefused("the address is not public"), "image_unreachable"),
    ],
)
def test_preflight_classifies_probes(seen: Any, code: str | None) -> None:
    failure = classify_probe("image_url", seen, most_bytes=30_000_000, most_pixels=40_000_000)

    assert (None if failure is None else failure.code) == code


async def test_preflight_probes_are_counted(
    runtime: Runtime, create: Create, photographs: Photographs, scrape: Scrape
) -> None:
    await dispatched(runtime, await create(image_url=f"{photographs.base}/404"))

    text = await scrape()

    assert 'gateway_preflights_total{outcome="image_unreachable"}' in text
