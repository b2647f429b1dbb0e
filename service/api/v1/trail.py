"""``/v1/trail``: a tenant's own managing acts, and what operators did to the tenant."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.http.cursor_queries import Cursor
from service.api.http.dependencies import Gateway, Manager
from service.api.http.trail_queries import Action, ActorName, After, Before, OneOutcome, Target
from service.api.http.trail_views import TrailList, decode_trail_cursor, trail_page_view
from service.domain.timestamps import in_range
from service.usecases.trail.pages import TrailFilter

router = APIRouter(prefix="/v1/trail", tags=["usage"])


@router.get(
    "",
    summary="List the audit trail of the tenant, newest first",
    description="Managing acts of the tenant's keys, and acts of operators on the tenant: who, what, when, why, and "
    "the outcome. Addresses, tokens and requests of operators are not shown.",
)
async def list_tenant_trail(
    gateway: Gateway,
    caller: Manager,
    actor: ActorName = None,
    action: Action = None,
    target: Target = None,
    outcome: OneOutcome = None,
    after: After = None,
    before: Before = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> TrailList:
    wanted = TrailFilter(
        actor=actor,
        action=action,
        target=target,
        outcome=outcome,
        after=in_range(after, "/query/after"),
        before=in_range(before, "/query/before"),
    )
    start = decode_trail_cursor(cursor, by_number=True)
    page = await gateway.trail_pages.page(wanted, tenant_id=caller.id, limit=limit, after=start)
    return trail_page_view(page, for_tenant=True)
