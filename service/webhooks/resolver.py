"""DNS lookups for names that strangers chose, on threads of their own."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

#: How many names may be slow to resolve at once before other lookups wait.
LOOKUP_THREADS: Final = 64


class Resolver(AbstractResolver):
    """`getaddrinfo` on its own threads.

    aiohttp's resolver goes through `loop.getaddrinfo`: under uvloop that is libuv's pool of four threads, which also
    looks up fal for the rest of the process. A few webhook domains whose name server never answers would hold them all.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="webhook-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises socket.gaierror, an OSError, as aiohttp expects."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _look_up, host, port, family)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host, host=str(address[0]), port=port, family=family, proto=protocol, flags=socket.AI_NUMERICHOST
        )
        for family, _, protocol, _, address in infos
    ]
