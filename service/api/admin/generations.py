"""``/admin/v1/generations``: search over all tenants, details of one generation, cancel."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.admin.generation_views import (
    GenerationDetailsView,
    GenerationRows,
    OperatorsGenerationView,
    details_view,
    operators_view,
    row,
)
from service.api.http.audited import AuditedRoute, reads_personal_data
from service.api.http.cursor_queries import Cursor
from service.api.http.cursors import decode_cursor, page_of
from service.api.http.dependencies import ON_CALL, VIEWER, Gateway, json_of
from service.api.http.generation_queries import METADATA, Code, FalRequestId, metadata_of
from service.api.schemas import problems
from service.domain import ids
from service.domain.reason import ActReason
from service.domain.status import PublicStatus, Status
from service.domain.timestamps import Moment, in_range

router = APIRouter(prefix="/admin/v1/generations", tags=["admin"], route_class=AuditedRoute)

MOST_LISTED = 100


@router.get(
    "",
    summary="Search generations of all tenants, newest first",
    dependencies=[VIEWER],
    description="Without what end users wrote: `GET /admin/v1/generations/{generation_id}` has the prompt. The filters "
    "can be combined. A page reads 500 entries at most, so it may be short and not be the last one.",
    responses=problems(422),
    openapi_extra={"parameters": [METADATA]},
)
async def list_all_generations(
    request: Request,
    gateway: Gateway,
    tenant_id: Annotated[
        str | None, Query(max_length=64, description="Only generations of this tenant. Default: all.")
    ] = None,
    status: PublicStatus | None = None,
    error_code: Code = None,
    model: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Only generations of this model. Default: all.")
    ] = None,
    end_user_id: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=256,
            description="Only generations of this end user, as the tenant names it; needs `tenant_id`. Default: all.",
        ),
    ] = None,
    end_user: Annotated[
        str | None,
        Query(
            max_length=64,
            description="Only generations of the end user with this pseudonym; needs `tenant_id`. Default: all.",
        ),
    ] = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
    fal_request_id: FalRequestId = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    cursor: Cursor = None,
) -> GenerationRows:
    search = gateway.operations.generations
    wanted = await search.filter(
        tenant_id=tenant_id,
        end_user_id=end_user_id,
        end_user=end_user,
        metadata=metadata_of(request),
        status=status,
        error_code=error_code,
        model=model,
        created_after=in_range(created_after, "/query/created_after"),
        created_before=in_range(created_before, "/query/created_before"),
        fal_request_id=fal_request_id,
    )
    page = await search.page(wanted, limit=limit, after=decode_cursor(cursor, ids.GENERATION))
    return page_of([row(found) for found in page.items], page.after)


@router.get(
    "/{generation_id}",
    summary="Read any tenant's generation",
    dependencies=[ON_CALL],
    description="The generation as its tenant sees it, with fields for operators: tenant, version, cost and fal's ids; "
    "and what happened to it: its timeline, its lines of the ledger and its webhook deliveries.",
)
@reads_personal_data
async def read_any_generation(gateway: Gateway, generation_id: str) -> GenerationDetailsView:
    return details_view(await gateway.operations.generations.show(generation_id))


@router.post(
    "/{generation_id}/cancel",
    summary="Cancel any tenant's generation",
    dependencies=[ON_CALL],
    description="As its tenant's own cancel, also while the tenant is suspended. A queued generation is canceled at "
    "once and costs nothing; after the submit, fal decides. The tenant receives its usual webhook.",
    responses={
        200: {"description": "Canceled."},
        202: {
            "model": OperatorsGenerationView,
            "description": "fal has the job: a cancel was requested from fal. It may still succeed, and be billed.",
        },
        **problems(409),
    },
)
async def cancel_any_generation(
    gateway: Gateway, body: Annotated[ActReason, json_of(ActReason)], generation_id: str, response: Response
) -> OperatorsGenerationView:
    g = await gateway.operations.generations.cancel(generation_id, reason=body.reason)
    response.status_code = 200 if g.status is Status.CANCELED else 202
    return operators_view(g)
