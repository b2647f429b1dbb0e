"""The scenarios as explored once per process, and their sizes as text."""

from functools import cache
from typing import Any

from tests.model import promises
from tests.model.explorer import Explored, Explorer
from tests.model.promises import COUNT, PROMISES
from tests.model.scenarios import SCENARIOS


@cache
def explored(name: str) -> Explored:
    """Explore a scenario. Needs ``without_an_event_loop``."""
    return Explorer(SCENARIOS[name], PROMISES).explore()


def size_of(name: str, found: Explored) -> str:
    return (
        f"{name:16} depth {found.depth:2}: {found.states:6,} states, {found.transitions:6,} transitions of "
        f"{len(found.kinds):3} kinds, {COUNT} promises, {found.seconds:.1f} s of CPU"
    )


def promises_text() -> str:
    checks: list[Any] = [*promises.OF_ONE_JOB, *PROMISES[1:]]
    lines = [(check.__doc__ or "").strip() for check in checks]
    lines.append("From each state at the last depth, every generation ends by its deadlines alone.")
    return "\n".join(["Promises, checked on each step:", *(f"  {line}" for line in lines)])
