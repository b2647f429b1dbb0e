"""A signal during the start of the development stack: every started process ends."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

#: Starts a stack. SIGTERM arrives right after the fork of the n-th child, before ``Popen`` returns.
PROGRAM = """
import os, signal, subprocess, sys
from service.cli.dev.stack import Stack

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
count, started, original = int(sys.argv[1]), [], subprocess.Popen.__init__

def start(self, *arguments, **options):
    original(self, *arguments, **options)
    started.append(self.pid)
    if len(started) == count:
        os.kill(os.getpid(), signal.SIGTERM)

subprocess.Popen.__init__ = start
try:
    Stack().start()
except KeyboardInterrupt:
    print(*started)
"""


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_stack_interrupt_at_fork_leaves_no_process(count: int, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(count)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )

    started = [int(pid) for pid in result.stdout.split()]
    assert len(started) == count, "the interrupt ended the start"
    assert [pid for pid in started if psutil.pid_exists(pid)] == []
    assert list(tmp_path.iterdir()) == []
