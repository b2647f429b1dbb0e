"""Answers of fal that are too large to be read: one outcome per operation, and no memory for the rest."""

import asyncio
import gc
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.domain.outcomes import Accepted, Failed, Succeeded, Unknown, UpstreamError
from service.errors import UpstreamUnavailable
from service.upstream.answer_body import LARGEST_ANSWER, LARGEST_DOCUMENT
from service.upstream.billing import FalBilling
from service.upstream.callback_verification import Verifier
from service.upstream.client import FalClient
from service.upstream.exchange import exchange
from service.upstream.files import FalFiles, FileUnavailable
from service.upstream.hosts import FalHosts
from service.upstream.http_result import HttpResponse
from service.upstream.messages import cancel_outcome, status_outcome, submit_outcome
from service.upstream.results import result_outcome
from service.upstream.storage import FalStorage, UploadTarget
from tests.support.factories import NOW

MODEL: Final = "bytedance/seedance-2.0/image-to-video"
MEGABYTE: Final = 1024 * 1024
#: More than any answer may have, and less than the smallest flood.
MOST_MEMORY: Final = 16 * MEGABYTE
TOO_LARGE: Final = "AnswerTooLarge"

Read = Callable[[str], Awaitable[Any]]


class Fal:
    """A server that answers every request with the same body, and records what the requests accept."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.chunks: Callable[[], Iterator[bytes]] = lambda: iter((b"{}",))
        self.accepted: list[str | None] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.accepted.append(request.headers.get("accept-encoding"))
        answer = web.StreamResponse(status=self.status, headers=self.headers)
        await answer.prepare(request)
        for chunk in self.chunks():
            await answer.write(chunk)
            await asyncio.sleep(0)
        return answer

    def packs(self, content: bytes, *, megabytes: int = 0) -> None:
        packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
        blank = b" " * MEGABYTE
        packed = b"".join((packer.compress(content), *(packer.compress(blank) for _ in range(megabytes))))
        packed += packer.flush()
        self.headers = {"content-encoding": "gzip"}
        self.chunks = lambda: iter((packed,))


def packed(fal: Fal) -> None:
    fal.packs(b'{"request_id":"r"}', megabytes=64)


def huge(fal: Fal) -> None:
    fal.chunks = lambda: (b" " * MEGABYTE for _ in range(64))


def endless(fal: Fal) -> None:
    fal.chunks = lambda: iter(lambda: b" " * MEGABYTE, None)


@pytest.fixture
async def fal() -> AsyncIterator[Fal]:
    found = Fal()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.handle)
    async with TestServer(app) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


async def submit(url: str) -> Any:
    async with FalClient(queue_url=url, key="k", model=MODEL, timeout=30) as client:
        return submit_outcome(await client.submit({}))


async def status(url: str) -> Any:
    async with FalClient(queue_url=url, key="k", model=MODEL, timeout=30) as client:
        return status_outcome(await client.status("r"))


async def result(url: str) -> Any:
    async with FalClient(queue_url=url, key="k", model=MODEL, timeout=30) as client:
        return result_outcome(await client.result("r"))


async def cancel(url: str) -> Any:
    async with FalClient(queue_url=url, key="k", model=MODEL, timeout=30) as client:
        return cancel_outcome(await client.cancel("r"))


async def storage_target(url: str) -> Any:
    async with FalStorage(FalHosts((), (url,)), rest_url=url, key="k", timeout=30) as client:
        with pytest.raises(UpstreamUnavailable, match=TOO_LARGE):
            await client.create_target(content_type="image/png", file_name="a.png")


async def storage_put(url: str) -> Any:
    async def photo() -> AsyncIterator[bytes]:
        yield b"photo"

    async with FalStorage(FalHosts((), (url,)), rest_url=url, key="k", timeout=30) as client:
        with pytest.raises(UpstreamUnavailable, match=TOO_LARGE):
            await client.put(UploadTarget(f"{url}/put", f"{url}/get", "image/png"), photo(), size=5)


async def keys(url: str) -> Any:
    headers = {
        "x-fal-webhook-request-id": "r",
        "x-fal-webhook-user-id": "u",
        "x-fal-webhook-timestamp": str(int(NOW.timestamp())),
        "x-fal-webhook-signature": "0" * 128,
    }
    async with Verifier(rest_url=url) as verifier:
        return await verifier.verify(headers, b"{}", NOW)


async def billing(url: str) -> Any:
    async with FalBilling(api_url=url, key="k", timeout=30) as client:
        with pytest.raises(UpstreamUnavailable, match=TOO_LARGE):
            await client.events(MODEL, start=NOW - timedelta(hours=1), end=NOW)


#: Every read of an answer of fal, with its outcome if the answer is too large. Files have no largest answer in memory:
#: they are written as they arrive.
READS: Final[dict[str, tuple[Read, Any]]] = {
    "submit": (submit, Unknown(TOO_LARGE)),
    "status": (status, UpstreamError(TOO_LARGE)),
    "result": (result, UpstreamError(TOO_LARGE)),
    "cancel": (cancel, "trouble"),
    "storage target": (storage_target, None),
    "storage put": (storage_put, None),
    "keys": (keys, "keys_unavailable"),
    "billing": (billing, None),
}


@pytest.mark.parametrize("flood", [packed, huge, endless])
@pytest.mark.parametrize("read", READS)
async def test_answer_too_large_is_an_outcome(fal: Fal, read: str, flood: Callable[[Fal], None]) -> None:
    flood(fal)
    operation, outcome = READS[read]
    tracemalloc.start()
    try:
        async with asyncio.timeout(60):
            assert await operation(fal.url) == outcome
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert fal.accepted == ["identity"]


@pytest.mark.parametrize("status_code", [400, 401, 422, 500])
async def test_refusal_too_large_is_unknown(fal: Fal, status_code: int) -> None:
    """fal may have accepted the submit, as after every answer that cannot be read."""
    fal.status = status_code
    huge(fal)
    assert await submit(fal.url) == Unknown(TOO_LARGE)


async def test_packed_answer_within_bounds_is_read(fal: Fal) -> None:
    fal.packs(b'{"request_id":"r"}')
    assert await submit(fal.url) == Accepted("r")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip"])
async def test_answer_in_unknown_encoding_is_unreadable(fal: Fal, encoding: str) -> None:
    fal.headers = {"content-encoding": encoding}
    assert await submit(fal.url) == Unknown("fal answered 200 without a request id")


@pytest.mark.parametrize(("more", "readable"), [(0, True), (1, False)])
async def test_largest_answer_is_read_whole(fal: Fal, more: int, readable: bool) -> None:
    content = b'{"request_id":"r"}'.ljust(LARGEST_ANSWER + more)
    fal.chunks = lambda: iter((content,))
    assert await submit(fal.url) == (Accepted("r") if readable else Unknown(TOO_LARGE))


async def test_packed_file_is_unavailable(fal: Fal) -> None:
    packed(fal)
    async with FalFiles(FalHosts((), (fal.url,))) as files:
        with pytest.raises(FileUnavailable, match="packed"):
            async with files.opened(f"{fal.url}/video.mp4"):
                pass


def test_failure_detail_beyond_bound_is_dropped() -> None:
    wire = HttpResponse(422, {}, {"detail": [{"msg": "x" * LARGEST_DOCUMENT, "type": "value_error"}]})
    outcome = submit_outcome(wire)
    assert getattr(outcome, "failure").detail is None  # noqa: B009


def test_log_line_beyond_bound_is_cut() -> None:
    logs = [{"message": "x" * LARGEST_DOCUMENT, "level": "x" * LARGEST_DOCUMENT, "timestamp": "x" * LARGEST_DOCUMENT}]
    outcome = status_outcome(HttpResponse(202, {}, {"status": "IN_PROGRESS", "logs": logs}))
    (line,) = getattr(outcome, "logs")  # noqa: B009
    assert (len(line.message), len(line.level), len(line.timestamp)) == (2_000, 64, 24)


@pytest.mark.parametrize(("length", "accepted"), [(256, True), (257, False)])
def test_request_id_beyond_bound_is_unknown(length: int, accepted: bool) -> None:
    outcome = submit_outcome(HttpResponse(200, {}, {"request_id": "r" * length}))
    assert isinstance(outcome, Accepted if accepted else Unknown)


def test_result_beyond_bounds_is_trouble_or_cut() -> None:
    video = {"url": "https://v3b.fal.media/v.mp4", "file_name": "x" * 1_001, "content_type": "x" * 1_001}
    found = result_outcome(HttpResponse(200, {}, {"video": video}))
    assert isinstance(found, Succeeded)
    assert (found.output.video.file_name, found.output.video.content_type) == (None, None)
    video["url"] = video["url"].ljust(8_193, "x")
    assert isinstance(result_outcome(HttpResponse(200, {}, {"video": video})), UpstreamError)
    failed = result_outcome(HttpResponse(500, {}, {"detail": "oops", "error_type": "x" * 65}))
    assert isinstance(failed, Failed)
    assert failed.failure.upstream_type == "x" * 64


def ordinary(_: Fal) -> None:
    """``{}``, with status 200."""


async def post(url: str) -> Any:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await exchange(client.stream("POST", url, json={}))).body


@pytest.mark.parametrize(
    ("read", "answer"),
    [(post, ordinary), (submit, ordinary), (submit, huge), (storage_target, huge), (storage_put, packed)],
)
async def test_answer_that_was_read_is_no_garbage(fal: Fal, read: Read, answer: Callable[[Fal], None]) -> None:
    """A cycle of references would hold its memory until the next collection: in a worker, for minutes."""
    answer(fal)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await read(fal.url)
        gc.collect()
        left = [found for found in gc.garbage if isinstance(found, httpx.Response | httpx.Request)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert left == []
