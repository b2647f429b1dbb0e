"""Stored videos, in a folder and in an S3 server, from the copy to the deletion."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from fastapi import FastAPI

from service.api.http.responses import PROBLEM_JSON
from service.config.settings import Settings
from service.domain import fal_view
from service.domain.generation import Generation, Output, StoredVideo, Video
from service.domain.status import PublicStatus, Status
from service.domain.tenant import Tenant
from service.domain.work_queue import WorkQueue
from service.media.videos import VideoStore, VideoStoreUnavailable
from service.runtime import Runtime
from service.usecases.lifecycle.schedule import COPIES
from tests.support import factories, s3
from tests.support.factories import Clock
from tests.support.waiting import polled_until, process_due, stored

PUBLIC = "https://gateway.example.com"
ROOT = Path(__file__).parents[3]
READY = (ROOT / "deploy/sandbox/samples/ready.mp4").read_bytes()
PROMPT = "sandbox:no-video sandbox:seconds=0.01"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    with s3.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


class Objects:
    """The stored objects, read without the gateway."""

    def __init__(self, url: str, read: Callable[[], dict[str, bytes]]) -> None:
        self.url = url
        self.read = read


@pytest.fixture(params=["file", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    if request.param == "file":

        def read() -> dict[str, bytes]:
            return {str(f.relative_to(tmp_path)): f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}

        return Objects(f"file://{tmp_path}/videos", read)
    server: s3.S3 = request.getfixturevalue("s3_server")
    server.empty()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Objects(f"s3://{s3.BUCKET}/videos", server.objects)


@pytest.fixture
def settings(redis_url: str, sandbox_url: str, objects: Objects) -> Settings:
    httpx.post(f"{sandbox_url}/_sandbox/faults", json={}).raise_for_status()
    return factories.sandbox_settings(
        redis_url, sandbox_url, media_url=objects.url, public_url=PUBLIC, media_redirect=False
    )


@pytest.fixture
def faults(sandbox_url: str) -> Iterator[Callable[..., None]]:
    """Faults of the next downloads."""

    def befall(**fault: Any) -> None:
        httpx.post(f"{sandbox_url}/_sandbox/faults", json={"media": fault}).raise_for_status()

    yield befall
    httpx.post(f"{sandbox_url}/_sandbox/faults", json={}).raise_for_status()


async def submitted(runtime: Runtime, owner: Tenant, **changes: Any) -> Generation:
    request = factories.create_request(prompt=PROMPT, image_url="https://v3b.fal.media/a.jpg", duration=4, **changes)
    g = (await runtime.generations.creator.create(owner, request)).generation
    await process_due(runtime, WorkQueue.DISPATCH)
    return g


async def succeeded(runtime: Runtime, clock: Clock, owner: Tenant, **changes: Any) -> Generation:
    g = await submitted(runtime, owner, **changes)
    return await polled_until(runtime, clock, g, lambda now: now.is_terminal)


async def copying(runtime: Runtime, clock: Clock, owner: Tenant, **changes: Any) -> Generation:
    """Return the generation when fal's result is on its record."""
    g = await submitted(runtime, owner, **changes)
    return await polled_until(runtime, clock, g, lambda now: now.status is Status.COPYING)


# --- the copy ---------------------------------------------------------------------------------------------------------


async def test_copy_succeeds_before_success_is_published(
    app: FastAPI, clock: Clock, tenant: Tenant, api: httpx.AsyncClient, objects: Objects, sandbox_url: str
) -> None:
    g = await succeeded(app.state.runtime, clock, tenant)

    (content,) = objects.read().values()
    assert content == READY
    assert g.stored_video == StoredVideo(f"{tenant.id}/{g.id}.mp4", len(READY), hashlib.sha256(READY).hexdigest())
    read = (await api.get(f"/v1/generations/{g.id}")).json()
    assert read["status"] == "succeeded"
    assert read["output"]["video"] == {
        "url": f"{PUBLIC}/v1/generations/{g.id}/video",
        "content_type": "video/mp4",
        "file_name": "video.mp4",
        "file_size": len(READY),
    }
    assert float(read["cost"]["actual"]) > 0
    for_fals_clients = fal_view.result(g).body["video"]["url"]
    assert for_fals_clients.startswith(f"{sandbox_url}/cdn/files/"), "they fetch it without a key"
    assert (await app.state.runtime.operations.audit.run()).clean


async def test_copying_shows_in_progress_and_holds_no_slot(
    runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects
) -> None:
    g = await copying(runtime, clock, owner)

    assert (g.status, g.public_status) == (Status.COPYING, PublicStatus.IN_PROGRESS)
    assert (g.output, objects.read(), await runtime.stores.queue.slots_used()) == (None, {}, 0)
    assert await runtime.stores.queue.unfinished() == 1, "a drain waits for it"
    assert (await runtime.operations.audit.run()).clean
    ended = await polled_until(runtime, clock, g, lambda now: now.is_terminal)
    assert ended.status is Status.SUCCEEDED
    assert (ended.copying, len(objects.read()), await runtime.stores.queue.unfinished()) == (None, 1, 0)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme")


