"""A worker on a machine with a wrong wall clock and a right monotonic clock.

Celery loads this module in place of ``workers``. ``CLOCK_AHEAD`` is the number of seconds that the clock is ahead.

Only ``time.time`` is wrong, which every wall clock of the product reads. libfaketime would replace the clock of the C
library too, but a worker under it was seen to end with a segmentation fault.
"""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import sandbox
from service.cli.dev.child_processes import Child
from service.cli.dev.stack import Stack
from tests.guards.repository import ROOT

MODULE: Final = "tests.support.chaos.clock_offset"
_AHEAD: Final = "CLOCK_AHEAD"


def start_misset_worker(stack: Stack, ahead: timedelta, *, metrics_port: int = 0) -> Child:
    """Start one more worker of this stack, with a wrong clock. Return it when it consumes its queues."""
    paths = (str(ROOT), str(Path(sandbox.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    environment = stack.settings.model_copy(update={"metrics_port": metrics_port}).environment()
    log = stack.folder / f"misset{len(list(stack.folder.glob('misset*')))}.log"
    child = Child(
        f"worker at {ahead.total_seconds():+.0f} s",
        [sys.executable, "-m", "celery", "--quiet", "-A", MODULE, "worker", "--without-gossip", "--without-mingle"],
        log=log,
        environment={**environment, "PYTHONPATH": os.pathsep.join(paths), _AHEAD: str(ahead.total_seconds())},
    )
    try:
        child.wait_until(lambda: b" ready" in log.read_bytes(), within=90)
    except BaseException:
        child.kill()
        raise
    return child


if _AHEAD in os.environ and __name__ == MODULE:  # in that worker, not in a test that imports it
    _right_time = time.time

    def _wrong_time() -> float:
        return _right_time() + float(os.environ[_AHEAD])

    time.time = _wrong_time  # before Celery and its transport import it

    import tests.support.chaos.hasty  # noqa: F401  (shortens the waits if the test asks for it)
    from workers import app  # noqa: F401  (what `celery -A` looks for)
