"""``/admin/v1``: list, resolve and dismiss unconfirmed submits; revive given-up generations."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.admin.generation_views import OperatorsGenerationView, operators_view
from service.api.admin.unconfirmed_schemas import (
    MOST_LISTED,
    Dismissal,
    DismissedView,
    PaidAndLostList,
    ResolutionBody,
    Revival,
    UnconfirmedList,
    dismissed_view,
    paid_and_lost_view,
    unconfirmed_view,
)
from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import ON_CALL, VIEWER, Gateway, json_of
from service.api.schemas import problems

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)


@router.post(
    "/generations/{generation_id}/resolve",
    summary="Resolve an unconfirmed submit",
    dependencies=[ON_CALL],
    description="Adopts the fal request id, or declares that fal never accepted the job.",
    responses=problems(409),
)
async def resolve_unconfirmed(
    gateway: Gateway, body: Annotated[ResolutionBody, json_of(ResolutionBody)], generation_id: str
) -> OperatorsGenerationView:
    resolved = await gateway.operations.unconfirmed.resolve(
        generation_id, body.reason, request_id=body.fal_request_id, unchecked=body.unchecked
    )
    return operators_view(resolved)


@router.get(
    "/unconfirmed",
    summary="List unconfirmed generations, oldest first",
    dependencies=[VIEWER],
    description="Generations that fal may have accepted, while their fal request id is unknown. End this with "
    "`resolve` or `dismiss`.",
)
async def list_unconfirmed(
    gateway: Gateway, limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100
) -> UnconfirmedList:
    found, count = await gateway.operations.unconfirmed.unconfirmed(limit=limit)
    return {"object": "list", "data": [unconfirmed_view(one) for one in found], "count": count}


@router.post(
    "/unconfirmed/dismiss",
    summary="Dismiss unconfirmed submits",
    dependencies=[ON_CALL],
    deprecated=True,
    description="Use a bulk job of kind `dismiss` (`POST /admin/v1/bulk`), which has a preview and progress. "
    "Declares that fal never accepted those submitted before a time. Each fails at no cost. One call "
    "dismisses 200 at most; repeat it until `left` is 0.",
)
async def dismiss_unconfirmed(gateway: Gateway, body: Annotated[Dismissal, json_of(Dismissal)]) -> DismissedView:
    return dismissed_view(await gateway.operations.unconfirmed.dismiss_all(body.before, body.reason))


@router.get(
    "/paid-and-lost",
    summary="List paid and lost generations, oldest first",
    dependencies=[VIEWER],
    description="Generations that were given up although fal reported or may have billed a video.",
)
async def list_paid_and_lost(
    gateway: Gateway, limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100
) -> PaidAndLostList:
    found, count = await gateway.operations.unconfirmed.paid_and_lost(limit=limit)
    return {"object": "list", "data": [paid_and_lost_view(one) for one in found], "count": count}


@router.post(
    "/generations/{generation_id}/revive",
    summary="Revive a given-up generation",
    dependencies=[ON_CALL],
    description="For a generation that failed with `upstream_timeout` or `submission_unconfirmed` although fal has "
    "the job. Its cost is taken back and held again, and it is polled until fal reports its end.",
    responses=problems(409),
)
async def revive_generation(
    gateway: Gateway, body: Annotated[Revival, json_of(Revival)], generation_id: str
) -> OperatorsGenerationView:
    revived = await gateway.operations.unconfirmed.revive(generation_id, body.reason, request_id=body.fal_request_id)
    return operators_view(revived)
