"""Client for fal's billing events, read with the admin key. Returns all events of a time range, or raises."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Self

import aiohttp

from service.domain.billing import REQUEST_ID, BillingEvent
from service.domain.generation_view import rfc3339
from service.errors import UpstreamUnavailable
from service.observability import metrics
from service.upstream.answer_body import AnswerTooLarge, read_body
from service.upstream.http_result import read_response
from service.upstream.sessions import json_headers, open_session

#: fal allows 10,000 entries a page.
_PAGE: Final = 2_000
#: Bounds on one read: entries of some 100,000 videos, at 2 kB each.
_MOST_PAGES: Final = 50
_MOST_BYTES: Final = 4_000_000
_NUMBER_LENGTH: Final = 40


class FalBilling:
    """``GET /models/billing-events``, page by page."""

    def __init__(
        self,
        *,
        api_url: str,
        key: str,
        timeout: float,
        patience: float = 45.0,
        proxy: str | None = None,
    ) -> None:
        self._url = f"{api_url}/models/billing-events"
        self._headers = json_headers(key)
        self._timeout = timeout
        self._patience = patience
        self._proxy = proxy

    async def __aenter__(self) -> Self:
        self._http = open_session(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            proxy=self._proxy,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def events(self, endpoint_id: str, *, start: datetime, end: datetime) -> list[BillingEvent]:
        """Return every job of an endpoint that was billed at or after ``start`` and before ``end``.

        Raises:
            UpstreamUnavailable: the events cannot be read completely.

        """
        query = {"endpoint_id": endpoint_id, "start": rfc3339(start), "end": rfc3339(end), "limit": str(_PAGE)}
        try:
            async with asyncio.timeout(self._patience):
                return await self._all_pages(query)
        except (aiohttp.ClientError, TimeoutError, AnswerTooLarge) as error:
            metrics.UPSTREAM_CALLS.labels("billing", type(error).__name__).inc()
            raise _unavailable(type(error).__name__) from error

    async def _all_pages(self, query: dict[str, str]) -> list[BillingEvent]:
        found: list[BillingEvent] = []
        for _ in range(_MOST_PAGES):
            events, cursor = _read(await self._page(query), query["endpoint_id"])
            found += events
            if cursor is None:
                return found
            if cursor == query.get("cursor"):
                raise _unavailable("a page that links to itself")
            query = {**query, "cursor": cursor}
        raise _unavailable(f"more than {_MOST_PAGES} pages")

    async def _page(self, query: Mapping[str, str]) -> Any:
        with metrics.UPSTREAM_SECONDS.labels("billing").time():
            async with self._http.get(self._url, params=query, allow_redirects=False) as response:
                content = await read_body(response.headers, response.content.iter_any(), most=_MOST_BYTES)
        metrics.UPSTREAM_CALLS.labels("billing", str(response.status)).inc()
        if response.status != 200:
            raise _unavailable(str(response.status))
        return read_response(response.status, response.headers, content).body


def _read(body: Any, endpoint_id: str) -> tuple[list[BillingEvent], str | None]:
    match body:
        case {"billing_events": list(entries)}:
            return [_event(entry) for entry in entries if _may_be_of(endpoint_id, entry)], _next_cursor(body)
    raise _unavailable("an answer without billing events")


def _may_be_of(endpoint_id: str, entry: Any) -> bool:
    """Return whether the entry is of the endpoint. An entry that names none can be of any."""
    match entry:
        case {"endpoint_id": str(named)}:
            return named == endpoint_id
    return True


def _next_cursor(body: Mapping[Any, Any]) -> str | None:
    cursor, more = body.get("next_cursor"), body.get("has_more")
    if more is False or (cursor is None and not more):
        return None
    if not isinstance(cursor, str) or not cursor:
        raise _unavailable("more pages without a cursor")
    return cursor


def _event(entry: Any) -> BillingEvent:
    """Parse an entry. An unreadable entry still counts as something billed."""
    if not isinstance(entry, dict):
        return BillingEvent(None)
    request_id = entry.get("request_id")
    known = isinstance(request_id, str) and re.fullmatch(REQUEST_ID, request_id) is not None
    return BillingEvent(
        request_id if known else None, _moment(entry.get("timestamp")), _units(entry.get("output_units"))
    )


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _units(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > _NUMBER_LENGTH:
        return None
    try:
        units = Decimal(str(value))
    except InvalidOperation:
        return None
    return units if units.is_finite() and units >= 0 else None


def _unavailable(reason: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(f"fal's billing events cannot be read ({reason}).")