@pytest.mark.parametrize("kind", ["500", "reset", "lost-answer", "html-502"])
async def test_copy_failed_is_repeated(
    runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects, faults: Callable[..., None], kind: str
) -> None:
    faults(kind=kind, times=2)

    g = await copying(runtime, clock, owner)
    once = await polled_until(
        runtime, clock, g, lambda now: now.copying is not None and now.copying.failed_attempts == 1
    )
    assert (once.status, objects.read()) == (Status.COPYING, {})

    ended = await polled_until(runtime, clock, g, lambda now: now.is_terminal)

    assert ended.stored_video is not None
    assert [*objects.read().values()] == [READY]


async def test_copy_that_always_fails_ends_with_fals_url(
    runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects, faults: Callable[..., None], sandbox_url: str
) -> None:
    faults(kind="500")

    g = await copying(runtime, clock, owner)
    ended = await polled_until(runtime, clock, g, lambda now: now.is_terminal, step=20)

    assert ended.status is Status.SUCCEEDED
    assert ended.output is not None
    assert ended.output.video.url.startswith(f"{sandbox_url}/cdn/files/")
    assert (ended.stored_video, objects.read()) == (None, {})
    assert len(COPIES.delays) == 6
    assert (await runtime.operations.audit.run()).clean


async def test_copy_with_broken_storage_keeps_the_video(
    runtime: Runtime, clock: Clock, owner: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise VideoStoreUnavailable("the bucket is gone")

    monkeypatch.setattr(VideoStore, "write", fail)

    g = await copying(runtime, clock, owner)
    ended = await polled_until(runtime, clock, g, lambda now: now.is_terminal, step=20)

    assert (ended.status, ended.stored_video) == (Status.SUCCEEDED, None)


async def test_copy_past_deadline_ends_with_fals_url(runtime: Runtime, clock: Clock, owner: Tenant) -> None:
    """No poll runs, for whatever reason."""
    g = await copying(runtime, clock, owner)

    clock.advance(timedelta(minutes=31))
    await process_due(runtime, WorkQueue.SWEEP)

    ended = await stored(runtime, g)
    assert ended.status is Status.SUCCEEDED
    assert ended.output is not None


async def test_copy_calls_hosts_of_fal_only(runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects) -> None:
    """A result may name a URL of another host, for whatever reason."""
    called = asyncio.Event()
    listener = await asyncio.start_server(lambda *_: called.set(), "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/a.mp4", f"https://127.0.0.1:{port}/a.mp4", "file:///etc/passwd"):
            g = await submitted(runtime, owner)
            output = Output(Video(url))
            await runtime.transitions.apply(g.id, partial(_landed, output, clock()))

            ended = await polled_until(runtime, clock, g, lambda now: now.is_terminal, step=20)

            assert ended.output == output
    assert not called.is_set()
    assert objects.read() == {}


def _landed(output: Output, now: datetime, g: Generation) -> Generation:
    return g.copying_started(output, 5, now)


async def test_copy_by_two_workers_leaves_one_object(
    runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects
) -> None:
    """As after a lease that ended while the first worker was still copying."""
    g = await copying(runtime, clock, owner)
    keeping = runtime.queues.video_copier
    assert g.copying is not None

    await asyncio.gather(*(keeping.copy(g, g.copying) for _ in range(3)))

    ended = await stored(runtime, g)
    assert (ended.status, ended.version) == (Status.SUCCEEDED, g.version + 1)
    assert [*objects.read().values()] == [READY]


async def test_copy_over_capacity_waits(runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects) -> None:
    made = [await submitted(runtime, owner) for _ in range(9)]

    for g in made:
        await polled_until(runtime, clock, g, lambda now: now.is_terminal)

    assert len(objects.read()) == 9


async def test_copy_interrupted_leaves_no_object(settings: Settings, objects: Objects) -> None:
    store = VideoStore(objects.url)

    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"x" * 1024 * 1024
        raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        await store.write("t/g.mp4", breaking(), content_type="video/mp4", most=10**9)

    assert objects.read() == {}


async def test_copy_of_large_video_is_whole_or_absent(settings: Settings, objects: Objects) -> None:
    store, block = VideoStore(objects.url), bytes(range(256)) * 4096

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(23):
            yield block

    stored_video = await store.write("t/g.mp4", blocks(), content_type="video/mp4", most=10**9)

    assert stored_video == StoredVideo("t/g.mp4", 23 * len(block), hashlib.sha256(block * 23).hexdigest())
    assert [*objects.read().values()] == [block * 23]
    with pytest.raises(VideoStoreUnavailable, match="larger"):
        await store.write("t/h.mp4", blocks(), content_type="video/mp4", most=20 * len(block))
    assert len(objects.read()) == 1


def test_copy_killed_leaves_no_part_after_the_next(tmp_path: Path) -> None:
    script = """
import asyncio, os, pathlib, sys
from service.media.videos import VideoStore
async def chunks():
    yield b"x" * 12_000_000
    while not list(pathlib.Path(sys.argv[2]).rglob("*#*")):  # parts are on their way to the disk
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), 9)
asyncio.run(VideoStore(sys.argv[1]).write("t/g.mp4", chunks(), content_type="video/mp4", most=10**9))
"""
    url = f"file://{tmp_path}/videos"
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", script, url, str(tmp_path)], cwd=ROOT, check=False, timeout=60)
        assert killed.returncode == -9
    assert len(list(tmp_path.rglob("*#*"))) == 1, "each clears up after the one before"

    async def chunks() -> AsyncIterator[bytes]:
        yield READY

    asyncio.run(VideoStore(url).write("t/g.mp4", chunks(), content_type="video/mp4", most=10**9))

    assert [f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()] == [READY]


# --- on its way out ---------------------------------------------------------------------------------------------------


async def test_video_is_served_whole_and_by_ranges(
    app: FastAPI, clock: Clock, tenant: Tenant, api: httpx.AsyncClient
) -> None:
    g = await succeeded(app.state.runtime, clock, tenant)
    path = f"/v1/generations/{g.id}/video"

    whole = await api.get(path)
    part = await api.get(path, headers={"range": "bytes=100-299"})
    end = await api.get(path, headers={"range": "bytes=-50"})
    beyond = await api.get(path, headers={"range": f"bytes={len(READY)}-"})
    known = await api.get(path, headers={"if-none-match": whole.headers["etag"]})
    head = await api.head(path, headers={"range": "bytes=0-1"})
    same = await api.get(path, headers={"if-match": f'"x", {whole.headers["etag"]}'})
    other = await api.get(path, headers={"if-match": '"x"', "if-none-match": whole.headers["etag"]})
    changed = await api.get(path, headers={"range": "bytes=0-1", "if-range": '"x"'})

    assert (same.status_code, other.status_code) == (200, 412)
    assert other.json()["code"] == "precondition_failed"
    assert (changed.status_code, changed.content) == (200, READY)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, READY, "video/mp4")
    assert whole.headers["etag"] == f'"{hashlib.sha256(READY).hexdigest()}"'
    assert (part.status_code, part.content) == (206, READY[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(READY)}"
    assert (end.status_code, end.content) == (206, READY[-50:])
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(READY)}")
    assert (beyond.headers["content-type"], beyond.json()["code"]) == (PROBLEM_JSON, "range_not_satisfiable")
    assert (known.status_code, known.content) == (304, b"")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(READY)))


