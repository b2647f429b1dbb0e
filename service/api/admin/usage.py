"""``/admin/v1/usage`` and ``/admin/v1/budgets``: usage of all tenants, and who is near a budget."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from service.api.admin.usage_views import AccountUsageView, BudgetList, budget_view, usage_view
from service.api.http.accept import NEGOTIATED, preferred
from service.api.http.audited import AuditedRoute
from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_offset, encode_offset
from service.api.http.dependencies import VIEWER, Gateway, Viewer
from service.api.http.responses import json_response
from service.api.schemas import problems
from service.domain.timestamps import Day
from service.usecases.operations.usage import By
from service.usecases.operations.usage_table import usage_csv

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)

_EXAMPLE: Final = (
    "model,created,succeeded,failed,canceled,refused,spent_usd,held_usd\r\n"
    "bytedance/seedance-2.0/image-to-video,3,2,0,0,0,3.024000,1.512000\r\n"
    "total,3,2,0,0,0,3.024000,1.512000\r\n"
)


@router.get(
    "/usage",
    summary="Read the usage of all tenants",
    description="Counts and money of a month, or of up to 92 days, of all tenants or of one; deleted tenants are "
    "included for 400 days. All rows add up to `total`, whatever the grouping. Generations count on the day of their "
    "creation, refused creates on the day of the refusal. Creates that cannot be read (400, 413, 415, most 422) are "
    "not counted as refused. A viewer receives end users without names; a read of names is recorded in the audit "
    "trail. With `Accept: text/csv` the rows are CSV, with a row `total` after the last page; the "
    "header `Link` has the next page.",
    responses={
        200: {"model": AccountUsageView, "content": {"text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
        **problems(404, 422),
    },
)
async def read_account_usage(
    request: Request,
    gateway: Gateway,
    actor: Viewer,
    by: Annotated[By, Query(description="The grouping of the rows. `end_user` needs `tenant_id`.")] = "tenant",
    month: Annotated[
        str | None, Query(max_length=10, description="A month (UTC): `2026-01`. Default: this one, until today.")
    ] = None,
    start: Annotated[Day | None, Query(description="First day (UTC), in place of a month.")] = None,
    end: Annotated[
        Day | None, Query(description="Last day (UTC), included, 92 days from `start` at most. Default: today.")
    ] = None,
    tenant_id: Annotated[str | None, Query(max_length=100, description="Of this tenant only.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> Response:
    usage = gateway.operations.usage
    period = usage.period(month, start, end)
    page = await usage.read_as(actor, by, period, tenant_id=tenant_id, first=decode_offset(cursor), limit=limit)
    if preferred(request, "application/json", "text/csv") == "text/csv":
        answer = Response(usage_csv(page), headers=NEGOTIATED, media_type="text/csv")
    else:
        answer = json_response(usage_view(page), headers=NEGOTIATED)
    if page.after is not None:
        following = request.url.include_query_params(cursor=encode_offset(page.after))
        answer.headers["link"] = f'<{following.path}?{following.query}>; rel="next"'
    return answer


@router.get(
    "/budgets",
    summary="List the tenants that are near their monthly budget",
    description="By the share of the budget that is held and spent this month, the highest first. A tenant without a "
    "monthly budget is not in the list, and a new one is in it within two minutes.",
    dependencies=[VIEWER],
)
async def list_budgets(
    gateway: Gateway,
    least_share: Annotated[
        float, Query(ge=0, le=1000, description="Only tenants that have used at least this share; 0.8 is 80 %.")
    ] = 0.0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> BudgetList:
    found = await gateway.operations.tenant_budgets.near(limit, least_share=least_share)
    return {"object": "list", "data": [budget_view(use) for use in found]}
