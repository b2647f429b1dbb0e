"""Children of a process: they end with the process, and not with the thread that asked for them."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.cli.dev.child_processes import Child
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the signal of the parent's end is of Linux")

#: Exits with 1 if it has received SIGTERM before SIGUSR1.
_PROGRAM = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
print("ready", flush=True)
signal.sigwait({signal.SIGUSR1})
sys.exit(signal.SIGTERM in signal.sigpending())
"""


def test_child_outlives_thread_that_started_it(tmp_path: Path) -> None:
    children: list[Child] = []

    def start() -> None:
        child = Child("child", [sys.executable, "-c", _PROGRAM], log=tmp_path / "child.log", stdout=subprocess.PIPE)
        children.append(child)
        child.first_line()

    thread = threading.Thread(target=start)
    thread.start()
    task = Path(f"/proc/self/task/{thread.native_id}")
    thread.join()
    eventually(lambda: not task.exists())  # the kernel sends the signal before it removes the thread

    (child,) = children
    child.process.send_signal(signal.SIGUSR1)
    try:
        assert child.process.wait(20) == 0
    finally:
        child.kill()
