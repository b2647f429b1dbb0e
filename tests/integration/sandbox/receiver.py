"""A webhook receiver on loopback that stores each request byte for byte."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Delivery:
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.raw)
        return parsed


@dataclass
class Receiver:
    url: str = ""
    answers: list[int] = field(default_factory=list)  # statuses of the next responses, then 200
    hang_ups: int = 0  # number of connections that are first closed without a response
    deliveries: list[Delivery] = field(default_factory=list)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        self.deliveries.append(Delivery(request.headers.copy(), await request.read()))
        async with self._arrived:
            self._arrived.notify_all()
        if self.hang_ups and request.transport:
            self.hang_ups -= 1
            request.transport.abort()
        return web.Response(status=self.answers.pop(0) if self.answers else 200, headers={"location": self.url})

    async def expect(self, count: int = 1, *, within: float = 60) -> list[Delivery]:
        async with asyncio.timeout(within), self._arrived:
            await self._arrived.wait_for(lambda: len(self.deliveries) >= count)
        return self.deliveries


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?a=1"
    try:
        yield receiver
    finally:
        await runner.cleanup()
