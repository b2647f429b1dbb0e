"""A response whose delivery is recorded, so that a client that lost it receives it again."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from service.usecases.generations.resends import ResponseReceipt


class NotedResponse(Response):
    """Recorded as lost if the client disconnected before the last byte was written; a server cannot know more."""

    def __init__(self, answer: ResponseReceipt, content: bytes, status: int, **options: Any) -> None:
        super().__init__(content, status, **options)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await Request(
            scope, receive
        ).is_disconnected():  # servers discard without an error what is sent after a disconnect
            await self._answer.lost()
            return
        try:
            await super().__call__(scope, receive, send)
        except OSError:
            await self._answer.lost()
            raise
        await self._answer.delivered()


def client_of(request: Request) -> Callable[[], Awaitable[None]]:
    """Return a function that raises ClientDisconnect if the client has disconnected."""

    async def require() -> None:
        if await request.is_disconnected():
            raise ClientDisconnect

    return require
