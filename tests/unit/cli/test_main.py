"""The entry of the command line: what no command handles is one line, without a traceback."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import main


def failed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[object, str]:
    """Return exit code and stderr of a command that prints nothing on stdout."""
    monkeypatch.setattr(sys, "argv", ["seedance-gateway", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    out, err = capfd.readouterr()
    assert out == ""
    return exit_.value.code, err


@pytest.mark.parametrize(
    "arguments", [("generate", "photo.jpg", "a\udcff"), ("tenants", "create", "a\udcff"), ("a\udcff",)]
)
def test_main_argument_not_utf8_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    assert failed(capfd, monkeypatch, *arguments) == (2, "The argument 'a?' is not UTF-8.\n")


def test_main_argument_in_other_scripts_is_accepted(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = failed(capfd, monkeypatch, "café 猫 🚀")
    assert code == 2
    assert "not UTF-8" not in text


def test_main_file_that_cannot_be_written_is_named(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "missing" / "env"
    assert failed(capfd, monkeypatch, "up", "--env-file", str(file)) == (1, f"{file}: No such file or directory.\n")


def test_main_choice_is_named_in_its_own_words(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = failed(capfd, monkeypatch, "keys", "create", "ten_1", "--scope", "all")
    assert code == 2
    assert "Invalid value for '--scope': 'all' is not one of 'generate'" in " ".join(text.replace("│", " ").split())


def run(shell: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a shell, which sets its outputs."""
    command = f"{shlex.quote(sys.executable)} -m service.cli --version {shell}"
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)


def test_main_output_on_a_full_disk_is_one_line() -> None:
    done = run("> /dev/full")
    assert (done.returncode, done.stderr) == (1, "No space left on device.\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_main_closed_output_is_discarded(closed: str) -> None:
    done = run(closed)
    assert (done.returncode, done.stderr) == (0, "")
