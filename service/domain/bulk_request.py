"""Bodies of bulk jobs: what the API, the command line and the console accept."""

from collections.abc import Mapping
from typing import Annotated, Final, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from service.domain.billing import REQUEST_ID
from service.domain.bulk import MOST_IDS, BulkKind, EndedStatus, LiveStatus
from service.domain.described import describe
from service.domain.field_types import METADATA_KEY_LENGTH, METADATA_PAIRS, METADATA_VALUE_LENGTH
from service.domain.reason import Text
from service.domain.request import END_USER_LENGTH
from service.domain.timestamps import Moment
from service.domain.webhook import EventType

_Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]
_EndUser = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=END_USER_LENGTH)]
_Metadata = dict[
    Annotated[str, StringConstraints(strict=True, min_length=1, max_length=METADATA_KEY_LENGTH)],
    Annotated[str, StringConstraints(strict=True, max_length=METADATA_VALUE_LENGTH)],
]
_OF_GENERATIONS: Final = ("end_user_id", "end_user", "model", "metadata", "fal_request_id")
#: Conditions that a kind of job has besides ``tenant_id``, ``ids`` and the times of creation.
CONDITIONS: Final[Mapping[BulkKind, tuple[str, ...]]] = {
    BulkKind.CANCEL: ("status", *_OF_GENERATIONS),
    BulkKind.DISMISS: (*_OF_GENERATIONS, "submitted_before"),
    BulkKind.REPLAY: ("status", "endpoint_id", "event", "generation_id"),
}
_STATUSES: Final[Mapping[BulkKind, tuple[str, ...]]] = {
    BulkKind.CANCEL: get_args(LiveStatus),
    BulkKind.DISMISS: (),
    BulkKind.REPLAY: get_args(EndedStatus),
}


class BulkFilterBody(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    tenant_id: _Name | None = None
    """Only items of this tenant. Required with an end user or metadata. Required without `ids`, unless dead deliveries
    are replayed or unconfirmed submits are dismissed: then default: of all.
    """
    ids: Annotated[list[_Name], Field(strict=True, max_length=MOST_IDS)] = Field(default_factory=list)
    """Only these items, 500 at most. Default: all that match."""
    status: LiveStatus | EndedStatus | None = None
    """`cancel`: only generations with this status; `in_flight` is every one but `queued`. `replay`: `dead` or
    `delivered`. Default: every one that can be canceled or replayed.
    """
    created_after: Moment | None = None
    """Only items created after this time (RFC 3339 with an offset). Default: no bound."""
    created_before: Moment | None = None
    """Only items created before this time (RFC 3339 with an offset). Default: no bound."""
    submitted_before: Moment | None = None
    """`dismiss`: only generations submitted before this time (RFC 3339 with an offset). Default: no bound."""
    end_user_id: _EndUser | None = None
    """Of generations: only those of this end user, as the tenant names it. Default: of all."""
    end_user: _Name | None = None
    """Of generations: the same by pseudonym. Default: of all."""
    model: _Name | None = None
    """Of generations: only those of this model. Default: of all."""
    metadata: Annotated[_Metadata, Field(max_length=METADATA_PAIRS)] | None = None
    """Of generations: only those with these pairs. Default: all."""
    fal_request_id: Annotated[str, Field(strict=True, pattern=f"^{REQUEST_ID}$")] | None = None
    """Of generations: only the one of this job of fal. Default: all."""
    endpoint_id: _Name | None = None
    """`replay`: only deliveries to this webhook endpoint. Default: to all."""
    event: EventType | None = None
    """`replay`: only deliveries of this event. Default: of all."""
    generation_id: _Name | None = None
    """`replay`: only deliveries of this generation. Default: of all."""

    def fault_of(self, kind: BulkKind) -> PydanticCustomError | None:
        """Return what does not go with a kind of job."""
        others = {name for names in CONDITIONS.values() for name in names} - set(CONDITIONS[kind])
        wrong = next((name for name in sorted(others) if getattr(self, name) is not None), None)
        if wrong is not None:
            return _fault("kind", f"filter.{wrong} does not go with {kind.value}")
        if self.status not in (None, *_STATUSES[kind]):
            return _fault("kind", f"filter.status must be one of: {', '.join(_STATUSES[kind])}")
        if self.end_user is not None and self.end_user_id is not None:
            return _fault("one_of", "filter.end_user goes without filter.end_user_id")
        return None


class BulkPreviewBody(BaseModel):
    """The act, and what it is done to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    kind: BulkKind
    """`cancel` cancels generations. `dismiss` declares that fal never accepted these unconfirmed submits: each
    generation fails at no cost. `replay` sends deliveries again.
    """
    filter: BulkFilterBody
    """Conditions that an item must all meet."""

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        fault = self.filter.fault_of(self.kind)
        if fault is not None:
            raise fault
        return self


class NewBulkJob(BulkPreviewBody):
    """A previewed act, and why it is done."""

    reason: Text
    """Why, 1 to 500 characters, for operators. `dismiss`: written into the ledger of each generation."""
    previewed_at: Moment
    """`previewed_at` of the preview. Items that were created later are not touched."""
    expected: Annotated[int, Field(strict=True, ge=0)]
    """`matched` of the preview. If more items match now, nothing starts."""
    more: Annotated[bool, Field(strict=True)] = False
    """`more` of the preview: `true` accepts more items than `expected`. Default `false`."""


BULK_PREVIEW: Final = TypeAdapter(BulkPreviewBody)
NEW_BULK_JOB: Final = TypeAdapter(NewBulkJob)


def _fault(kind: str, text: str) -> PydanticCustomError:
    return PydanticCustomError(kind, text)
