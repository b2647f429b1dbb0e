"""Event streams between real processes: heartbeats, several gateways, one that is killed, one that stops."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.stack import Stack
from service.domain.generation import Generation, LogLine
from service.runtime import open_runtime
from tests.e2e.conftest import OVERRIDES, TenantClient, client_of
from tests.support.sse import StreamEvent, frames

MOST = 3
HEARTBEAT = 0.2


@pytest.fixture(scope="module")
def short() -> Iterator[Stack]:
    """A stack with a short heartbeat and a low limit of streams."""
    settings = {"event_heartbeat": timedelta(seconds=HEARTBEAT), "event_streams": MOST}
    with Stack(overrides={**OVERRIDES, **settings}) as stack:
        yield stack


@pytest.fixture
def user(short: Stack) -> Iterator[TenantClient]:
    client = client_of(short)
    with client.http:
        yield client


@contextmanager
def another_gateway(stack: Stack) -> Iterator[Child]:
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    child = Child(str(port), command, log=stack.folder / f"{port}.log", environment=stack.environment)
    try:
        child.wait_until(lambda: accepts(port))
        yield child
    finally:
        child.end()


@contextmanager
def stream(
    user: TenantClient, generation_id: str, *, after: str = "", port: str = ""
) -> Iterator[Iterator[StreamEvent | None]]:
    """Yield events, and None for a heartbeat; fail after 60 s without either."""
    url = f"http://127.0.0.1:{port}" if port else user.stack.base_url
    headers = {"last-event-id": after} if after else {}
    with user.http.stream("GET", f"{url}/v1/generations/{generation_id}/events", headers=headers, timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        yield frames(answer.iter_lines())


def next_event(events: Iterator[StreamEvent | None]) -> StreamEvent:
    return next(event for event in events if event is not None)


def test_stream_idle_sends_pings(user: TenantClient) -> None:
    g = user.create("sandbox:hang heartbeat")
    begun = time.monotonic()
    with stream(user, g["id"]) as events:
        while next_event(events).summary != ("state", "in_progress"):
            pass
        for _ in range(4):
            while next(events) is not None:
                pass
    assert time.monotonic() - begun >= HEARTBEAT * 3, "not more often than configured"
    user.http.post(f"/v1/generations/{g['id']}/cancel")


def test_stream_limit_frees_on_disconnect(user: TenantClient) -> None:
    g = user.create("sandbox:hang many")
    path = f"/v1/generations/{g['id']}/events"
    with stream(user, g["id"]) as first, stream(user, g["id"]) as second:
        next_event(first), next_event(second)
        with stream(user, g["id"]) as third:
            next_event(third)
            refused = user.http.get(path)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
            assert f"gateway_event_streams {MOST}.0" in user.http.get(user.stack.metrics_url).text
        give_up = time.monotonic() + 60
        while True:
            with user.http.stream("GET", path) as answer:
                if answer.status_code == 200:
                    break
            assert time.monotonic() < give_up, "the connection was closed, but its slot is not free"
    user.http.post(f"/v1/generations/{g['id']}/cancel")


def test_stream_resumes_on_another_gateway(user: TenantClient, short: Stack) -> None:
    """Resume after each log line, each time at a gateway that has not served the stream before."""
    g = user.create("sandbox:logs sandbox:no-video sandbox:seconds=3")
    received: list[StreamEvent] = []
    ended = False
    while not ended:
        with another_gateway(short) as gateway:
            with stream(user, g["id"], after=received[-1].id if received else "", port=gateway.name) as events:
                for _ in range(3):
                    received.append(next_event(events))
                    if ended := received[-1].summary == ("state", "succeeded"):
                        break
            gateway.kill()
    final = user.read(g["id"])
    assert received[-1].data == final
    assert [event.data for event in received if event.kind == "log"] == final["logs"]
    states = [event.data["status"] for event in received if event.kind == "state"]
    assert len(states) == len(set(states))
    assert len({event.id for event in received}) == len(received)


def test_stream_is_equal_on_two_gateways(user: TenantClient, short: Stack) -> None:
    g = user.create("sandbox:logs sandbox:no-video sandbox:seconds=1")
    with another_gateway(short) as gateway:
        received: dict[str, list[StreamEvent]] = {}

        def listen(port: str) -> None:
            with stream(user, g["id"], port=port) as events:
                received[port] = [event for event in events if event is not None]

        threads = [threading.Thread(target=listen, args=(port,)) for port in (gateway.name, str(short.port))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    for events in received.values():
        assert [event.data for event in events if event.kind == "log"] == user.read(g["id"])["logs"]
    first, second = (events[-1] for events in received.values())
    assert (first.id, first.data) == (second.id, second.data)


def test_stream_ends_at_once_when_gateway_stops(user: TenantClient, short: Stack) -> None:
    g = user.create("sandbox:hang stopping")
    with another_gateway(short) as gateway, stream(user, g["id"], port=gateway.name) as events:
        last = next_event(events)
        begun = time.monotonic()
        gateway.process.terminate()
        for event in events:
            last = event or last
        assert gateway.process.wait(60) is not None
        grace = short.settings.shutdown_grace.total_seconds()
        assert time.monotonic() - begun < grace, "it does not wait for its grace period"
    with stream(user, g["id"], after=last.id) as events:
        user.http.post(f"/v1/generations/{g['id']}/cancel")
        while (last := next_event(events)).data.get("status") != "canceled":
            pass


async def test_stream_client_that_never_reads_is_dropped(user: TenantClient, short: Stack) -> None:
    """More data than a socket buffers, and a client that reads nothing: the connection stays open the whole time."""
    g = user.create("sandbox:stuck-queue")
    user.wait_for(g["id"], lambda now: now["status"] == "submitted")
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        silent.connect(("127.0.0.1", short.port))
        silent.sendall(
            f"GET /v1/generations/{g['id']}/events HTTP/1.1\r\nHost: a\r\n"
            f"Authorization: Bearer {short.api_key}\r\n\r\n".encode()
        )
        wait_until(lambda: figure(user, "gateway_event_streams") == 1)
        async with open_runtime(short.settings) as runtime:
            for n in range(80):
                await runtime.transitions.apply(g["id"], partial(with_log, f"{n} ".ljust(60_000, "x")))
        wait_until(lambda: figure(user, 'gateway_event_streams_ended_total{reason="slow"}') == 1, within=90)
        assert figure(user, "gateway_event_streams") == 0
    user.http.post(f"/v1/generations/{g['id']}/cancel")


def with_log(text: str, g: Generation) -> Generation:
    return g.polled(position=1, logs=(LogLine(text, "INFO", ""),))


def figure(user: TenantClient, name: str) -> float:
    values = [
        n.split()[-1] for n in user.http.get(user.stack.metrics_url).text.splitlines() if n.startswith(f"{name} ")
    ]
    return float(values[0]) if values else 0.0


def wait_until(there: Callable[[], Any], *, within: float = 60) -> None:
    give_up = time.monotonic() + within
    while not there():
        assert time.monotonic() < give_up
        time.sleep(0.02)
