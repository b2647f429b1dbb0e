"""``/metrics`` of a gateway, on the metrics port: it has the figures of all tenants; the API port is for callers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from service.observability import multiprocess
from service.observability.health_server import metrics_page, serve_pages
from service.runtime import Runtime

#: More than the longest exchange with Redis.
_LONGEST_READ_SECONDS: Final = 30.0


@asynccontextmanager
async def serving_metrics(runtime: Runtime) -> AsyncIterator[None]:
    """Serve ``/metrics`` on the metrics port of the settings, if there is one."""
    settings, loop = runtime.settings, asyncio.get_running_loop()
    if not settings.metrics_port:
        yield
        return

    def read() -> bytes:
        return asyncio.run_coroutine_threadsafe(metrics_text(runtime), loop).result(_LONGEST_READ_SECONDS)

    server = await asyncio.to_thread(
        serve_pages, {"/metrics": metrics_page(read)}, host=settings.metrics_host, port=settings.metrics_port
    )
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


async def metrics_text(runtime: Runtime) -> bytes:
    """Return the metrics of the gateway's processes and the state in Redis."""
    # Each takes tens of milliseconds with many tenants: the process metrics run in a thread while Redis responds.
    own, state = await asyncio.gather(asyncio.to_thread(multiprocess.text), runtime.operations.account_metrics.text())
    return own + state
