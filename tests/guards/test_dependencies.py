"""Dependencies: the tests run with the versions of the image, and each direct dependency has a lower bound."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.guards.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = [Requirement(text) for text in PROJECT["dependencies"]]
#: Bytes of other people reach these. The bound is the first version without a published advisory in November 2026.
FIXED = {
    "aiohttp": "3.14.3",
    "av": "18.1",
    "cryptography": "48.0.1",
    "jinja2": "3.1.6",
    "pillow": "12.3",
    "python-multipart": "0.0.31",
    "starlette": "1.3.1",
}


def pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


LOCK = pins(ROOT / "requirements.lock")
SANDBOX_LOCK = pins(ROOT / "deploy/sandbox/requirements.lock")


@pytest.mark.parametrize("lock", [LOCK, SANDBOX_LOCK], ids=["gateway", "sandbox"])
def test_tests_run_with_the_versions_of_the_lock(lock: dict[str, str]) -> None:
    """`make` installs with the locks as constraints. After `make lock`, `make clean test` installs anew."""
    installed: dict[str, str] = {canonicalize_name(found.name): found.version for found in metadata.distributions()}
    differs = {name: (installed[name], pin) for name, pin in lock.items() if installed.get(name, pin) != pin}
    assert not differs


def test_locks_agree() -> None:
    assert {name: LOCK[name] for name in LOCK.keys() & SANDBOX_LOCK.keys()} == {
        name: SANDBOX_LOCK[name] for name in LOCK.keys() & SANDBOX_LOCK.keys()
    }


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_direct_dependency_is_locked_above_its_lower_bound(requirement: Requirement) -> None:
    assert any(bound.operator in (">=", "==") for bound in requirement.specifier)
    assert LOCK[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("name", FIXED)
def test_lower_bound_is_not_below_the_known_fix(name: str) -> None:
    (requirement,) = (found for found in DIRECT if found.name == name)
    bounds = {bound.operator: bound.version for bound in requirement.specifier}
    assert Requirement(f"{name}>={FIXED[name]}").specifier.contains(bounds[">="])
