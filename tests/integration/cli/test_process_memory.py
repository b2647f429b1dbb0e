"""The memory of serve, worker and beat: no other process of the same user reads it, and no core file has it."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli.dev.child_processes import Child, accepts, free_port
from service.cli.dev.embedded_redis import EmbeddedRedis
from tests.support import factories
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc of Linux")

#: Runs Python without the capabilities of root, which may read all.
UNPRIVILEGED = [
    sys.executable,
    "-c",
    """import ctypes, os, sys
for capability in range(64):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])""",
]


@pytest.fixture(scope="module")
def processes(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Child]]:
    folder, ports, started = tmp_path_factory.mktemp("processes"), {}, {}
    commands = {
        "serve": ["serve", "--workers", "2", "--port", str(free_port())],
        "worker": ["worker"],
        "beat": ["beat"],
    }
    try:
        for name, command in commands.items():
            ports[name] = free_port()
            started[name] = Child(
                name,
                [*UNPRIVILEGED, "-m", "service.cli", *command],
                log=folder / f"{name}.log",
                environment=factories.settings(redis_server.url, metrics_port=ports[name]).environment(),
            )
        for name, child in started.items():
            child.wait_until(lambda port=ports[name]: accepts(port))  # type: ignore[misc]
        yield started
    finally:
        for child in started.values():
            child.end()


def with_children(pid: int) -> list[int]:
    """Return a process and the gateways that it has started."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes())]


def is_readable(pid: int) -> bool:
    program = "import sys; open(f'/proc/{sys.argv[1]}/environ').read()"
    command = [*UNPRIVILEGED, "-c", program, str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("name", ["serve", "worker", "beat"])
def test_process_memory_is_private(processes: dict[str, Child], name: str) -> None:
    pids = with_children(processes[name].pid)
    assert len(pids) == (3 if name == "serve" else 1)
    # One gateway of the two accepts calls while the other still starts.
    eventually(lambda: not [pid for pid in pids if is_readable(pid)], within=60)
    assert {resource.prlimit(pid, resource.RLIMIT_CORE) for pid in pids} == {(0, 0)}


def test_process_memory_without_protection_is_readable() -> None:
    """The check above sees the difference."""
    command = [*UNPRIVILEGED, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as plain:
        assert plain.stdout is not None
        plain.stdout.readline()
        assert is_readable(plain.pid)
        plain.communicate(b"\n")
