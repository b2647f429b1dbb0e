"""The report of mutation runs: scores, survivors, and the survivors that ``equivalent.toml`` explains."""

import re
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EXPLAINED: Final = Path(__file__).with_name("equivalent.toml")
_KILLED: Final = frozenset({"killed", "timeout"})


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


def explanations() -> list[Explanation]:
    return [Explanation(**entry) for entry in tomllib.loads(EXPLAINED.read_text())["mutant"]]


def change_of(diff: str) -> str:
    """Return the changed lines of a unified diff, without indentation."""
    lines = [line for line in diff.splitlines() if re.match(r"[+-](?![+-]{2} )", line)]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines)


class Report:
    """Prints survivors without an explanation when they are found, and the scores at the end."""

    def __init__(self, explained: dict[tuple[str, str], str]) -> None:
        self._explained = explained
        self._made, self._lived, self._open = Counter[str](), Counter[str](), Counter[str]()
        self._changes: set[tuple[str, str]] = set()

    def add(self, mutant: Mutant) -> None:
        self._made[mutant.module] += 1
        if mutant.status in _KILLED:
            return
        self._lived[mutant.module] += 1
        self._changes.add((mutant.module, mutant.change))
        if (mutant.module, mutant.change) not in self._explained:
            self._open[mutant.module] += 1
            write(f"\n{mutant.name}: {mutant.status}\n{mutant.change}")

    def end(self, *, seconds: float) -> int:
        """Print the scores, and explanations without a survivor. Return the number of survivors without one."""
        write(f"\n{'module':40} {'mutants':>8} {'killed':>8} {'equivalent':>11} {'survived':>9} {'score':>8}")
        for module in sorted(self._made):
            _write_score(module, self._made[module], self._lived[module], self._open[module])
        counters = (self._made, self._lived, self._open)
        _write_score("all", *(counter.total() for counter in counters))
        write(f"\n{self._made.total()} mutants in {seconds:.0f} s")
        for module, change in self._explained:
            if module in self._made and (module, change) not in self._changes:
                write(f"\n{EXPLAINED.name} explains a change of {module} that does not survive:\n{change}")
        return self._open.total()


def _write_score(name: str, made: int, lived: int, left: int) -> None:
    killed = made - lived
    score = killed / max(1, killed + left)
    write(f"{name:40} {made:8} {killed:8} {lived - left:11} {left:9} {score:8.1%}")


def write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