@pytest.mark.parametrize(("path", "member"), [("/openai/v1/videos", "code"), ("/openrouter/api/v1/videos", "metadata")])
async def test_range_beyond_video_has_error_of_dialect(
    app: FastAPI, clock: Clock, tenant: Tenant, api: httpx.AsyncClient, path: str, member: str
) -> None:
    g = await succeeded(app.state.runtime, clock, tenant)
    beyond = await api.get(f"{path}/{g.id}/content", headers={"range": f"bytes={len(READY)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(READY)}")
    assert "range_not_satisfiable" in str(beyond.json()["error"][member])


async def test_video_redirects_to_signed_url(
    settings: Settings, objects: Objects, app: FastAPI, clock: Clock, tenant: Tenant, api: httpx.AsyncClient
) -> None:
    g = await succeeded(app.state.runtime, clock, tenant)
    app.state.runtime.generations.videos._redirect = True

    answer = await api.get(f"/v1/generations/{g.id}/video")
    head = await api.head(f"/v1/generations/{g.id}/video")

    assert head.status_code == 200
    if objects.url.startswith("file:"):
        assert (answer.status_code, answer.content) == (200, READY)
        return
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    async with httpx.AsyncClient(trust_env=False) as anyone:
        fetched = await anyone.get(answer.headers["location"], headers={"range": "bytes=5-9"})
    assert (fetched.status_code, fetched.content) == (206, READY[5:10])
    assert fetched.headers["content-type"] == "video/mp4"
    assert "hush-s3-secret" not in answer.headers["location"]


async def test_video_not_stored_redirects_to_fal(
    app: FastAPI, clock: Clock, tenant: Tenant, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = app.state.runtime.queues.video_copier
    monkeypatch.setattr(keeping, "videos", None)
    g = await succeeded(app.state.runtime, clock, tenant)

    answer = await api.get(f"/v1/generations/{g.id}/video")

    assert g.output is not None
    assert (answer.status_code, answer.headers["location"]) == (307, g.output.video.url)


async def test_video_of_other_tenant_is_404(
    app: FastAPI, clock: Clock, tenant: Tenant, api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    g = await succeeded(app.state.runtime, clock, tenant)

    for answer in (
        await other_api.get(f"/v1/generations/{g.id}/video"),
        await api.get("/v1/generations/gen_00000000000000000000000000/video"),
        await api.get("/v1/generations/..%2F..%2Fkept/video"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_video_before_end_or_without_video(
    app: FastAPI, clock: Clock, tenant: Tenant, api: httpx.AsyncClient
) -> None:
    g = await copying(app.state.runtime, clock, tenant)
    early = await api.get(f"/v1/generations/{g.id}/video")
    failed = await submitted(app.state.runtime, tenant)
    await app.state.runtime.transitions.apply(failed.id, lambda now: now.failed(factories.failure(), 0, clock()))
    without = await api.get(f"/v1/generations/{failed.id}/video")

    assert (early.status_code, early.json()["code"]) == (409, "video_not_ready")
    assert (early.json()["retryable"], early.headers["retry-after"]) == (True, "5")
    assert (without.status_code, without.json()["code"]) == (404, "not_found")


async def test_video_object_missing_or_storage_unavailable(
    app: FastAPI, clock: Clock, tenant: Tenant, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = await succeeded(app.state.runtime, clock, tenant)
    assert g.stored_video is not None
    await app.state.runtime.connections.video_store.delete(g.stored_video.path)
    gone = await api.get(f"/v1/generations/{g.id}/video")

    async def broken(*_: object, **__: object) -> None:
        raise obstore.exceptions.GenericError("http://store/?X-Amz-Signature=hush")

    monkeypatch.setattr(obstore, "get_async", broken)
    unavailable = await api.get(f"/v1/generations/{g.id}/video")

    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert (unavailable.status_code, unavailable.json()["code"]) == (503, "media_unavailable")
    assert "hush" not in unavailable.text


# --- its end ----------------------------------------------------------------------------------------------------------


async def test_retention_deletes_video(runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects) -> None:
    g = await succeeded(runtime, clock, owner)
    assert len(objects.read()) == 1

    clock.advance(timedelta(days=31))
    await process_due(runtime, WorkQueue.SWEEP)

    assert objects.read() == {}
    assert await runtime.stores.generations.load(g.id) is None


async def test_retention_keeps_record_until_video_is_deleted(
    runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = await succeeded(runtime, clock, owner)

    async def fail(*_: object) -> None:
        raise VideoStoreUnavailable("unavailable")

    clock.advance(timedelta(days=31))
    with monkeypatch.context() as patch:
        patch.setattr(VideoStore, "delete", fail)
        await process_due(runtime, WorkQueue.SWEEP)
    assert await runtime.stores.generations.load(g.id) is not None

    clock.advance(timedelta(minutes=2))
    await process_due(runtime, WorkQueue.SWEEP)
    assert (await runtime.stores.generations.load(g.id), objects.read()) == (None, {})


async def test_erasure_deletes_video(runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects) -> None:
    await succeeded(runtime, clock, owner, end_user_id="customer-7")
    await succeeded(runtime, clock, owner, end_user_id="customer-8")

    erased = await runtime.tenants.end_users.erase(owner, "customer-7")

    assert (erased.generations, erased.in_flight) == (1, 0)
    assert len(objects.read()) == 1


async def test_erasure_during_copy_deletes_video(
    runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running copy deletes the object that it has written."""
    g = await copying(runtime, clock, owner, end_user_id="customer-7")
    original = VideoStore.write

    async def erased_meanwhile(store: VideoStore, *arguments: Any, **options: Any) -> StoredVideo:
        stored_video = await original(store, *arguments, **options)
        assert len(objects.read()) == 1
        await runtime.tenants.end_users.erase(owner, "customer-7")
        return stored_video

    monkeypatch.setattr(VideoStore, "write", erased_meanwhile)
    clock.advance(timedelta(seconds=2))
    await process_due(runtime, WorkQueue.POLL)

    assert objects.read() == {}
    assert await runtime.stores.generations.load(g.id) is None
    assert (await runtime.operations.audit.run()).clean


async def test_erasure_before_end_copies_nothing(
    runtime: Runtime, clock: Clock, owner: Tenant, objects: Objects
) -> None:
    g = await submitted(runtime, owner, end_user_id="customer-7")
    await runtime.tenants.end_users.erase(owner, "customer-7")

    ended = await polled_until(runtime, clock, g, lambda now: now.is_terminal)

    assert (ended.output, ended.stored_video, objects.read()) == (None, None, {})
