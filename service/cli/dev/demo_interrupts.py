"""Ctrl-C and SIGTERM during the demo."""

import signal
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class DemoInterrupts:
    """The first Ctrl-C or SIGTERM ends the demo; further ones do not interrupt the shutdown.

    Each child starts with a fork, and Python drops an exception that a signal handler raises while the hooks of a fork
    run. Therefore ``check`` raises it again.
    """

    def __init__(self) -> None:
        self._received = False
        for number in _SIGNALS:
            signal.signal(number, self._interrupt)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has arrived."""
        if self._received:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, _do_nothing)  # not SIG_IGN: a child would inherit it and ignore SIGTERM

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self.ignore()
        self._received = True
        raise KeyboardInterrupt


def _do_nothing(_signal: int, _frame: FrameType | None) -> None:
    pass
