"""Shapes of answers that are no domain view, for the OpenAPI document; requests that are not the tenant's create."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from service.domain.generation_view import GenerationView
from service.domain.request import CreateGeneration


class ProblemField(TypedDict):
    pointer: str
    detail: str
    type: str


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    retryable: bool
    request_id: str
    errors: list[ProblemField] | None = None
    in_flight: Annotated[
        int | None,
        Field(description="With `tenant_busy`: generations that have not ended and webhooks that are pending."),
    ] = None
    webhooks: Annotated[int | None, Field(description="With `tenant_busy`: webhooks that are pending.")] = None


class BudgetProblem(Problem):
    """Money in US dollars. ``scope``: which budget has no room, or ``request``: the caller's own maximum."""

    scope: Literal["tenant_month", "end_user_day", "account_day", "request"]
    limit: str
    available: str
    estimated: str
    resets_at: str | None


class GenerationList(TypedDict):
    object: Literal["list"]
    data: list[GenerationView]
    has_more: bool
    next_cursor: str | None


class UploadView(TypedDict):
    id: str
    object: Literal["upload"]
    url: str
    content_type: str
    size: int
    width: int
    height: int


class CallbackView(TypedDict):
    status: Literal["ok"]


class TodayView(TypedDict):
    held: str
    spent: str
    count: int


class EndUserView(TypedDict):
    id: str
    object: Literal["end_user"]
    pseudonym: str
    refusals: int
    blocked_at: str | None
    today: TodayView


class ErasedView(TypedDict):
    object: Literal["erasure"]
    end_user_id: str
    state: Literal["running", "done"]
    generations: Annotated[int, Field(description="Erased so far.")]
    in_flight: Annotated[int, Field(description="Of these, at fal when they were erased; forgotten when they end.")]
    remaining: Annotated[int, Field(description="Not erased yet.")]
    started_at: str
    finished_at: str | None


class UsageDay(TypedDict):
    date: str
    created: int
    spent: str
    outcomes: dict[str, int]


class UsageEndUser(TypedDict):
    end_user_id: str | None
    pseudonym: str
    spent: str


class UsageView(TypedDict):
    object: Literal["usage"]
    currency: Literal["USD"]
    start: str
    end: str
    spent: str
    days: list[UsageDay]
    end_users: list[UsageEndUser]


class EstimateView(TypedDict):
    object: Literal["estimate"]
    currency: Literal["USD"]
    estimated: str
    fits: bool


class TraceView(TypedDict):
    object: Literal["end_user_trace"]
    tenant_id: str
    pseudonym: str
    end_user_id: str | None
    refusals: int
    blocked_at: str | None


class DifferenceView(TypedDict):
    what: str
    expected: str
    found: str


class AuditProgressView(TypedDict):
    step: Literal["ledger", "windows", "generations"]
    done: int
    total: int


class AuditView(TypedDict):
    object: Literal["audit"]
    state: Literal["running", "done"]
    progress: Annotated[AuditProgressView | None, Field(description="While it is running.")]
    started_at: str
    finished_at: str | None
    clean: Annotated[bool | None, Field(description="`null` while it is running.")]
    windows: int
    entries: int
    slots: int
    difference_count: int
    differences: list[DifferenceView]


#: Where the document keeps what a schema refers to; ``openapi`` moves it there.
SCHEMA_REFERENCE: Final = "#/components/schemas/{model}"


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The ``requestBody`` of a route that validates its own bytes."""
    schema = model.model_json_schema(mode="validation", ref_template=SCHEMA_REFERENCE)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


CREATE_BODY: Final = body_of(CreateGeneration)

TITLES: Final = {
    400: "Malformed body",
    401: "No key, or not a good one",
    402: "No room in a budget; `scope` says which",
    403: "Not allowed",
    404: "Unknown, or not yours",
    405: "The path has other methods: `Allow`",
    406: "`Accept` leaves nothing that this route has",
    408: "The body came too slowly",
    409: "The state does not allow it",
    412: "Changed since it was read",
    413: "Body too large",
    415: "Wrong content type",
    422: "A field is wrong; `errors` says which",
    429: "Too many; again after `Retry-After`",
    500: "Our fault; `request_id` finds it in the logs",
    503: "Try again after `Retry-After`; nothing was changed",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for these problem documents."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": TITLES[status], "content": content} for status in statuses}


def stream_event(*kinds: str) -> dict[str, Any]:
    """One server-sent event, by its fields; without kinds it has data alone."""
    text = {"type": "string"}
    named = {"id": text, "event": {"enum": list(kinds)}} if kinds else {}
    return {
        "type": "object",
        "description": "One event of the stream; `data` is JSON.",
        "required": [*named, "data"],
        "properties": {**named, "data": text},
    }
