"""Mutation runs: ``python -m tests.support.mutants service/domain/pricing.py`` lists changes that no unit test notices.

mutmut changes the bodies of functions and methods in small ways and runs, for each change, the tests of the mirrored
folder that call the changed function: those of ``service/domain`` are below ``tests/unit/domain``. Such a change is a
mutant. It is killed if a test fails or does not end in time, else it survives. mutmut changes neither constants of
modules nor functions with decorators, like properties and validators.

The exit code is 1 if a mutant survives that ``equivalent_mutants.toml`` does not explain.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
EXPLAINED: Final = Path(__file__).with_name("equivalent_mutants.toml")
_UNIT: Final = Path("tests/unit")
_BUILD: Final = ROOT / "build" / "mutants"
_COPIED: Final = ("service", "workers", "deploy", "docs", "openapi", "README.md", "CHANGELOG.md")
_KILLED: Final = frozenset({"killed", "timeout", "segfault"})
#: A mutant times out after 10 times the duration of its tests without a change, plus this many seconds.
_SECONDS: Final = 10
#: Two plugins collect garbage ten times per run, which takes half of the time of a mutant.
_PYTEST: Final = [
    "--hypothesis-seed=0",
    *("-p", "no:cacheprovider"),
    *("-p", "no:unraisableexception"),
    *("-p", "no:threadexception"),
]
#: A server that has run no test forks each mutant: caches that the tests fill would hide changes.
_CONFIGURATION: Final = """
[tool.mutmut]
source_paths = ["service"]
only_mutate = {patterns}
also_copy = {copied}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = {arguments}
do_not_mutate_patterns = ['assert_never\\(']
process_isolation = "forkserver"
timeout_multiplier = 10.0
timeout_constant = {constant}
on_dependency_change = "ignore"
use_git_change_detection = false
"""


@dataclass(frozen=True, slots=True)
class Mutant:
    """``change``: removed and added lines, as in a diff without context."""

    module: str
    name: str
    status: str
    change: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a mutant behaves as the code without the change does."""

    module: str
    change: str
    reason: str


def module_path(text: str) -> Path:
    """Return the file or folder of ``service/domain/pricing.py``, ``service.domain.pricing`` or ``service/domain``."""
    path = Path(text if "/" in text else text.replace(".", "/"))
    for found in (path, Path(f"{path}.py")):
        if found.parts[:1] == ("service",) and (ROOT / found).exists():
            return found
    raise SystemExit(f"There is no {text}. {choices()}")


def mirror_of(path: Path) -> Path:
    """Return the mirrored folder of unit tests, or the nearest above it."""
    for folder in path.parents if path.suffix else (path, *path.parents):
        tests = _UNIT / folder.relative_to("service") if folder.is_relative_to("service") else _UNIT
        if tests != _UNIT and (ROOT / tests).is_dir():
            return tests
    raise SystemExit(f"{path} has no folder of unit tests. {choices()}")


def choices() -> str:
    folders = sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "service").rglob("[a-z]*/")
        if (ROOT / _UNIT / path.relative_to(ROOT / "service")).is_dir()
    )
    return f"MODULE is a file like service/domain/pricing.py, several, or a folder: {', '.join(folders)}."


def explanations() -> list[Explanation]:
    return [Explanation(**entry) for entry in tomllib.loads(EXPLAINED.read_text())["mutant"]]


def prepare(paths: list[Path]) -> Path:
    """Return a new folder for the run, with links to the code and the configuration of mutmut."""
    folder = _BUILD / "+".join(path.stem for path in paths)[:100]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in (*_COPIED, "tests"):
        (folder / name).symlink_to(ROOT / name)
    configuration = _CONFIGURATION.format(
        patterns=[path.as_posix() if path.suffix else f"{path.as_posix()}/*" for path in paths],
        copied=list(_COPIED[1:]),
        tests=sorted({mirror_of(path).as_posix() for path in paths}),
        arguments=_PYTEST,
        constant=_SECONDS / 10,
    )
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + configuration)
    return folder


def mutmut(folder: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mutmut {arguments[0]} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def mutants(folder: Path) -> Iterator[Mutant]:
    for line in mutmut(folder, "results", "--all", "true").splitlines():
        if found := re.fullmatch(r"\s+(\S+): (.+)", line):
            name, status = found.groups()
            change = "" if status in _KILLED else change_of(mutmut(folder, "show", name))
            yield Mutant(name.rpartition(".")[0], name, status, change)


def change_of(diff: str) -> str:
    """Return the changed lines of a unified diff, without indentation."""
    lines = [line for line in diff.splitlines() if re.match(r"[+-](?![+-]{2} )", line)]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines)


def report(found: list[Mutant], explained: dict[tuple[str, str], str], *, seconds: float) -> int:
    """Print the scores and the survivors. Return the number of survivors without an explanation."""
    survivors = [mutant for mutant in found if mutant.status not in _KILLED]
    unexplained = [mutant for mutant in survivors if (mutant.module, mutant.change) not in explained]
    for mutant in unexplained:
        _write(f"\n{mutant.name}: {mutant.status}\n{mutant.change}")
    made, lived, open_ = (Counter(m.module for m in some) for some in (found, survivors, unexplained))
    _write(f"\n{'module':40} {'mutants':>8} {'killed':>8} {'equivalent':>11} {'survived':>9} {'score':>8}")
    for module, count in [*sorted(made.items()), ("all", len(found))]:
        alive, left = (len(survivors), len(unexplained)) if module == "all" else (lived[module], open_[module])
        score = (count - alive) / max(1, count - alive + left)
        _write(f"{module:40} {count:8} {count - alive:8} {alive - left:11} {left:9} {score:8.1%}")
    _write(f"\n{len(found)} mutants in {seconds:.0f} s")
    modules, changes = set(made), {(mutant.module, mutant.change) for mutant in survivors}
    for module, change in explained:
        if module in modules and (module, change) not in changes:
            _write(f"\n{EXPLAINED.name} explains a change of {module} that does not survive:\n{change}")
    return len(unexplained)


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("module", nargs="*", help=choices())
    parser.add_argument("--jobs", type=int, default=2, help="mutants that run concurrently")
    arguments = parser.parse_args()
    if not arguments.module:
        _write(choices())
        return 2
    started = time.monotonic()
    folder = prepare([module_path(name) for name in arguments.module])
    mutmut(folder, "run", "--max-children", str(arguments.jobs))
    found = list(mutants(folder))
    explained = {(entry.module, entry.change): entry.reason for entry in explanations()}
    return min(1, report(found, explained, seconds=time.monotonic() - started))


if __name__ == "__main__":
    sys.exit(main())
