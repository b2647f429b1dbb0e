"""The process that decodes images: what it cannot do, tried by programs that try it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="resource limits and filters of Linux")

ATTEMPTS = {
    "connect to a network": "import socket; socket.socket()",
    "connect to a local service": "import socket; socket.socket(socket.AF_UNIX)",
    "run a program": "import os; os.execv('/bin/true', ['true'])",
    "start a process": "import os; os.fork()",
    "start a thread": "import threading; threading.Thread(target=print).start()",
    "open many files": "import os; held = [open(os.devnull) for _ in range(64)]",
    "write a large file": "import tempfile; tempfile.TemporaryFile().truncate(300_000_000)",
    "take much memory": "held = bytearray(1_700_000_000)",
}


def run(attempt: str, *, confined: bool) -> subprocess.CompletedProcess[str]:
    program = (
        f"import ctypes\nfrom service.media.confinement import confine\n{'assert confine()' if confined else 'pass'}\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program + attempt], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_decoder_cannot(attempt: str) -> None:
    assert run(ATTEMPTS[attempt], confined=False).returncode == 0, "without confinement it can"
    refused = run(ATTEMPTS[attempt], confined=True)
    assert refused.returncode == 1, refused.stderr
    assert any(name in refused.stderr for name in ("PermissionError", "OSError", "MemoryError", "RuntimeError"))
