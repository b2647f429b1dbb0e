"""The ASGI app: lifespan, middleware, routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service import gc_tuning, process_memory
from service.api import routes
from service.api.fal.cors import Cors
from service.api.http.compression import Compression
from service.api.http.error_handlers import ErrorMiddleware
from service.api.http.methods import HeadMiddleware
from service.api.http.middleware import RequestContextMiddleware
from service.api.http.path_prefix import PathPrefix
from service.api.http.raw_route import DirectRoutes
from service.api.http.shutdown import on_stop_signal
from service.api.http.trusted_proxies import TrustedProxies
from service.api.metrics import serving_metrics
from service.config.settings import Settings
from service.console import install as console
from service.observability import log, tracing
from service.observability.start import log_start
from service.runtime import open_runtime
from service.store.redis.health import refuse_old


class _Gateway(FastAPI):
    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings
        self.state = SimpleNamespace()  # type: ignore[assignment]  # Starlette's finds each attribute in Python

    def build_middleware_stack(self) -> ASGIApp:
        """Return this project's layers instead of FastAPI's, which would take a tenth of the time of a create.

        Hot routes are called by the second layer. All other requests pass through the layers of ``others``.
        The outermost layer is the one that runs event streams: an open stream then holds no other, except for the
        layers of settings that most deployments do not have.
        """
        settings = self._settings
        others = HeadMiddleware(Compression(ErrorMiddleware(AsyncExitStackMiddleware(self.router))))
        stack: ASGIApp = DirectRoutes(self.routes, others)
        if settings.cors_origins:
            stack = Cors(stack, origins=settings.cors_origins)
        stack = RequestContextMiddleware(stack)
        if settings.path_prefix:
            stack = PathPrefix(stack, settings.path_prefix)
        return TrustedProxies(stack, settings.trusted_proxies) if settings.trusted_proxies else stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what FastAPI and Starlette do in three calls, without the telemetry that the options turn off."""
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)


def create_app(settings: Settings) -> FastAPI:
    log.configure(settings.log_level, secrets=settings.secrets(), log_format=settings.log_format)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tracing.configure("seedance-gateway")
        async with open_runtime(settings) as runtime, serving_metrics(runtime):
            await refuse_old(runtime.redis)
            app.state.runtime = runtime
            gc_tuning.freeze()
            with on_stop_signal(runtime.generations.reader.stop_waiting):
                yield
        await asyncio.to_thread(tracing.shut_down)

    app = _Gateway(
        settings,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # its Location would contain the caller's Host header
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # the gateway's own are in middleware, at a third of the cost
    )
    routes.install(app, path_prefix=settings.path_prefix)
    if settings.console:
        console.install(app)
    return app


def from_environment() -> FastAPI:
    """Build the app for ``uvicorn --factory service.app:from_environment``."""
    process_memory.protect()  # a child of `serve --workers` starts without the command line
    log.catch_uncaught()
    settings = Settings()
    app = create_app(settings)
    log_start(settings)
    return app
