"""Ctrl-C and SIGTERM as ``KeyboardInterrupt``, which can be deferred to the end of a block."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Inside the ``with`` block, SIGINT and SIGTERM raise KeyboardInterrupt."""

    def __init__(self) -> None:
        self._deferring = False
        self._received = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Raise the first interrupt after the block, also if the block fails; raise a second one at once."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
            if self._received:
                raise KeyboardInterrupt

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        repeated, self._received = self._received, True
        if repeated or not self._deferring:
            raise KeyboardInterrupt
