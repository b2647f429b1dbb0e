"""DNS lookups for names that strangers chose, on threads of their own."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from weakref import WeakValueDictionary

from aiohttp.abc import AbstractResolver, ResolveResult

#: How many names may be slow to resolve at once before other lookups wait.
LOOKUP_THREADS: Final = 64
#: How many of them below one domain: a name for each customer, all of one name server, is common.
LOOKUPS_OF_A_DOMAIN: Final = 8
#: How long a lookup waits for its turn; who asked for it has given up by then.
_TURN_SECONDS: Final = 15.0


class Resolver(AbstractResolver):
    """`getaddrinfo` on its own threads, of which one domain gets a few.

    aiohttp's resolver goes through `loop.getaddrinfo`: under uvloop that is libuv's pool of four threads, which also
    looks up fal for the rest of the process. A few webhook domains whose name server never answers would hold them all.
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
        looking = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
        looking.add_done_callback(lambda done: _looked(turn, done))
        return await asyncio.shield(looking)  # a lookup cannot be called off: until it ends, its turn does not either

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _domain(host: str) -> str:
    """About what one owner has registered. Below a suffix like `co.uk` it is many owners', who then share."""
    return ".".join(host.lower().split(".")[-2:])


def _looked(turn: asyncio.Semaphore, looking: "asyncio.Future[list[ResolveResult]]") -> None:
    turn.release()
    if not looking.cancelled():
        looking.exception()  # nobody may be left to hear of it


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host, host=str(address[0]), port=port, family=family, proto=protocol, flags=socket.AI_NUMERICHOST
        )
        for family, _, protocol, _, address in infos
    ]
