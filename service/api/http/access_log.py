"""Access log and duration metric of every request."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Scope

from service.api.http.client_address import client_address
from service.observability import log, metrics

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READS: Final = frozenset({"GET", "HEAD"})
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500
_QUIET: Final = frozenset({"/healthz", "/readyz", "/readyz/process"})


@dataclass(slots=True)
class _Call:
    about: dict[str, Any]
    method: str
    route: str
    status: int
    seconds: float
    client: str | None


class AccessLog:
    """Write the lines of all requests that end in one iteration of the event loop together.

    One write instead of many, and better cache locality: a line between each response and the next request would find
    none of its data in the processor's caches.
    """

    def __init__(self) -> None:
        self._log = log.get(__name__).bind()  # once: reading the configuration would double the cost of a line
        self._pending: list[_Call] = []

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        method = (
            scope["method"] if scope["method"] in _METHODS else "other"
        )  # a caller may send any method; each would be a series of its own
        route = getattr(scope.get("route"), "path", "unmatched")
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush, context=log.fresh_context())
        self._pending.append(_Call(log.get_context(), method, route, status, seconds, client_address(scope)))

    def _flush(self) -> None:
        calls, self._pending = self._pending, []
        for call in calls:
            _count(call)
        self._log.info_each("request", [_line(call) for call in calls if call.route not in _QUIET])


def _count(call: _Call) -> None:
    metrics.series(metrics.HTTP_SECONDS, call.method, call.route, str(call.status)).observe(call.seconds)
    if (tenant_id := call.about.get("tenant")) is not None:
        kind = "read" if call.method in _READS else "write"
        outcome = "ok" if call.status < _CLIENT_ERROR else "refused" if call.status < _SERVER_ERROR else "failed"
        metrics.series(metrics.TENANT_REQUESTS, metrics.tenant_label(tenant_id), kind, outcome).inc()


def _line(call: _Call) -> dict[str, Any]:
    return {
        **call.about,
        "method": call.method,
        "route": call.route,
        "status": call.status,
        "ms": round(call.seconds * 1000, 2),
        "client": call.client,
    }
