import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.integration.sandbox.driver import Fal
from tests.integration.sandbox.receiver import Receiver, open_receiver
from tests.integration.sandbox.server import Server

#: Queue 5 ms, in progress 60 ms.
SPEED = 1000
#: Loading the system's certificates would take longer than most tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
KEY = {"Authorization": "Key id:secret"}


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return the sandbox that most tests share. No test may make it write to stderr."""
    started = Server(speed=SPEED)
    yield started
    assert started.stop() == (0, "")


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Return a function that starts sandboxes of one test with their own settings."""
    started: list[Server] = []

    def another(*arguments: str, **settings: Any) -> Server:
        server = Server(*arguments, **{"speed": SPEED, **settings})
        started.append(server)
        return server

    yield another
    for server in started:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=KEY, timeout=30, verify=NO_TLS) as client:
        yield client


@pytest.fixture
async def fal(http: httpx.AsyncClient) -> Fal:
    return Fal(http)


@pytest.fixture(scope="session")
def narrow_server() -> Iterator[Server]:
    started = Server(speed=SPEED, concurrency=1)
    yield started
    assert started.stop() == (0, "")


@pytest.fixture
async def narrow(narrow_server: Server, connect: Callable[[Server], httpx.AsyncClient]) -> AsyncIterator[Fal]:
    """A sandbox that runs one job at a time and has none yet."""
    async with connect(narrow_server) as http:
        (await http.post("/_sandbox/reset")).raise_for_status()
        yield Fal(http)


@pytest.fixture
def connect() -> Callable[[Server], httpx.AsyncClient]:
    return lambda server: httpx.AsyncClient(base_url=server.url, headers=KEY, timeout=30, verify=NO_TLS)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as opened:
        yield opened
