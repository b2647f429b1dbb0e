"""Responses that a client reads over a longer time: each part of the body has a time limit.

``connection_limits`` disconnects clients that read nothing at all. A client that reads a byte now and then is stopped
here: it has to take each part within its time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send


async def send_within(send: Send, message: Message, seconds: float) -> None:
    """Send one part. Raises TimeoutError if the client does not read: the server waits until it has taken the part."""
    async with asyncio.timeout(seconds):
        await send(message)


class TimedStream(StreamingResponse):
    """A body in parts, opened and sent within ``slot``. Errors before its first byte are ordinary responses."""

    def __init__(
        self,
        open_chunks: Callable[[], Awaitable[AsyncIterator[bytes]]],
        status: int,
        *,
        headers: Mapping[str, str],
        media_type: str,
        slot: AbstractContextManager[None],
        seconds: float,
        on_slow: Callable[[], None],
    ) -> None:
        """``seconds``: time for each part. ``on_slow`` is called when a client has exceeded it."""
        super().__init__((), status, headers=headers, media_type=media_type)
        self._open = open_chunks
        self._slot = slot
        self._seconds = seconds
        self._on_slow = on_slow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_part(message: Message) -> None:
            await send_within(send, message, self._seconds)

        with self._slot:
            self.body_iterator = await self._open()
            try:
                await super().__call__(scope, receive, send_part)
            except TimeoutError:
                self._on_slow()  # the server closes the unfinished response
