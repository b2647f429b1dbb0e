"""``python -m tests.model``: explores all scenarios and prints what was checked."""

import sys

from tests.model.ports import without_an_event_loop
from tests.model.report import explored, promises_text, size_of
from tests.model.scenarios import SCENARIOS


def main() -> int:
    sys.stdout.write(f"{promises_text()}\n\n")
    with without_an_event_loop():
        for name in SCENARIOS:
            found = explored(name)
            sys.stdout.write(f"{size_of(name, found)}\n")
            if found.broken is not None:
                sys.stdout.write(f"{found.broken}\n")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
