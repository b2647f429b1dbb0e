"""Observe SIGTERM and SIGINT early: the lifespan shutdown runs only after all responses are sent."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_stop_signal(callback: Callable[[], None]) -> Iterator[None]:
    """Call ``callback`` on the running loop when the process receives a stop signal, then call the server's handler.

    It wraps the handlers of the server: signal handlers are the one part that is the same in every process of
    ``serve --workers N``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only
        return
    loop = asyncio.get_running_loop()
    servers = {number: handler for number in _STOP_SIGNALS if callable(handler := signal.getsignal(number))}

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        servers[signal.Signals(number)](number, frame)

    for number in servers:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in servers.items():
            signal.signal(number, handler)
