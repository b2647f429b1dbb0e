"""Uploaded images and stored videos with real processes: ``kill -9`` during a copy, and memory of hostile uploads."""

import contextlib
import hashlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES, TenantClient, client_of
from tests.guards.repository import README, ROOT
from tests.support import pictures, s3
from tests.support.chaos.fal_proxy import VIDEO, FalProxy
from tests.support.receiver import Receiver

MEGABYTE = 1_000_000
DOWNLOADING = (README, ROOT / "docs/tutorial.md", ROOT / "docs/how-to/images-and-videos.md")
#: Memory that an allocator may hold after its buffers are freed.
ROOM = 10 * MEGABYTE


@pytest.fixture
def fal() -> Iterator[FalProxy]:
    with FalProxy() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.S3]:
    with s3.running(tmp_path) as server:
        server.empty()
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def keeping(fal: FalProxy, store: s3.S3) -> Iterator[TenantClient]:
    changes = {**OVERRIDES, "fal_queue_url": f"{fal.url}/queue", "media_url": f"s3://{s3.BUCKET}/kept"}
    with Stack(overrides=changes) as stack:
        fal.target = stack.sandbox_url
        client = client_of(stack)
        with client.http:
            yield client


def downloaded(document: Path, client: TenantClient, generation_id: str, folder: Path) -> Path:
    """Run the line of a document that downloads a video. Without a media store the test of the documents runs it."""
    (line,) = re.findall(r"^curl .*-o \S+\.mp4 .*/video .*$", document.read_text(), re.MULTILINE)
    name = str(re.findall(r"-o (\S+)", line)[0])
    names = {"GATEWAY": client.stack.base_url, "KEY": client.stack.api_key, "ID": generation_id}
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", **names}
    subprocess.run(["bash", "-euc", line], cwd=folder, env=environment, check=True, timeout=120)
    return folder / name


def test_video_copy_continues_after_worker_death(
    keeping: TenantClient, fal: FalProxy, store: s3.S3, receiver: Receiver, tmp_path: Path
) -> None:
    """One complete object; one success event, once the video is stored; fal's result is not requested again."""
    prompt = "sandbox:no-video sandbox:seconds=0.1 killed in mid-copy"
    g = keeping.create(prompt, webhook_url=receiver.url)
    assert fal.begun.wait(40), (keeping.read(g["id"]), keeping.stack.children["worker"].log_tail())
    before = keeping.read(g["id"])
    assert (before["status"], before["output"]) == ("in_progress", None)

    keeping.stack.children["worker"].kill()
    assert store.objects() == {}
    results = fal.results  # two if a poll and a callback met
    fal.released.set()
    keeping.stack.start_worker()

    ended = keeping.ended(g["id"])
    assert ended["status"] == "succeeded"
    (content,) = store.objects().values()
    assert hashlib.sha256(content).digest() == hashlib.sha256(VIDEO).digest()
    assert ended["output"]["video"]["file_size"] == len(VIDEO)
    assert ended["output"]["video"]["url"] == f"{keeping.stack.base_url}/v1/generations/{g['id']}/video"
    fetched = keeping.http.get(ended["output"]["video"]["url"], follow_redirects=True)
    assert (fetched.status_code, hashlib.sha256(fetched.content).digest()) == (200, hashlib.sha256(VIDEO).digest())
    for document in DOWNLOADING:
        target = downloaded(document, keeping, g["id"], tmp_path)
        assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(VIDEO).digest(), document.name
    assert fal.results == results >= 1, "the result was on the record"
    assert fal.sent >= 2, "a copy that the store refuses while it is busy is attempted again"
    assert len(keeping.submits(prompt)) == 1
    (event,) = receiver.wait_for(lambda came: len(came) == 1)
    assert event.verified(keeping.stack.webhook_secret)["data"]["output"] == ended["output"]


# --- uploads ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uploading() -> Iterator[TenantClient]:
    """A stack without workers. On busy cores an upload of 30 MB took more than 4 s, so the timeout is longer."""
    with Stack(worker=False, overrides={**OVERRIDES, "upload_timeout": timedelta(seconds=12)}) as stack:
        client = client_of(stack)
        with client.http:
            for _ in range(3):  # memory that the first uploads need permanently is no growth
                client.upload("cat.png")
                client.upload("rocket.jpg")
            yield client


@pytest.fixture
def gateway(uploading: TenantClient) -> psutil.Process:
    return psutil.Process(uploading.stack.children["gateway"].pid)


