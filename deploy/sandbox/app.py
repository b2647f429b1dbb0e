"""create_app: one server for all of fal's hosts, a path prefix each."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from sandbox.routes import cdn, control, openapi, platform, queue, rest, run
from sandbox.runtime import open_runtime
from sandbox.settings import Settings


def create_app(settings: Settings | None = None, data: Path | None = None) -> Starlette:
    """Write files below `data`; without it, into a temporary folder that is removed at shutdown."""
    settings = settings or Settings()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with _folder(data) as folder:
            async with open_runtime(settings, folder) as runtime:
                app.state.runtime = runtime
                yield

    routes = [
        Mount("/queue", routes=queue.routes),
        Mount("/run", routes=run.routes),
        Mount("/rest", routes=rest.routes),
        Mount("/cdn", routes=cdn.routes),
        Mount("/api/v1", routes=platform.routes),
        Mount("/api/openapi", routes=openapi.routes),
        Mount("/_sandbox", routes=control.routes),
        Route("/healthz", control.health),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _http_error})


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data:
        data.mkdir(parents=True, exist_ok=True)
        yield data
        return
    folder = Path(tempfile.mkdtemp(prefix="sandbox-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _http_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
