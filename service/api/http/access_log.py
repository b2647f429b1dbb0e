"""Access log and duration metric of every request."""

import asyncio
from typing import Any, Final

from starlette.types import Scope

from service.api.http.client_address import client_address
from service.observability import log, metrics

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READS: Final = frozenset({"GET", "HEAD"})
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500
_QUIET: Final = frozenset({"/healthz", "/readyz", "/readyz/process"})


class AccessLog:
    """Write the lines of all requests that end in one iteration of the event loop together.

    One write instead of many, and better cache locality: a line between each response and the next request would find
    none of its data in the processor's caches.
    """

    def __init__(self) -> None:
        self._log = log.get(__name__).bind()  # once: reading the configuration would double the cost of a line
        self._pending: list[tuple[dict[str, Any], float]] = []
        """The fields of a line, and the seconds of its request."""

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        method = (
            scope["method"] if scope["method"] in _METHODS else "other"
        )  # a caller may send any method; each would be a series of its own
        route = getattr(scope.get("route"), "path", "unmatched")
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush, context=log.fresh_context())
        line = {
            **log.get_context(),
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "client": client_address(scope),
        }
        self._pending.append((line, seconds))

    def _flush(self) -> None:
        calls, self._pending = self._pending, []
        for line, seconds in calls:
            _count(line, seconds)
        self._log.info_each("request", [line for line, _ in calls if line["route"] not in _QUIET])


def _count(line: dict[str, Any], seconds: float) -> None:
    method, status = line["method"], line["status"]
    metrics.series(metrics.HTTP_SECONDS, method, line["route"], str(status)).observe(seconds)
    if (tenant_id := line.get("tenant")) is not None:
        kind = "read" if method in _READS else "write"
        outcome = "ok" if status < _CLIENT_ERROR else "refused" if status < _SERVER_ERROR else "failed"
        metrics.tenant_series(metrics.TENANT_REQUESTS, tenant_id, kind, outcome).inc()
