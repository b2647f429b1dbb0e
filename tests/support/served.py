"""The gateway as a server on this machine, in a thread, for clients that do not use asyncio."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI

from service.api.http.connection_limits import limited
from service.runtime import Runtime

_SECONDS = 20

Result = TypeVar("Result")


@dataclass(frozen=True)
class Served:
    url: str
    app: FastAPI
    loop: asyncio.AbstractEventLoop
    server: uvicorn.Server

    @property
    def connections(self) -> list[Any]:
        """The protocols of the open connections."""
        return list(self.server.server_state.connections)

    @property
    def runtime(self) -> Runtime:
        found: Runtime = self.app.state.runtime
        return found

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the gateway's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(_SECONDS)


class _Server(uvicorn.Server):
    """Signals that it listens, or that its start failed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        finally:
            self.listening.set()


@contextmanager
def served(app: FastAPI, *, connections: int = 1000) -> Iterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            http=limited(connections),
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="gateway")
        thread.start()
        try:
            assert server.listening.wait(_SECONDS)
            assert server.started, "the server has not started"
            assert server.loop is not None
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", app, server.loop, server)
        finally:
            server.should_exit = True
            thread.join(_SECONDS)
            assert not thread.is_alive()
