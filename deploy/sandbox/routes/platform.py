"""api.fal.ai/v1: prices, meta, billing events.

The answers' outer shape (`billing_events`, `prices`, `next_cursor`, `has_more`) is what others read from the live
service; the exact fields are inferred. `items` and
`billable_units` are additions of the sandbox, for clients that prefer plain names.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import refusals
from sandbox.chaos import Operation
from sandbox.endpoints import DEFAULT, ENDPOINTS
from sandbox.gate import Handler
from sandbox.job import Job
from sandbox.runtime import Runtime

MOST_PER_PAGE = 10_000
NANO = 10**9


async def pricing(request: Request) -> Response:
    async def handle() -> Response:
        requested = request.query_params.get("endpoint_id", DEFAULT).split(",")
        prices = [_price(endpoint) for endpoint in requested if endpoint in ENDPOINTS]
        return JSONResponse({"prices": prices, "next_cursor": None, "has_more": False})

    return await _admit(request, handle)


def _price(endpoint: str) -> dict[str, Any]:
    """Return the unit price of the default resolution."""
    price = ENDPOINTS[endpoint].price
    resolution = ENDPOINTS[endpoint].schema.model_fields["resolution"].default
    unit = f"{price.unit_tokens} tokens"
    return {"endpoint_id": endpoint, "unit_price": float(price.rates[resolution]), "unit": unit, "currency": "USD"}


async def meta(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    return JSONResponse({"webhook_ip_ranges": ["127.0.0.1/32", "::1/128"]})


async def billing_events(request: Request) -> Response:
    async def handle() -> Response:
        runtime: Runtime = request.app.state.runtime
        try:
            page = Page(request)
        except ValueError as error:
            return refusals.bad_request(str(error))
        return JSONResponse(page.of(runtime.queue.finished))

    return await _admit(request, handle, "billing")


class Page:
    """Parsed query of billing events. The cursor is a position among all finished jobs."""

    def __init__(self, request: Request) -> None:
        query = request.query_params
        self._start = _moment(query.get("start"), 0.0)
        self._end = _moment(query.get("end"), float("inf"))
        self._endpoints = _names(query.get("endpoint_id"))
        self._requests = _names(query.get("request_id"))
        self._limit = min(int(query.get("limit", MOST_PER_PAGE)), MOST_PER_PAGE)
        self._cursor = int(query.get("cursor", 0))

    def of(self, finished: list[Job]) -> dict[str, Any]:
        events: list[dict[str, Any]] = []
        cursor = None
        for position, job in self._wanted(finished):
            if len(events) == self._limit:
                cursor = str(position)
                break
            events.append(_event(job))
        return {"billing_events": events, "items": events, "next_cursor": cursor, "has_more": cursor is not None}

    def _wanted(self, finished: list[Job]) -> Iterator[tuple[int, Job]]:
        for position in range(self._cursor, len(finished)):
            if self._matches(finished[position]):
                yield position, finished[position]

    def _matches(self, job: Job) -> bool:
        return (
            job.outcome is not None
            and job.outcome.units > 0
            and self._start <= (job.finished_at or 0) < self._end
            and (not self._endpoints or job.endpoint in self._endpoints)
            and (not self._requests or job.request_id in self._requests)
        )


def _event(job: Job) -> dict[str, Any]:
    outcome = job.outcome
    if outcome is None:
        raise ValueError("not completed yet")
    cost = outcome.units * outcome.unit_price
    return {
        "request_id": job.request_id,
        "endpoint_id": job.endpoint,
        "timestamp": datetime.fromtimestamp(job.finished_at or 0, UTC).isoformat().replace("+00:00", "Z"),
        "output_units": float(outcome.units),
        "billable_units": float(outcome.units),
        "unit_price": float(outcome.unit_price),
        "percent_discount": None,
        "cost_estimate_nano_usd": int(cost * NANO),
        "cost_subtotal": float(cost),
        "cost_discount": 0.0,
        "cost_total": float(cost),
    }


def _moment(text: str | None, default: float) -> float:
    """ISO 8601, or unix seconds."""
    if text is None:
        return default
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _names(text: str | None) -> frozenset[str]:
    return frozenset(text.split(",")) if text else frozenset()


async def _admit(request: Request, handler: Handler, operation: Operation | None = None) -> Response:
    runtime: Runtime = request.app.state.runtime
    return await runtime.gate.admit(request, handler, operation)


routes = [
    Route("/models/pricing", pricing),
    Route("/meta", meta),
    Route("/models/billing-events", billing_events),
    Route("/billing-events", billing_events),
]
