"""``/admin/v1``: list, resolve and dismiss unconfirmed submits; revive given-up generations."""

from typing import Annotated, Final, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from service.api.admin.generation_views import OperatorsGenerationView, operators_view
from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import ON_CALL, VIEWER, Gateway, json_of
from service.api.schemas import problems
from service.domain.billing import REQUEST_ID
from service.domain.described import Timestamp, describe, described
from service.domain.generation import Generation
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.timestamps import Moment
from service.runtime import Runtime
from service.usecases.operations.unconfirmed import Dismissed, PaidAndLost, Unconfirmed

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)


class ResolutionBody(BaseModel):
    """Either `fal_request_id` or `never_happened`, and a reason."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    fal_request_id: Annotated[
        str | None,
        Field(
            pattern=f"^{REQUEST_ID}$", description="fal's id of the job of this generation. The gateway polls it again."
        ),
    ] = None
    never_happened: Annotated[
        Literal[True] | None,
        Field(
            description="`true`: fal never accepted the job. The generation fails at no cost, and the hold is released."
        ),
    ] = None
    unchecked: Annotated[
        bool, Field(description="Adopt the fal request id although fal does not confirm it now. Default `false`.")
    ] = False
    reason: Annotated[
        str,
        StringConstraints(min_length=1, max_length=500, strip_whitespace=True),
        Field(description="Why, 1 to 500 characters; written into the ledger."),
    ]

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.fal_request_id is None) == (self.never_happened is None):
            raise PydanticCustomError("one_of", "must have either fal_request_id or never_happened")
        if self.unchecked and self.fal_request_id is None:
            raise PydanticCustomError("one_of", "unchecked goes with fal_request_id")
        return self


@described
class UnconfirmedView(TypedDict):
    id: str
    """Id of the generation."""
    object: Literal["unconfirmed"]
    """Always `unconfirmed`."""
    tenant_id: str
    """The tenant."""
    since: Timestamp
    """When the submit began, RFC 3339 in UTC with milliseconds."""
    deadline: Timestamp
    """When it fails by itself, RFC 3339 in UTC with milliseconds."""
    estimated_cost: str
    """Money in US dollars that stays held, as a decimal string."""
    cancel_requested_at: Timestamp | None
    """When its tenant requested a cancel. `null`: never."""


@described
class UnconfirmedList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[UnconfirmedView]
    """Unconfirmed generations, oldest first."""
    count: int
    """Unconfirmed generations in all."""


class Dismissal(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    before: Annotated[
        Moment,
        Field(description="Generations submitted before this time (RFC 3339 with an offset)."),
    ]
    reason: Annotated[
        str,
        StringConstraints(min_length=1, max_length=500, strip_whitespace=True),
        Field(description="Why, 1 to 500 characters; written into the ledger of each generation."),
    ]


@described
class DismissedView(TypedDict):
    object: Literal["dismissed"]
    """Always `dismissed`."""
    dismissed: int
    """Generations that this call failed at no cost."""
    left: int
    """Unconfirmed generations of that time that are left. Call again until it is 0."""


class Revival(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    reason: Annotated[
        str,
        StringConstraints(min_length=1, max_length=500, strip_whitespace=True),
        Field(description="Why, 1 to 500 characters; written into the ledger."),
    ]
    fal_request_id: Annotated[
        str | None,
        Field(
            pattern=f"^{REQUEST_ID}$",
            description="fal's id of the job. Required if neither the record nor a callback has it.",
        ),
    ] = None


@described
class PaidAndLostView(TypedDict):
    id: str
    """Id of the generation."""
    object: Literal["paid_and_lost"]
    """Always `paid_and_lost`."""
    tenant_id: str
    """The tenant."""
    since: Timestamp
    """When fal reported or may have billed the video, RFC 3339 in UTC with milliseconds."""
    code: str | None
    """Error code with which the gateway gave the generation up. `null`: its record has none."""
    actual_cost: str
    """Cost in US dollars that is recorded for it, as a decimal string."""


@described
class PaidAndLostList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[PaidAndLostView]
    """Such generations, oldest first."""
    count: int
    """Such generations in all."""


RESOLUTION: Final = TypeAdapter(ResolutionBody)
DISMISSAL: Final = TypeAdapter(Dismissal)
REVIVAL: Final = TypeAdapter(Revival)
MOST_LISTED: Final = 1000


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
    return operators_view(await resolved(gateway, generation_id, body))


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


async def resolved(gateway: Runtime, generation_id: str, wanted: ResolutionBody) -> Generation:
    if wanted.fal_request_id is None:
        return await gateway.operations.unconfirmed.dismiss(generation_id, wanted.reason)
    return await gateway.operations.unconfirmed.adopt(
        generation_id, wanted.fal_request_id, wanted.reason, unchecked=wanted.unchecked
    )


def dismissed_view(one: Dismissed) -> DismissedView:
    return {"object": "dismissed", "dismissed": one.dismissed, "left": one.left}


def paid_and_lost_view(one: PaidAndLost) -> PaidAndLostView:
    g = one.generation
    return {
        "id": g.id,
        "object": "paid_and_lost",
        "tenant_id": g.tenant_id,
        "since": rfc3339(one.since),
        "code": None if g.error is None else g.error.code,
        "actual_cost": usd(g.actual_cost or 0),
    }


def unconfirmed_view(one: Unconfirmed) -> UnconfirmedView:
    g = one.generation
    return {
        "id": g.id,
        "object": "unconfirmed",
        "tenant_id": g.tenant_id,
        "since": rfc3339(one.since),
        "deadline": rfc3339(one.deadline),
        "estimated_cost": usd(g.estimated_cost),
        "cancel_requested_at": None if g.cancel_requested_at is None else rfc3339(g.cancel_requested_at),
    }
