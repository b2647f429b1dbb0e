"""The stack under measurement, and its clients."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis

from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.stack import Stack
from service.config.groups.limits import DefaultLimitSettings
from tests.bench import bare, floor
from tests.bench.load import PLACEHOLDER, Load

PATH: Final = "/v1/generations"
FAL_REQUESTS: Final = "/fal/queue/bytedance/seedance-2.0/requests"
PROMPT_LENGTH: Final = 500
IMAGE: Final = "https://v3b.fal.media/first-frame.png"


#: One tenant makes the whole load of a measurement.
UNLIMITED: Final[dict[str, None]] = dict.fromkeys(DefaultLimitSettings.model_fields)


@dataclass(frozen=True)
class Server:
    port: int
    pid: int


def prompt(text: str) -> str:
    """Return a prompt of 500 bytes with a unique number."""
    return f"{text} {PLACEHOLDER} ".ljust(PROMPT_LENGTH, "x")


def body(text: str, *, metadata: str = "") -> str:
    """Return the JSON of a generation with a 500-byte prompt. ``metadata``: JSON of an object; "": none."""
    more = f', "metadata": {metadata}' if metadata else ""
    return f'{{"prompt": "{prompt(text)}", "image_url": "{IMAGE}"{more}}}'


def headers(stack: Stack, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {stack.api_key}", "content-type": "application/json", **more}


def creates(stack: Stack, text: str, *, requests: int, metadata: str = "{}") -> Load:
    """Create this number of generations through the API."""
    sent = body(text, metadata=metadata)
    return Load(port=stack.port or 0, paths=[PATH], headers=headers(stack), body=sent, requests=requests)


@contextlib.contextmanager
def opened(*, worker: bool, environment: dict[str, str] | None = None, **settings: Any) -> Iterator[Stack]:
    """Start a separate stack. ``environment`` applies to all its processes, ``settings`` to this process only."""
    before = dict(os.environ)
    os.environ.update(environment or {})
    try:
        with Stack(worker=worker, overrides={**UNLIMITED, **settings}) as stack:
            yield stack
    finally:
        os.environ.clear()
        os.environ.update(before)


def gateway_of(stack: Stack) -> Server:
    return Server(stack.port or 0, stack.children["gateway"].pid)


def redis_pid_of(stack: Stack) -> int:
    child = stack.redis.child
    assert child is not None
    return child.pid


@contextlib.contextmanager
def floor_next_to(stack: Stack) -> Iterator[Server]:
    """Start the floor on the same Redis."""
    with _server_next_to(stack, "floor", {}) as server:
        yield server


@contextlib.contextmanager
def bare_next_to(stack: Stack) -> Iterator[Server]:
    """Start the second floor, the bare ASGI create, on the same Redis."""
    with _server_next_to(stack, "bare", {bare.KEY: stack.api_key}) as server:
        yield server


@contextlib.contextmanager
def _server_next_to(stack: Stack, module: str, environment: dict[str, str]) -> Iterator[Server]:
    port = free_port()
    child = Child(
        module,
        [sys.executable, "-m", f"tests.bench.{module}", str(port)],
        log=stack.folder / f"{module}.log",
        environment={floor.REDIS_URL: stack.redis.url, **environment},
    )
    try:
        child.wait_until(lambda: accepts(port))
        yield Server(port, child.pid)
    finally:
        child.end()


@contextlib.contextmanager
def redis_of(stack: Stack) -> Iterator["Redis"]:
    with Redis.from_url(stack.redis.url, decode_responses=True) as redis:
        yield redis
