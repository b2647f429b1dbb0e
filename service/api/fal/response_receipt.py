"""An answer whose arrival matters: what becomes of it is noted, so that a client that comes again gets it again."""

from typing import Any

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from service.usecases.generations.resends import ResponseReceipt


class NotedResponse(Response):
    """Lost when the client was gone before the last byte was handed over; more than that no server can know."""

    def __init__(self, answer: ResponseReceipt, content: bytes, status: int, **options: Any) -> None:
        super().__init__(content, status, **options)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await Request(scope, receive).is_disconnected():  # servers drop what is sent then without a word
            await self._answer.lost()
            return
        try:
            await super().__call__(scope, receive, send)
        except OSError:
            await self._answer.lost()
            raise
        await self._answer.delivered()
