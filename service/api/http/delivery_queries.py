"""Query parameters of a list of deliveries, as tenants and operators have it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_cursor
from service.domain import ids
from service.domain.timestamps import Moment, in_range
from service.domain.webhook import DeliveryFilter, DeliveryStatus, EventType


@dataclass(frozen=True, slots=True)
class _Wanted:
    filter: DeliveryFilter
    limit: int
    after: str | None


async def _read(
    status: DeliveryStatus | None = None,
    endpoint_id: Annotated[
        str | None, Query(max_length=64, description="Only deliveries of this endpoint. Default: all.")
    ] = None,
    generation_id: Annotated[
        str | None, Query(max_length=64, description="Only deliveries of this generation. Default: all.")
    ] = None,
    event: EventType | None = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> _Wanted:
    """Raises Invalid: a time is out of range, or the cursor is none of this list."""
    found = DeliveryFilter(
        status=status,
        endpoint_id=endpoint_id,
        generation_id=generation_id,
        event=event,
        created_after=in_range(created_after, "/query/created_after"),
        created_before=in_range(created_before, "/query/created_before"),
    )
    return _Wanted(found, limit, decode_cursor(cursor, ids.DELIVERY))


DeliveryQuery = Annotated[_Wanted, Depends(_read)]
