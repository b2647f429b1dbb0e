"""Children of a process: they end with the process, and not with the thread that asked for them."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.cli.dev.child_processes import Child, ChildFailed
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


@pytest.mark.parametrize(
    ("program", "end"),
    [
        ("import sys; print('its log'); sys.exit(3)", "child ended with exit code 3."),
        ("import os; os.write(1, b'its log'); os.kill(os.getpid(), 9)", "child was ended by SIGKILL."),
    ],
)
def test_child_that_ended_is_named_after_its_log(tmp_path: Path, program: str, end: str) -> None:
    child = Child("child", [sys.executable, "-c", program], log=tmp_path / "child.log")
    child.process.wait(30)
    with pytest.raises(ChildFailed) as failed:
        child.check_running()
    assert str(failed.value).split("\n") == ["The log of child ends with:", "its log", "", end]
