"""Clients of tenant A that request videos and read nothing, or a little now and then."""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, TenantClient
from tests.support.chaos.fal_proxy import VIDEO, FalProxy
from tests.support.neighbours import Neighbour, PeakMemory, assert_unharmed, measure, neighbour
from tests.support.waiting import eventually

#: Bounds of the stack.
OF_TENANT, TOTAL, READ_SECONDS = 6, 10, 2
ATTEMPTS: Final = 30
ROUNDS: Final = 5
#: Seconds of a download of 24 MiB by B, on a machine that is busy.
DOWNLOAD_SECONDS: Final = 10.0
#: Growth of the gateway: 256 KiB and a buffer for each reader, and what the measurements need.
MOST_GROWTH: Final = 60_000_000


@dataclass(frozen=True)
class Two:
    a: Neighbour
    b: Neighbour
    videos: dict[str, str]
    """The path of a video of each tenant."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder: Path = tmp_path_factory.mktemp("videos")
    with FalProxy() as fal:
        fal.released.set()
        changes = {
            **OVERRIDES,
            "fal_queue_url": f"{fal.url}/queue",
            "media_url": folder.as_uri(),
            "video_downloads": OF_TENANT,
            "video_downloads_total": TOTAL,
            "video_read_timeout": timedelta(seconds=READ_SECONDS),
        }
        with Stack(overrides=changes) as stack, neighbour(stack, "a") as a, neighbour(stack, "b") as b:
            fal.target = stack.sandbox_url
            yield Two(a, b, {tenant.id: stored_video(tenant) for tenant in (a, b)})


def stored_video(tenant: Neighbour) -> str:
    client = TenantClient(tenant.http, tenant.stack)
    g = client.ended(client.create("sandbox:no-video sandbox:seconds=0.1")["id"])
    assert g["status"] == "succeeded", g
    return f"/v1/generations/{g['id']}/video"


def request_video(tenant: Neighbour, path: str) -> tuple[socket.socket, int]:
    """Request a video and read the first bytes only. Return the connection and the status."""
    url = urlsplit(tenant.stack.base_url)
    connection = socket.create_connection((url.hostname, url.port), timeout=30)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {tenant.key}\r\n\r\n".encode())
    return connection, int(connection.recv(64).split()[1])


def read_slowly(connection: socket.socket, ending: threading.Event) -> None:
    while not ending.wait(0.05):
        connection.recv(512)


def rest_of(connection: socket.socket) -> int:
    """Read what was sent; return the number of bytes. The connection was closed before the end of the video."""
    size = 0
    with suppress(ConnectionError):
        while chunk := connection.recv(1 << 20):
            size += len(chunk)
    return size


def test_readers_that_read_nothing_are_bounded_and_closed(two: Two) -> None:
    calm = measure(two.b, rounds=ROUNDS)
    path, ending = two.videos[two.a.id], threading.Event()
    with ExitStack() as stack, PeakMemory(two.a.stack.children["gateway"].pid) as memory:
        opened = [request_video(two.a, path) for _ in range(ATTEMPTS)]
        for connection, _ in opened:
            stack.enter_context(connection)
        idle, *others = [connection for connection, status in opened if status == 200]
        slow = others[-1]
        thread = threading.Thread(target=read_slowly, args=(slow, ending), daemon=True)
        thread.start()

        began = time.monotonic()
        downloaded = two.b.http.get(two.videos[two.b.id])
        seconds = time.monotonic() - began
        harassed = measure(two.b, rounds=ROUNDS)

        statuses = [status for _, status in opened]
        sys.stdout.write(
            f"A: {statuses.count(200)} videos, {statuses.count(429)} refusals; B's video {seconds:.2f} s\n"
        )
        assert 2 <= statuses.count(200) <= OF_TENANT
        assert statuses.count(429) == ATTEMPTS - statuses.count(200)
        assert (downloaded.status_code, downloaded.content) == (200, VIDEO)
        assert seconds < DOWNLOAD_SECONDS

        eventually(lambda: a_may_read_again(two.a, path), within=READ_SECONDS + 20)
        ending.set()
        thread.join()
        assert rest_of(idle) < len(VIDEO)
        assert rest_of(slow) < len(VIDEO)
    assert_unharmed(calm, harassed)
    sys.stdout.write(f"gateway grew by {memory.grown / 1e6:.1f} MB\n")
    assert memory.grown < MOST_GROWTH


def a_may_read_again(tenant: Neighbour, path: str) -> bool:
    answer: httpx.Response = tenant.http.get(path, headers={"range": "bytes=0-9"})
    assert answer.status_code in (206, 429)
    return answer.status_code == 206
