"""Work that a process repeats from its start to its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from service.errors import StoreUnavailable
from service.observability import log

Work = Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def repeating(work: Work, *, name: str, pause: float) -> AsyncIterator[None]:
    """Do the work now, and again ``pause`` seconds after each end, until the context ends.

    An error does not end it: the process would go on without this work, and nothing would show it. StoreUnavailable is
    not logged here, because the client of Redis logs an outage once. Of other errors in a row, the first is logged.
    """
    task = asyncio.create_task(_repeat(work, name, pause), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _repeat(work: Work, name: str, pause: float) -> None:
    failing = False
    while True:
        try:
            await work()
            failing = False
        except StoreUnavailable:
            failing = False
        except Exception:  # noqa: BLE001  (the reason is above)
            if not failing:
                log.get(__name__).exception("background_work_failed", work=name)
            failing = True
        await asyncio.sleep(pause)
