"""DNS lookups of names that tenants chose, on separate threads."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from weakref import WeakValueDictionary

from aiohttp.abc import AbstractResolver, ResolveResult

#: Concurrent lookups; more wait.
LOOKUP_THREADS: Final = 64
#: Concurrent lookups below one domain: one name per customer on one name server is common.
LOOKUPS_OF_A_DOMAIN: Final = 8
#: Longest wait for a thread; the caller has timed out by then.
_TURN_SECONDS: Final = 15.0


class Resolver(AbstractResolver):
    """`getaddrinfo` on its own threads, with a limit per domain.

    aiohttp's resolver goes through `loop.getaddrinfo`: under uvloop that is libuv's pool of four threads, which also
    looks up fal for the rest of the process. A few webhook domains with a dead name server would block them all.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="webhook-dns")
        self._turns = WeakValueDictionary[str, asyncio.Semaphore]()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises socket.gaierror or TimeoutError, both an OSError, as aiohttp expects."""
        turn = self._turns.setdefault(_domain(host), asyncio.Semaphore(LOOKUPS_OF_A_DOMAIN))
        async with asyncio.timeout(_TURN_SECONDS):
            await turn.acquire()
        lookup = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
        lookup.add_done_callback(lambda done: _release(turn, done))
        return await asyncio.shield(lookup)  # getaddrinfo cannot be cancelled: its slot stays taken

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _domain(host: str) -> str:
    """Return the last two labels of a host. Under a suffix like `co.uk` several owners share one limit."""
    return ".".join(host.lower().split(".")[-2:])


def _release(turn: asyncio.Semaphore, lookup: "asyncio.Future[list[ResolveResult]]") -> None:
    turn.release()
    if not lookup.cancelled():
        lookup.exception()  # retrieved, so that asyncio does not log it when the caller has gone


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host, host=str(address[0]), port=port, family=family, proto=protocol, flags=socket.AI_NUMERICHOST
        )
        for family, _, protocol, _, address in infos
    ]
