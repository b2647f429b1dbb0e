"""Version and commit of a build."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import build_info


@pytest.fixture(autouse=True)
def _cleared_cache() -> Iterator[None]:
    build_info.commit.cache_clear()
    yield
    build_info.commit.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the folder of the installed package."""
    folder = tmp_path / "service"
    folder.mkdir()
    monkeypatch.setattr(build_info, "_HERE", folder)
    monkeypatch.setattr(build_info, "_FILE", folder / "commit.txt")
    return folder


def test_commit_comes_from_the_variable_first(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "commit.txt").write_text("ffff\n")
    monkeypatch.setenv(build_info.VARIABLE, "0123abcd")
    assert build_info.commit() == "0123abcd"


def test_commit_of_a_wheel_comes_from_its_file(package: Path) -> None:
    (package / "commit.txt").write_text("0123abcd\n")
    assert build_info.commit() == "0123abcd"


def test_commit_of_a_checkout_comes_from_git(package: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=package.parent, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "first")
    assert build_info.commit() == git("rev-parse", "--short=12", "HEAD")


def test_commit_without_a_source_is_unknown(package: Path) -> None:
    assert build_info.commit() == build_info.UNKNOWN
