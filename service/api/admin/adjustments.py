"""``/admin/v1/adjustments``: correct a settled cost."""

from typing import Annotated, Literal

from fastapi import APIRouter
from typing_extensions import TypedDict

from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import ADMIN, Gateway, json_of
from service.api.schemas import problems
from service.domain import ids
from service.domain.adjustment import Adjustment, Correction
from service.domain.budgets import day
from service.domain.described import Date, described
from service.domain.pricing import usd
from service.errors import NotFound
from service.runtime import Runtime

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)


@described
class AdjustmentView(TypedDict):
    object: Literal["adjustment"]
    """Always `adjustment`."""
    generation_id: str | None
    """The generation. `null`: the adjustment names an end user and a day."""
    tenant_id: str
    """The tenant."""
    end_user: str
    """Pseudonym of the end user."""
    day: Date
    """The day (UTC) whose budgets changed."""
    currency: Literal["USD"]
    """Always `USD`."""
    amount: str
    """What was added, in US dollars, as a decimal string. Negative: taken off."""
    cost: str
    """The cost after the adjustment in US dollars: of the generation, or of the end user and day."""


@router.post(
    "/adjustments",
    summary="Adjust a cost",
    dependencies=[ADMIN],
    description="Adds a signed amount to the cost of a generation, its three budget windows and the usage report, and"
    " writes it into the ledger. If the record of the generation is purged, give tenant, end user and day.",
    responses=problems(404, 409),
)
async def adjust_cost(gateway: Gateway, body: Annotated[Adjustment, json_of(Adjustment)]) -> AdjustmentView:
    return await adjusted(gateway, body)


async def adjusted(gateway: Runtime, wanted: Adjustment) -> AdjustmentView:
    correction, expected = wanted.correction, wanted.expected_usd
    if wanted.generation_id is not None:
        if not ids.is_id(ids.GENERATION, wanted.generation_id):
            raise NotFound("There is no such generation.")
        g = await gateway.operations.adjustments.of_generation(wanted.generation_id, correction, expected=expected)
        return _view(correction, g.id, g.tenant_id, g.end_user, day(g.created_at), g.actual_cost or 0)
    tenant_id, end_user, date = wanted.tenant_id or "", wanted.end_user or "", wanted.day or ""
    if not ids.is_id(ids.TENANT, tenant_id):
        raise NotFound("There is no such tenant.")
    spent = await gateway.operations.adjustments.of_day(tenant_id, end_user, date, correction, expected=expected)
    return _view(correction, None, tenant_id, end_user, date, spent)


def _view(
    correction: Correction, generation_id: str | None, tenant_id: str, end_user: str, date: str, cost: int
) -> AdjustmentView:
    return {
        "object": "adjustment",
        "generation_id": generation_id,
        "tenant_id": tenant_id,
        "end_user": end_user,
        "day": date,
        "currency": "USD",
        "amount": usd(correction.amount),
        "cost": usd(cost),
    }
