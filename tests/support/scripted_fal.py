"""fal's queue as a server whose jobs change only by a test. It also reports what fal would bill."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiohttp import web

UNITS: Final = "50"
LOCKED: Final = {"detail": "User is locked. Reason: Exhausted balance."}
VIDEO: Final = {"video": {"url": "https://v3b.fal.media/files/b/x/video.mp4"}, "seed": 1}
CANCELED: Final = {"detail": "Request cancelled by the client.", "error_type": "client_cancelled"}

State = Literal["IN_QUEUE", "IN_PROGRESS", "done", "canceled", "missing"]


@dataclass
class ScriptedFal:
    """One account. ``state`` is the state of every job. While ``fault`` is set, every request gets this fault."""

    state: State = "IN_QUEUE"
    fault: Literal["", "locked", "bad_gateway"] = ""
    obeys_cancel: bool = True
    refuses_cancel: bool = False
    """Cancel calls fail with 500."""
    broken: str = ""
    """A request id whose calls all fail with 502."""
    before_result: Callable[[], Awaitable[None]] | None = None
    """Called when a result is requested, before the response."""
    url: str = ""
    submits: int = 0
    calls: list[str] = field(default_factory=list)

    @property
    def billed(self) -> bool:
        return self.state == "done"

    def complete(self) -> None:
        if self.state in ("IN_QUEUE", "IN_PROGRESS"):
            self.state = "done"

    async def answer(self, request: web.Request) -> web.Response:
        name = "submit" if request.method == "POST" else request.path.rpartition("/")[2]
        kind = name if name in ("submit", "status", "cancel") else "result"
        self.calls.append(kind)
        if kind == "result" and self.before_result is not None:
            await self.before_result()
        if self.fault == "locked":
            return web.json_response(LOCKED, status=403)
        if self.fault == "bad_gateway" or (self.broken and f"/{self.broken}" in request.path):
            return web.Response(text="<html>502</html>", status=502, content_type="text/html")
        return {"submit": self._submit, "status": self._status, "cancel": self._cancel, "result": self._result}[kind]()

    def _submit(self) -> web.Response:
        self.submits += 1
        return web.json_response({"status": "IN_QUEUE", "request_id": f"request-{self.submits}"})

    def _status(self) -> web.Response:
        body: dict[str, Any] = {"logs": None, "response_url": "x"}
        if self.state == "missing":
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        if self.state in ("done", "canceled"):
            return web.json_response({**body, "status": "COMPLETED"})
        return web.json_response({**body, "status": self.state, "queue_position": 0}, status=202)

    def _cancel(self) -> web.Response:
        if self.refuses_cancel:
            return web.json_response({"detail": "oops"}, status=500)
        if self.state == "missing":
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        if self.state in ("done", "canceled"):
            return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)
        if self.obeys_cancel:
            self.state = "canceled"
        return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)

    def _result(self) -> web.Response:
        if self.state == "done":
            return web.json_response(VIDEO, headers={"x-fal-billable-units": UNITS})
        if self.state == "canceled":
            return web.json_response(CANCELED, status=499)
        if self.state == "missing":
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        return web.json_response({"detail": "Request is still in progress"}, status=400)


@asynccontextmanager
async def scripted_fal(tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedFal]:
    fal = ScriptedFal()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fal.answer)
    runner = web.AppRunner(app, shutdown_timeout=0, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    fal.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}/queue"
    try:
        yield fal
    finally:
        await runner.cleanup()
