"""Bodies, images, forms and connections of tenant A, or of a client without a key: what tenant B and the machine feel.

One stack with bounds that are small enough to be reached quickly.
"""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES
from tests.support import pictures
from tests.support.neighbours import Latencies, Neighbour, PeakMemory, assert_unharmed, measure, neighbour
from tests.support.raw_http import read_response
from tests.support.waiting import eventually

MB: Final = 1_000_000
#: Bounds of the stack.
TENANT_MEMORY, TENANT_DISK, CONNECTIONS = 16 * MB, 30 * MB, 150
#: Growth of the gateway: what A may hold, a second time for a moment, and buffers of its connections.
MOST_GROWTH: Final = 2 * TENANT_MEMORY + 40 * MB
#: Seconds of an upload of B while both decoders work: one inspection of a small image, on a machine that is busy.
DECODER_SECONDS: Final = 10.0
#: Seconds while A sends 28 MB again and again, which keeps a core busy.
SENDING_SECONDS: Final = 3.0
ROUNDS: Final = 5


@dataclass(frozen=True)
class Two:
    a: Neighbour
    b: Neighbour
    calm: Latencies
    """What B measured alone."""

    @property
    def gateway(self) -> int:
        """Process id of the gateway."""
        return self.a.stack.children["gateway"].pid


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    bounds = {
        "body_tenant_memory": TENANT_MEMORY,
        "upload_tenant_disk": TENANT_DISK,
        "connections": CONNECTIONS,
        "shutdown_grace": timedelta(seconds=1),
    }
    with (
        Stack(overrides={**OVERRIDES, **bounds}, worker=False) as stack,
        neighbour(stack, "a") as a,
        neighbour(stack, "b") as b,
    ):
        measure(b, rounds=2)  # loads code
        yield Two(a, b, measure(b, rounds=ROUNDS))


def test_unfinished_creates_hold_bounded_memory(two: Two) -> None:
    """Forty creates of 8 MB, each without its last byte. Without a bound they held 319 MB."""
    body = b'{"image_url":"data:image/png;base64,'.ljust(8 * MB - 1, b"A")
    with PeakMemory(two.gateway) as memory, ExitStack() as stack:
        open_all(two.a, stack, 40, "/v1/generations", "application/json", 8 * MB, body)
        harassed = measure(two.b, rounds=ROUNDS)

    report("memory", memory.grown, MOST_GROWTH)
    assert memory.grown <= MOST_GROWTH
    assert_unharmed(two.calm, harassed)


def test_unfinished_uploads_hold_bounded_disk(two: Two) -> None:
    """Twenty-four uploads of 12 MB, each without its last byte. Without a bound they held 283 MB."""
    with ExitStack() as stack:
        open_all(two.a, stack, 24, "/v1/uploads", "image/png", 12 * MB, b"\x89PNG\r\n\x1a\n".ljust(12 * MB - 1, b"A"))
        held = disk_of(two.gateway)
        harassed = measure(two.b, rounds=ROUNDS)

    report("disk", held, TENANT_DISK)
    assert 0 < held <= TENANT_DISK
    assert_unharmed(two.calm, harassed)


@pytest.mark.parametrize(
    "form",
    [
        b"--XX\r\n\r\n\r\n" * 2_000_000,
        b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + b"\r\n--XXy" * 4_000_000,
    ],
    ids=["empty parts", "delimiters"],
)
def test_form_of_many_parts_occupies_no_loop(two: Two, form: bytes) -> None:
    """One such form took 9 to 20 s of the event loop."""

    def send() -> None:
        headers = {"content-type": "multipart/form-data; boundary=XX"}
        with suppress(httpx.TransportError):  # the connection is closed while the rest is sent
            two.a.http.post("/v1/uploads", content=form, headers=headers)

    with repeated(send):
        harassed = measure(two.b, rounds=ROUNDS)

    assert_unharmed(two.calm, harassed, within=SENDING_SECONDS)


def test_connections_after_early_responses_are_closed(two: Two) -> None:
    """Sixty connections of a client without a key, which sends a byte twice a second after its 401."""
    head = b"POST /v1/generations HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
    with ExitStack() as stack:
        connections = [connected(two.a, stack) for _ in range(60)]
        for connection in connections:
            connection.sendall(head)
            assert read_response(connection).startswith(b"HTTP/1.1 401")
        harassed = measure(two.b, rounds=ROUNDS)
        eventually(lambda: not [connection for connection in connections if is_open(connection)], within=60)

    assert_unharmed(two.calm, harassed)


def test_connections_beyond_bound_leave_others_working(two: Two) -> None:
    """Three hundred connections of a client without a key, half of which send half a head."""
    with ExitStack() as stack:
        for number in range(300):
            connection = connected(two.a, stack)
            with suppress(ConnectionError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nx: " if number % 2 else b"")
        harassed = measure(two.b, rounds=ROUNDS)
        opened = connections_of(two.gateway)

    report("connections", opened, CONNECTIONS)
    assert opened <= CONNECTIONS
    assert_unharmed(two.calm, harassed)


def test_large_images_delay_no_small_upload(two: Two) -> None:
    """Twelve images of 39 million pixels that must be rotated: seconds of CPU each.

    It is the last test, because they end with the stack.
    """
    large = pictures.encoded("png", pictures.picture(7200, 5400), compress_level=1, exif=pictures.exif(orientation=6))
    with ExitStack() as stack:
        open_all(two.a, stack, 12, "/v1/uploads", "image/png", len(large), large)
        eventually(lambda: len(decoders_of(two.gateway)) > 0)
        harassed = measure(two.b, rounds=ROUNDS)
        decoders = decoders_of(two.gateway)

    assert 1 <= len(decoders) <= 2, "A's images are still being decoded"
    assert_unharmed(two.calm, harassed, within=DECODER_SECONDS)


# --- attacks ----------------------------------------------------------------------------------------------------------


def connected(tenant: Neighbour, stack: ExitStack) -> socket.socket:
    url = urlsplit(tenant.stack.base_url)
    return stack.enter_context(socket.create_connection((url.hostname, url.port), timeout=30))


def open_all(tenant: Neighbour, stack: ExitStack, count: int, path: str, media: str, length: int, body: bytes) -> None:
    """Send this part of the body on so many connections, until the gateway refuses it or has read it."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.key}\r\ncontent-type: {media}\r\n"
    connections = [connected(tenant, stack) for _ in range(count)]

    def send(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(f"{head}content-length: {length}\r\n\r\n".encode() + body)

    threads = [threading.Thread(target=send, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


@contextmanager
def repeated(attack: Callable[[], None]) -> Iterator[None]:
    """Run the attack in a thread, again and again, while the block runs."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.1):
            attack()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(120)


def is_open(connection: socket.socket) -> bool:
    """Send a byte. Return whether the server has not closed the connection."""
    connection.settimeout(0)
    try:
        connection.sendall(b"x")
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


# --- what the machine feels -------------------------------------------------------------------------------------------


def disk_of(pid: int) -> int:
    """Return the bytes of the deleted files that the process has open."""
    total = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if str(file.readlink()).endswith(" (deleted)") and file.is_file():
                total += file.stat().st_size
    return total


def connections_of(pid: int) -> int:
    """Return how many connections the process has accepted."""
    found = psutil.Process(pid).net_connections("tcp")
    ports = {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}
    return len([c for c in found if c.status == psutil.CONN_ESTABLISHED and c.laddr.port in ports])


def decoders_of(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children()]


def report(name: str, value: int, bound: int) -> None:
    sys.stdout.write(f"{name}: {value}, bound {bound}\n")
