"""The demo as a new user runs it in a clone: it works, it can be stopped, and it leaves no processes or files."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import psutil
import pytest


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The command with this folder for its video and a folder next to it for its temporary files."""
    temporary = folder / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "service.cli", "demo", "--output", str(folder / "output")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8"},
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if text in line:
            return read
    raise AssertionError(f"the process ended before {text!r}:\n{read}")


def figure(text: str, name: str) -> int:
    found = re.search(rf"{name} +(\d+)", text)
    assert found, text
    return int(found[1])


def test_demo_makes_a_video_of_a_photo(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        text, _ = process.communicate(timeout=240)
    assert process.returncode == 0, text

    (video,) = (tmp_path / "output").iterdir()
    assert f"Downloaded {video}" in text
    with av.open(str(video)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.width, picture.height) == (752, 560)  # 480p in the aspect ratio of the photo
        assert sum(1 for _ in container.decode(picture)) == 5 * 24
        assert sound.codec_context.name == "aac"

    assert "its signature is valid" in text
    assert "Cost: $0.696658 (estimate: $0.708939)" in text
    assert "same id, no second generation" in text
    assert figure(text, "gateway_generations_created_total") == 1
    assert figure(text, "gateway_generations_replayed_total") == 1
    assert figure(text, "gateway_upstream_calls_total") == 1
    assert figure(text, "gateway_cost_micro_usd_total") == 696_658
    assert figure(text, "gateway_webhook_attempts_total") == 1
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize(
    ("number", "text", "count"),
    [
        (signal.SIGTERM, "Starting", 1),  # while the first children start
        (signal.SIGINT, "submitted:", 5),  # Redis, sandbox, gateway, worker, beat: all running
    ],
)
def test_demo_stopped_leaves_no_processes_or_files(
    number: signal.Signals, text: str, count: int, tmp_path: Path
) -> None:
    with demo(tmp_path) as process:
        read_until(process, text)
        children = children_of(process.pid, count)
        process.send_signal(number)
        process.send_signal(number)  # a user who presses Ctrl-C repeatedly
        text, _ = process.communicate(timeout=240)

    assert process.returncode == 130, text
    assert "Interrupted; every process was stopped." in text
    assert "Traceback" not in text
    assert not still_running(children)
    assert not list((tmp_path / "temporary").iterdir())


def children_of(pid: int, count: int) -> list[psutil.Process]:
    """Return all descendants, as soon as there are this many."""
    give_up = time.monotonic() + 60
    while len(children := psutil.Process(pid).children(recursive=True)) < count:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return children


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that still run after a moment. One that has ended, but is not yet reaped, does not count."""
    _, left = psutil.wait_procs(processes, timeout=20)
    return [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
