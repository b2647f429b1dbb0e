"""Wheel and source archive: two builds of the same files are equal, whatever the folder, the time and the umask."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.guards.repository import ROOT
from tests.guards.test_dependencies import pins

COMMIT = "0123456789ab"
_IGNORED = shutil.ignore_patterns(
    ".*cache", ".venv", ".git", "build", "dist", "__pycache__", "*.egg-info", "demo-output"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Path]]:
    """Build two copies of the tree: other paths, times, time zones, umasks and seeds. Return the files by suffix."""
    running, outputs = [], []
    for number, umask in enumerate((0o022, 0o077)):
        folder = tmp_path_factory.mktemp(f"build-{number}") / ("nested/" * number + "tree")
        previous = os.umask(umask)
        try:
            shutil.copytree(ROOT, folder, ignore=_IGNORED, copy_function=shutil.copyfile)
        finally:
            os.umask(previous)
        for path in folder.rglob("*"):
            os.utime(path, (1_600_000_000 + number * 86_399,) * 2)
        environment = {"SOURCE_DATE_EPOCH": "1790000000", "GATEWAY_COMMIT": COMMIT, "PYTHONHASHSEED": str(number)}
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "hatchling", "build", "-d", str(folder / "dist")],
                cwd=folder,
                env={**os.environ, **environment, "TZ": f"Etc/GMT-{number}"},
                umask=umask,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        outputs.append(folder / "dist")
    assert [process.wait(600) for process in running] == [0, 0]
    return [{path.suffix: path for path in output.iterdir()} for output in outputs]


@pytest.mark.parametrize("suffix", [".whl", ".gz"])
def test_builds_of_same_files_are_equal(built: list[dict[str, Path]], suffix: str) -> None:
    first, second = (hashlib.sha256(files[suffix].read_bytes()).hexdigest() for files in built)
    assert first == second


def test_wheel_has_commit_licence_and_scripts(built: list[dict[str, Path]]) -> None:
    with zipfile.ZipFile(built[0][".whl"]) as wheel:
        names = set(wheel.namelist())
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        assert "License-Expression: Apache-2.0" in wheel.read(about).decode()
        assert wheel.read("service/commit.txt").decode() == f"{COMMIT}\n"
    assert about.replace("METADATA", "licenses/LICENSE") in names
    scripts = {f"service/{path.relative_to(ROOT / 'service')}" for path in (ROOT / "service").rglob("*.lua")}
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "service/console").rglob("*.*") if path.suffix != ".pyc"}
    assert {Path(page).suffix for page in pages} == {".py", ".html", ".css", ".js", ".svg"}
    assert scripts | pages <= names
    assert not [name for name in names if name.startswith(("tests/", "sbom/")) or "__pycache__" in name]


def test_source_archive_builds_the_same_wheel(built: list[dict[str, Path]], tmp_path: Path) -> None:
    """The archive alone is enough to check the published wheel."""
    with tarfile.open(built[0][".gz"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1790000000", "GATEWAY_COMMIT": COMMIT}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    assert wheel.read_bytes() == built[0][".whl"].read_bytes()


def test_builder_has_the_version_of_the_build_lock() -> None:
    """A wheel names the version of its builder: another version would change its bytes."""
    locked = pins(ROOT / "deploy/build.lock")
    assert {name: metadata.version(name) for name in locked} == locked
