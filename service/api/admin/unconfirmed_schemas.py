"""Bodies and views of unconfirmed submits and of given-up generations."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from service.domain.billing import REQUEST_ID
from service.domain.described import Timestamp, describe, described
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.timestamps import Moment
from service.usecases.operations.unconfirmed import Dismissed, PaidAndLost, Unconfirmed


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
