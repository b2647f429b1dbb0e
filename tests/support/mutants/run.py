"""Mutation runs: ``python -m tests.support.mutants.run service/domain/pricing.py`` lists changes no unit test notices.

mutmut changes the bodies of functions and methods in small ways. Such a change is a mutant. For each one, the tests of
the mirrored folder that call the changed function run: those of ``service/domain`` are below ``tests/unit/domain``. A
mutant is killed if a test fails or does not end in time, else it survives.

The exit code is 1 if a mutant survives that ``equivalent.toml`` does not explain.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from tests.support.mutants.report import Mutant, Report, explanations, write

ROOT: Final = Path(__file__).parents[3]
_UNIT: Final = Path("tests/unit")
#: Two plugins collect garbage ten times per run, which takes half of the time of a mutant.
_PYTEST: Final = (
    "-q",
    "--hypothesis-seed=0",
    *("-p", "no:cacheprovider"),
    *("-p", "no:unraisableexception"),
    *("-p", "no:threadexception"),
)


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


def files_of(path: Path) -> list[Path]:
    found = [path] if path.suffix else [file.relative_to(ROOT) for file in sorted((ROOT / path).rglob("*.py"))]
    return [file for file in found if (ROOT / file).read_text().strip()]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("module", nargs="*", help=choices())
    parser.add_argument("--tests", nargs="*", help="files or folders of tests, instead of the mirrored folder")
    arguments = parser.parse_args()
    if not arguments.module:
        write(choices())
        return 2
    paths = [module_path(name) for name in arguments.module]
    tests = arguments.tests or sorted({mirror_of(path).as_posix() for path in paths})

    # The other extras do not install mutmut.
    from tests.support.mutants.mutation import MutatedModules
    from tests.support.mutants.trial import results

    started = time.monotonic()
    report = Report({(entry.module, entry.change): entry.reason for entry in explanations()})
    modules = MutatedModules(ROOT, list(dict.fromkeys(file for path in paths for file in files_of(path))))
    modules.install()
    for result in results(modules.mutations(), [*_PYTEST, *tests]):
        report.add(Mutant(result.mutation.module, result.mutation.name, result.status, result.mutation.change))
    return min(1, report.end(seconds=time.monotonic() - started))


if __name__ == "__main__":
    sys.exit(main())
