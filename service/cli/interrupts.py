"""Ctrl-C and SIGTERM: an interrupt where it can be dealt with, and a while later where it cannot."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Inside its ``with``, both raise KeyboardInterrupt."""

    def __init__(self) -> None:
        self._held = False
        self._heard = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The first interrupt waits until this block has ended, however it ends; a second one does not."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._heard:
                raise KeyboardInterrupt

    def _hear(self, _signal: int, _frame: FrameType | None) -> None:
        again, self._heard = self._heard, True
        if again or not self._held:
            raise KeyboardInterrupt
