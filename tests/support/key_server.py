"""A server of fal's key set whose responses a test sets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class KeyServer:
    """fal's key set URL. A test sets the response; the server counts requests."""

    keys: list[Any]
    answer: web.Response | None = None
    requests: int = 0
    requested: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def give(self, _: web.Request) -> web.Response:
        self.requests += 1
        self.requested.set()
        await self.may_answer.wait()
        return self.answer or web.json_response({"keys": self.keys})


@asynccontextmanager
async def served(server: KeyServer) -> AsyncIterator[KeyServer]:
    app = web.Application()
    app.router.add_get("/rest/.well-known/jwks.json", server.give)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/rest"
    server.may_answer.set()
    try:
        yield server
    finally:
        server.may_answer.set()  # a waiting handler would delay the shutdown
        await runner.cleanup()
