"""``/admin/v1/trail``: who did what."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.http.accept import NEGOTIATED, preferred
from service.api.http.cursor_queries import Cursor
from service.api.http.dependencies import VIEWER, Gateway
from service.api.http.responses import json_response
from service.api.http.trail_queries import Action, ActorName, After, Before, OneOutcome, Target
from service.api.http.trail_views import TrailList, decode_trail_cursor, trail_csv, trail_page_view
from service.domain.timestamps import in_range
from service.usecases.trail.pages import TrailFilter

router = APIRouter(prefix="/admin/v1", tags=["admin"])


@router.get(
    "/trail",
    summary="List the audit trail, newest first",
    dependencies=[VIEWER],
    description="One entry for each act of an operator, and for each managing act of a tenant, also if it was refused. "
    "The filters can be combined.",
    responses={
        200: {"model": TrailList, "content": {"text/csv": {"schema": {"type": "string"}, "example": "number,at"}}}
    },
)
async def list_trail(
    request: Request,
    gateway: Gateway,
    actor: ActorName = None,
    action: Action = None,
    target: Target = None,
    tenant_id: Annotated[
        str | None, Query(max_length=40, description="Entries about this tenant. Default: all.")
    ] = None,
    outcome: OneOutcome = None,
    after: After = None,
    before: Before = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Cursor = None,
) -> Response:
    wanted = TrailFilter(
        actor=actor,
        action=action,
        target=target,
        outcome=outcome,
        after=in_range(after, "/query/after"),
        before=in_range(before, "/query/before"),
    )
    start = decode_trail_cursor(cursor, by_number=tenant_id is not None)
    page = await gateway.trail_pages.page(wanted, tenant_id=tenant_id, limit=limit, after=start)
    view = trail_page_view(page)
    if preferred(request, "application/json", "text/csv") == "text/csv":
        return Response(trail_csv(view["data"]), headers=NEGOTIATED, media_type="text/csv")
    return json_response(view, headers=NEGOTIATED)
