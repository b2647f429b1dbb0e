"""The resolver's limits: one tenant, one name, names that hang, names that fail."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from service.net import resolver as module
from service.net.resolver import LOOKUP_THREADS, Resolver, lookups_of

FOUND: Final = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


class Names:
    """Lookups of this process. Names below `hang.example` wait, names below `none.example` do not exist."""

    def __init__(self) -> None:
        self.lookups: Counter[str] = Counter()
        self.up_again = threading.Event()
        self.hanging: set[str] = set()

    def get(self, host: str, *_: Any, **__: Any) -> list[Any]:
        self.lookups[host] += 1
        if host.endswith("hang.example") or host in self.hanging:
            self.up_again.wait(30)
        if host.endswith("none.example"):
            raise socket.gaierror(-2, "Name or service not known")
        return FOUND


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    running = Names()
    monkeypatch.setattr("service.net.resolver.socket.getaddrinfo", running.get)
    monkeypatch.setattr(module, "_SECONDS", 0.5)
    yield running
    running.up_again.set()


@contextmanager
def tenant(name: str) -> Iterator[None]:
    with lookups_of(name):
        yield


async def hang(resolver: Resolver, tenant_id: str, count: int) -> list[BaseException | list[Any]]:
    """Look up so many names of a tenant whose name server does not answer."""
    with tenant(tenant_id):
        lookups = [resolver.resolve(f"{tenant_id}-{n}.hang.example") for n in range(count)]
        return await asyncio.gather(*lookups, return_exceptions=True)


async def test_hanging_names_of_one_tenant_leave_threads(names: Names) -> None:
    resolver = Resolver()
    answers = await hang(resolver, "a", 100)
    assert {type(answer) for answer in answers} == {TimeoutError}
    assert 0 < names.lookups.total() < LOOKUP_THREADS / 2
    with tenant("b"):
        assert [found["host"] for found in await resolver.resolve("b.example")] == ["127.0.0.1"]
    await resolver.close()


async def test_hanging_names_of_many_tenants_leave_known_names(names: Names) -> None:
    resolver = Resolver()
    with tenant("b"):
        await resolver.resolve("b.example")
    resolver._answers.clear()  # as after the seconds that an answer is kept
    await asyncio.gather(*(hang(resolver, f"a{n}", 4) for n in range(40)))
    assert names.lookups.total() == LOOKUP_THREADS + 1
    with tenant("b"):
        await resolver.resolve("b.example")
    assert names.lookups["b.example"] == 2
    await resolver.close()


async def test_name_that_hangs_fails_at_once_and_is_looked_up_once(names: Names) -> None:
    resolver = Resolver()
    await hang(resolver, "a", 1)
    async with asyncio.timeout(0.25):
        await hang(resolver, "a", 1)
    assert names.lookups.total() == 1
    await resolver.close()


async def test_known_name_that_hangs_uses_threads_of_unknown_names(names: Names) -> None:
    resolver = Resolver()
    await resolver.resolve("b.example")
    assert "b.example" in resolver._resolved
    resolver._answers.clear()
    names.hanging.add("b.example")
    with pytest.raises(TimeoutError):
        await resolver.resolve("b.example")
    assert "b.example" not in resolver._resolved
    await resolver.close()


async def test_tenant_at_its_share_delays_no_other_tenants_same_name(names: Names) -> None:
    resolver = Resolver()
    await hang(resolver, "a", 100)
    with tenant("a"):
        waiting = asyncio.ensure_future(resolver.resolve("b.example"))
    await asyncio.sleep(0)
    with tenant("b"):
        assert await resolver.resolve("b.example")
    waiting.cancel()
    await resolver.close()


@pytest.mark.parametrize("name", ["a.example", "a.none.example"])
async def test_answer_is_cached_for_seconds(names: Names, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    resolver = Resolver()

    async def outcome() -> str:
        try:
            return str((await resolver.resolve(name))[0]["host"])
        except socket.gaierror as error:
            return str(error)

    assert len({await outcome() for _ in range(3)}) == 1
    assert names.lookups[name] == 1
    monkeypatch.setattr("service.net.resolver.time.monotonic", lambda: 1e9)
    await outcome()
    assert names.lookups[name] == 2
    await resolver.close()


async def test_cache_is_bounded(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_NAMES", 5)
    resolver = Resolver()
    for n in range(30):
        await resolver.resolve(f"{n}.example")
        assert len(resolver._answers) <= 5
    assert names.lookups.total() == 30
    await resolver.close()
