"""Hearing of a stop when its signal comes: the lifespan ends only once every answer is out."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_stop_signal(tell: Callable[[], None]) -> Iterator[None]:
    """Call ``tell`` on the running loop as soon as the process is asked to stop, and let the server do the rest.

    Beside the server's own handlers, because those are the same in each of ``serve --workers N``, and no other part
    of a server can be reached there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # nobody can listen to signals from here
        return
    loop = asyncio.get_running_loop()
    servers = {number: handler for number in _STOPS if callable(handler := signal.getsignal(number))}

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        servers[signal.Signals(number)](number, frame)

    for number in servers:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in servers.items():
            signal.signal(number, handler)
