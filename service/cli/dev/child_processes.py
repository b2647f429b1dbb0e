"""Child processes: start, wait for readiness, end. On Linux they end with this process, however it ends."""

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
#: Its thread starts all children. Linux ends a child with the thread that started it, and other threads, such as those
#: of ``asyncio.to_thread``, end before this process does.
_SPAWNER: Final = ThreadPoolExecutor(1, "spawner")
_END_SECONDS: Final = 30.0
#: A Python process takes a second to start, and twenty on a busy machine.
_START_SECONDS: Final = 90.0


class ChildFailed(Exception):
    """A child ended or was not ready in time; the message has the end of its log."""


class PortTaken(Exception):
    """Another program listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is taken: stop the program that listens there, or choose another with --port.")


class Child:
    """A child process. Its output goes to a file, whose end becomes the message of a failure."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        stdout: int | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as sink, interrupts_deferred():
            self.process = _SPAWNER.submit(
                subprocess.Popen,
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink if stdout is None else stdout,
                stderr=sink,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C reaches the parent only, which ends the children in order
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            ).result()

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, is_ready: Callable[[], bool], *, within: float = _START_SECONDS) -> None:
        """Wait until the child is ready. Raise ChildFailed if it ends first, or after ``within`` seconds."""
        give_up = time.monotonic() + within
        while not is_ready():
            self.check_running()
            if time.monotonic() > give_up:
                raise ChildFailed(f"{self.name} was not ready within {within:.0f} s:\n{self.log_tail()}")
            time.sleep(0.02)

    def check_running(self) -> None:
        """Raise ChildFailed if the child has ended."""
        if (code := self.process.poll()) is not None:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise ChildFailed(f"The log of {self.name} ends with:\n{self.log_tail()}\n\n{self.name} {how}.")

    def first_line(self, *, within: float = _START_SECONDS) -> str:
        """Return the first line of stdout, which must be a pipe. A server prints its address there when it is ready."""
        stdout = self.process.stdout
        if stdout is None:
            raise ValueError("stdout is not a pipe")
        self.wait_until(lambda: bool(select.select([stdout], [], [], 0)[0]), within=within)
        if not (line := stdout.readline()):
            raise ChildFailed(f"{self.name} printed nothing:\n{self.log_tail()}")
        return line.decode()

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the child's output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def end(self, *, within: float = _END_SECONDS) -> int:
        """Send SIGTERM, and SIGKILL after ``within`` seconds. Return the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            return self._wait(within)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Send SIGKILL. Return the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        return self._wait(_END_SECONDS)

    def _wait(self, within: float) -> int:
        status = self.process.wait(within)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Call the handlers of SIGINT and SIGTERM after the block instead of within it. Blocks can be nested.

    A handler that raises between the start of a child and its registration would leave a child that no one ends; and
    Python drops exceptions that a handler raises while the hooks of a fork run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Return whether a program listens on this port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _end_with_parent() -> None:
    # Runs between fork and exec. The kernel ends the child when the thread that started it ends, also after SIGKILL.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
