"""What is kept of every call: a line of the log, and how long it took."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Histogram
from starlette.types import Scope

from service.observability import log, metrics

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(slots=True)
class _Call:
    about: dict[str, Any]
    method: str
    route: str
    status: int
    seconds: float


class AccessLog:
    """Those that end in one turn of the event loop are told together, before the next call is looked at.

    One by one, between an answer and the next request, each would find nothing of it in the processor's caches, and be
    a write of its own.
    """

    def __init__(self) -> None:
        self._log = log.get(__name__).bind()  # once: looking up the configuration would double the cost of a line
        self._untold: list[_Call] = []
        self._seconds: dict[tuple[str, str, int], Histogram] = {}
        """Looked up once: prometheus-client's own look-up costs more than the observation."""

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"  # a caller may invent any number of them
        route = getattr(scope.get("route"), "path", "unmatched")
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._tell, context=log.fresh_context())
        self._untold.append(_Call(log.get_context(), method, route, status, seconds))

    def _tell(self) -> None:
        calls, self._untold = self._untold, []
        for call in calls:
            self._took(call).observe(call.seconds)
        self._log.info_each("request", [_line(call) for call in calls if call.route not in _QUIET])

    def _took(self, call: _Call) -> Histogram:
        name = call.method, call.route, call.status
        known = self._seconds.get(name)
        if known is None:
            known = self._seconds[name] = metrics.HTTP_SECONDS.labels(call.method, call.route, str(call.status))
        return known


def _line(call: _Call) -> dict[str, Any]:
    return {
        **call.about,
        "method": call.method,
        "route": call.route,
        "status": call.status,
        "ms": round(call.seconds * 1000, 2),
    }