def peak(process: psutil.Process) -> int:
    """Return the largest resident memory so far, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _forget_peak(process: psutil.Process) -> int:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return peak(process)


PNG = pictures.encoded("png")
HOSTILE = {
    "polyglot": (PNG + b"PK\x03\x04" + b"\x01" * (5 * MEGABYTE), 422, "image_trailing_data"),
    "truncated": (pictures.encoded("png", pictures.noise(600, 500))[:-1000], 422, "image_truncated"),
    "bomb": (pictures.png_header(40_000, 40_000), 422, "image_too_many_pixels"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>" + b" " * (5 * MEGABYTE), 422, "image_format"),
    "31 MB": (PNG + b"\x00" * (31 * MEGABYTE - len(PNG)), 413, "too_large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_upload_bad_file_is_refused_and_frees_memory(
    uploading: TenantClient, gateway: psutil.Process, name: str
) -> None:
    content, status, code = HOSTILE[name]
    before = _forget_peak(gateway)

    for _ in range(3):
        answer = uploading.http.post("/v1/uploads", content=content, headers={"content-type": "image/png"})
        form = uploading.http.post("/v1/uploads", files={"file": ("cat.png", content, "image/png")})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert (form.status_code, form.json()["code"]) == (status, code)

    assert peak(gateway) - before < ROOM
    assert gateway.children() == []


def test_upload_of_30_mb_uses_little_memory(uploading: TenantClient, gateway: psutil.Process) -> None:
    photo = pictures.encoded("png", pictures.noise(3600, 2700))
    assert 28 * MEGABYTE < len(photo) <= 30 * MEGABYTE
    before = _forget_peak(gateway)

    answer = uploading.http.post("/v1/uploads", content=photo, headers={"content-type": "image/png"})

    assert answer.status_code == 201, answer.text
    assert (answer.json()["size"], answer.json()["width"], answer.json()["height"]) == (len(photo), 3600, 2700)
    assert peak(gateway) - before < ROOM
    assert httpx.get(answer.json()["url"]).content == photo


def _begin(uploading: TenantClient, *headers: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", uploading.stack.port or 0), timeout=30)
    head = (
        "POST /v1/uploads HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {uploading.stack.api_key}",
        "Content-Type: image/png",
        *headers,
    )
    connection.sendall("\r\n".join((*head, "", "")).encode())
    return connection


def _status(connection: socket.socket) -> tuple[int, bytes]:
    answer = connection.recv(65_536)
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize("length", ["Transfer-Encoding: chunked", "Content-Length: 99000000000"])
def test_upload_endless_body_is_cut_off(uploading: TenantClient, gateway: psutil.Process, length: str) -> None:
    before = _forget_peak(gateway)

    with _begin(uploading, length) as connection:
        sent = _sent_without_end(connection, chunked="chunked" in length)

    # The largest upload, what is read of a body after its refusal, and the buffers of both sides.
    assert sent < (30 + 33 + 17) * MEGABYTE
    assert peak(gateway) - before < ROOM


def _sent_without_end(connection: socket.socket, *, chunked: bool) -> int:
    """Return how many bytes the gateway accepted."""
    piece = b"\x00" * 65_536
    if chunked:
        piece = b"10000\r\n" + piece + b"\r\n"
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 300 * MEGABYTE:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def test_upload_refusal_reaches_reading_client(uploading: TenantClient) -> None:
    with _begin(uploading, "Content-Length: 99000000000") as connection:
        status, answer = _status(connection)
        while piece := connection.recv(65_536):  # until the gateway closes it, though the client sends nothing more
            answer += piece

    assert status == 413
    assert answer.endswith(b"}")


def test_upload_slow_client_times_out(uploading: TenantClient, gateway: psutil.Process) -> None:
    with _begin(uploading, "Content-Length: 1000000") as connection:
        connection.sendall(PNG[:50])
        status, answer = _status(connection)
        while more := connection.recv(65_536):  # until the gateway closes the connection
            answer += more

    assert status == 408
    assert b"request_timeout" in answer


def test_upload_disconnected_client_leaves_nothing(uploading: TenantClient, gateway: psutil.Process) -> None:
    open_before = gateway.num_fds()

    for _ in range(20):
        with _begin(uploading, "Content-Length: 1000000") as connection:
            connection.sendall(PNG[:50])
    uploading.upload("cat.png")

    assert gateway.num_fds() <= open_before + 5
