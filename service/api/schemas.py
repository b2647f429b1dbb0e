"""Response types of the API that are not domain views, and helpers that describe bodies and errors."""

from typing import Any, Final, Literal, NotRequired

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from service.domain.described import Date, Timestamp, describe, described
from service.domain.figures import Figures
from service.domain.generation_view import GenerationView
from service.domain.models.loader import packaged
from service.domain.models.requests import request_class
from service.domain.models.schema import of_completion, widen
from service.domain.pricing import usd
from service.domain.request import CreateGeneration
from service.domain.usage import EndUserKind


@described
class ProblemField(TypedDict):
    pointer: str
    """JSON pointer to the field in the body. `/query/…` and `/header/…` point to a parameter; empty means the whole
    body.
    """
    detail: str
    """What is wrong with the field, for people."""
    type: str
    """Stable code of the fault, such as `missing` or `extra_forbidden`."""


class Problem(BaseModel):
    """RFC 9457 problem document."""

    model_config = ConfigDict(json_schema_extra=describe)

    type: str
    """`urn:seedance-gateway:error:` and the code."""
    title: str
    """Short text of the code, the same for every occurrence."""
    status: int
    """The HTTP status."""
    detail: str
    """What was wrong with this request, for people. It may change; branch on `code`."""
    instance: str
    """Path of the request."""
    code: str
    """Stable code of the error."""
    retryable: bool
    """Whether the same request may succeed later, unchanged. If `Retry-After` is present, wait that long."""
    request_id: str
    """Id of this HTTP request, as in `X-Request-Id`. Quote it to support."""
    errors: list[ProblemField] | None = None
    """With `invalid` and image codes: one entry for each fault."""
    in_flight: int | None = None
    """With `tenant_busy`: generations that have not ended, and pending webhooks."""
    webhooks: int | None = None
    """With `tenant_busy`: pending webhooks."""


class BudgetProblem(Problem):
    """Problem document of a refusal for money."""

    scope: Literal["tenant_month", "end_user_day", "account_day", "request"]
    """Which limit is exceeded: the tenant's monthly budget, the end user's daily budget, the account's daily budget,
    or `request` for your own `max_cost_usd`.
    """
    limit: str
    """The limit in US dollars, as a decimal string."""
    available: str
    """What is left of it in US dollars, as a decimal string."""
    estimated: str
    """The highest possible cost of this request in US dollars, as a decimal string."""
    resets_at: Timestamp | None
    """When the budget starts again, RFC 3339 in UTC with milliseconds. `null` for `request`."""


@described
class GenerationList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[GenerationView]
    """Generations, newest first."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class UploadView(TypedDict):
    id: str
    """Id of the upload, `upl_` and 26 characters. Only for your records: generations refer to `url`."""
    object: Literal["upload"]
    """Always `upload`."""
    url: str
    """Give it in a field of a request, like `image_url`. The file is in fal's storage, and fal decides how long."""
    content_type: str
    """Media type of the stored file, by its content."""
    size: int
    """Size of the stored file in bytes."""
    width: int | None
    """Width in pixels, of an image after rotation by its EXIF orientation; null for audio."""
    height: int | None
    """Height in pixels, of an image after rotation by its EXIF orientation; null for audio."""
    seconds: NotRequired[float]
    """Length of a video or an audio file: the longest that its headers or its frames say."""
    frames_per_second: NotRequired[float]
    """Average rate of a video."""
    codec: NotRequired[str]
    """Codec of a video's picture, or of an audio file."""


@described
class StreamTicketView(TypedDict):
    object: Literal["stream_ticket"]
    """Always `stream_ticket`."""
    url: str
    """URL of the event stream with the ticket: absolute if the operator has set `GATEWAY_PUBLIC_URL`, else a path."""
    ticket: str
    """The ticket: `ticket` in the query of the event stream. Treat it as a secret."""
    expires_at: Timestamp
    """When it opens no further stream, RFC 3339 in UTC with milliseconds."""


@described
class CallbackView(TypedDict):
    status: Literal["ok"]
    """Always `ok`."""


@described
class TodayView(TypedDict):
    held: str
    """Money in US dollars that is held for generations that have not ended, as a decimal string."""
    spent: str
    """Money in US dollars that was spent today (UTC), as a decimal string."""
    count: int
    """Generations accepted today (UTC)."""


@described
class EndUserView(TypedDict):
    id: str
    """Your customer, as you named it."""
    object: Literal["end_user"]
    """Always `end_user`."""
    pseudonym: str
    """The id that fal receives instead, `eu_` and 32 hexadecimal digits."""
    refusals: int
    """Generations that fal's content policy refused. Refusals by a budget or a limit do not count."""
    blocked_at: Timestamp | None
    """When you blocked the end user, RFC 3339 in UTC. `null`: not blocked."""
    block_reason: str | None
    """Why you blocked the end user, as you wrote. `null`: not blocked, no reason was given, or it was erased."""
    today: TodayView
    """Money and count of today (UTC)."""
    spent_this_month: str
    """US dollars spent on generations of this month (UTC), as a decimal string."""
    generations: int
    """Generations that are stored, which `GET /v1/generations?end_user_id=` lists."""
    last_seen_at: Timestamp | None
    """When the last generation was created, RFC 3339 in UTC with milliseconds. `null`: not known."""


@described
class EndUserEntryView(TypedDict):
    id: str | None
    """Your customer, as you named it. `null`: the end user was erased while blocked."""
    object: Literal["end_user"]
    """Always `end_user`."""
    pseudonym: str
    """The id that fal receives instead, `eu_` and 32 hexadecimal digits."""
    refusals: int
    """Generations that fal's content policy refused. Refusals by a budget or a limit do not count."""
    blocked_at: Timestamp | None
    """When the end user was blocked, RFC 3339 in UTC. `null`: not blocked."""
    block_reason: str | None
    """Why, as the caller or operator wrote. `null`: not blocked, no reason was given, or it was erased."""
    today: TodayView
    """Money and count of today (UTC)."""
    spent_this_month: str
    """US dollars spent on generations of this month (UTC), as a decimal string."""
    generations: int
    """Generations that are stored."""
    last_seen_at: Timestamp | None
    """When the last generation was created, RFC 3339 in UTC with milliseconds. `null`: not known."""


@described
class EndUserList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[EndUserEntryView]
    """End users, by id."""
    has_more: bool
    """Whether entries follow this page. A page may be short and not the last one."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class RemainsView(TypedDict):
    what: Literal["fal_files", "fal_history", "money", "in_flight", "block", "logs", "backups", "receivers"]
    """What an erasure does not delete."""
    detail: str
    """Where it is, and who can delete it."""
    until: Timestamp | None
    """When it is deleted at the latest, RFC 3339 in UTC with milliseconds. `null`: no end is known."""


@described
class ErasedView(TypedDict):
    object: Literal["erasure"]
    """Always `erasure`."""
    end_user_id: str
    """The end user, as you named it."""
    state: Literal["running", "done"]
    """`running`: workers continue the erasure. `done`: nothing is left."""
    generations: int
    """Generations erased so far."""
    in_flight: int
    """Of these: generations that were at fal. Their records are purged when they end."""
    remaining: int
    """Generations that are not erased yet."""
    deliveries: int
    """Webhook deliveries erased so far, with their bodies."""
    videos: int
    """Videos deleted from the gateway's video store so far."""
    remains: list[RemainsView]
    """What an erasure does not delete, and for how long it stays."""
    started_at: Timestamp
    """When the erasure began, RFC 3339 in UTC with milliseconds."""
    finished_at: Timestamp | None
    """When it was done. `null` while it runs."""


@described
class FiguresView(TypedDict):
    created: int
    """Generations that were accepted in the period."""
    succeeded: int
    """Those of them that have succeeded."""
    failed: int
    """Those of them that have failed."""
    canceled: int
    """Those of them that were canceled."""
    refused: int
    """Creates that were refused in the period."""
    spent: str
    """US dollars spent on the generations of the period, as a decimal string."""
    held: str
    """US dollars that are held now for those that have not ended, as a decimal string."""


@described
class UsageModel(FiguresView):
    model: str | None
    """The model's id. `null`: what belongs to no model, like refused creates."""


@described
class UsageCode(FiguresView):
    code: str | None
    """An error code of failures and refusals. `null`: generations without an error."""


@described
class UsageDay(TypedDict):
    date: Date
    """The day (UTC), `2026-01-31`."""
    created: int
    """Generations accepted on this day."""
    spent: str
    """US dollars spent on generations that were accepted on this day, as a decimal string."""
    outcomes: dict[str, int]
    """Count by outcome: `succeeded`, `canceled` and `failed:` with the error code. Generations that have not ended
    are not in it.
    """
    refusals: dict[str, int]
    """Creates that were refused on this day, by error code. Those that could not be read are not counted."""


@described
class UsageEndUser(TypedDict):
    end_user_id: str | None
    """Your customer, as you named it. `null`: generations without an end user, or the end user was erased."""
    pseudonym: str
    """The id that fal receives instead."""
    spent: str
    """US dollars spent in the period, as a decimal string."""
    end_user: NotRequired[EndUserKind]
    """`named`; `none`: generations without an end user; `erased`: the name is deleted; `unnamed`: it has refused
    creates only, which store no name. With `by=end_user`.
    """
    created: NotRequired[int]
    """Generations that were accepted in the period. With `by=end_user`, as the following."""
    succeeded: NotRequired[int]
    """Those of them that have succeeded."""
    failed: NotRequired[int]
    """Those of them that have failed."""
    canceled: NotRequired[int]
    """Those of them that were canceled."""
    refused: NotRequired[int]
    """Creates that were refused in the period. Of the end users of a day, at most 256 pairs of end user and error code
    are counted.
    """
    held: NotRequired[str]
    """US dollars that are held now for generations that have not ended, as a decimal string."""
    refusals: NotRequired[dict[str, int]]
    """Refused creates by error code."""


@described
class UsageDraftsView(TypedDict):
    direct: str
    """US dollars that the videos of all drafts would have cost at `1080p` at once: the bill of each draft that
    succeeded, times the price at `1080p` by the price at its own resolution.
    """
    spent: str
    """US dollars spent on drafts and completions, failed ones included. It is a part of `spent` of the period."""
    saved: str
    """`direct` minus `spent`. It is negative if nearly all drafts were completed."""


@described
class UsageView(TypedDict):
    object: Literal["usage"]
    """Always `usage`."""
    currency: Literal["USD"]
    """Always `USD`."""
    start: Date
    """First day of the period (UTC)."""
    end: Date
    """Last day of the period (UTC), included."""
    spent: str
    """US dollars spent in the period, as a decimal string."""
    drafts: UsageDraftsView
    """What drafts and their completions cost, compared with direct creates at `1080p`."""
    days: list[UsageDay]
    """One entry for each day of the period, oldest first."""
    end_users: list[UsageEndUser]
    """The 1,000 end users with the highest spending in the period, highest first. Exact for one day, for one calendar
    month (also until today), and for every period whose days and whole months have up to 5,000 entries together: an
    entry is one end user in one of these lists. See `end_users_incomplete` for the others.
    """
    models: NotRequired[list[UsageModel]]
    """One entry for each model, the highest spending first. With `by=model`."""
    codes: NotRequired[list[UsageCode]]
    """One entry for each error code, of failures and refusals. With `by=code`."""
    end_users_incomplete: NotRequired[bool]
    """`true`: the period has more entries, and only the highest ones of each of its days and whole months were added
    up. End users can be missing, and sums can be too low. The sums of `days` and of `spent` are exact. For an exact
    list create a usage report. Absent if the list is exact.
    """


@described
class UsageEndUserList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[UsageEndUser]
    """End users, the highest spending first."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class UsageReportView(TypedDict):
    id: str
    """Id of the report, `usr_` and 26 characters."""
    object: Literal["usage_report"]
    """Always `usage_report`."""
    state: Literal["running", "done"]
    """`running`: workers compute the report. `done`: its list of end users can be read."""
    start: Date
    """First day of the period (UTC)."""
    end: Date
    """Last day of the period (UTC), included."""
    days: int
    """Days of the period."""
    days_done: int
    """Days that are in the list so far."""
    end_users: int
    """End users in the list so far."""
    created_at: Timestamp
    """When the report was created, RFC 3339 in UTC with milliseconds."""
    finished_at: Timestamp | None
    """When it was done. `null` while it runs."""


@described
class EstimatePartsView(TypedDict):
    seconds: int
    """Seconds of the output that are priced. `auto` counts as the longest duration of the model."""
    input_seconds: float | None
    """Seconds of the input videos, which are priced as well. Without a measurement of each, the most seconds that the
    model allows count. `null`: there is no input video.
    """
    unit_usd: str
    """US dollars per billed unit, as a decimal string, before the factor. `GET /v1/models/{model_id}` has the tokens of
    a unit.
    """
    factor: str
    """Factor of both prices, as a decimal string: below 1 with an input video, or without audio, for models that cost
    less then.
    """
    formula: str
    """US dollars by fal's formula, from pixels, frames and the rate, as a decimal string."""
    published: str | None
    """US dollars by the price per second that fal publishes, as a decimal string. `null`: fal publishes none."""
    decided_by: Literal["formula", "published"]
    """Which of the two is `estimated`: the higher one."""


@described
class DraftEstimateView(TypedDict):
    completion: str | None
    """The highest possible cost of its completion at `1080p`. `null`: you may not complete drafts."""
    total: str | None
    """The highest possible cost of the draft and one completion. A create holds the draft only."""
    total_fits: bool | None
    """Whether every budget has room for both now."""
    direct: str | None
    """The highest possible cost of the same video at `1080p` at once. `null`: the model has no price for it."""


@described
class EstimateView(TypedDict):
    object: Literal["estimate"]
    """Always `estimate`."""
    model: str
    """Id of the model."""
    currency: Literal["USD"]
    """Always `USD`."""
    estimated: str
    """The highest possible cost in US dollars, as a decimal string. A create holds this amount."""
    fits: bool
    """Whether every budget has room for it now. A create may still be refused if other generations are accepted
    first.
    """
    parts: EstimatePartsView
    """The prices of which `estimated` is the higher one."""
    draft: DraftEstimateView | None
    """What its completion costs. `null`: the request is not one for a draft."""


@described
class TraceView(TypedDict):
    object: Literal["end_user_trace"]
    """Always `end_user_trace`."""
    tenant_id: str
    """Id of the tenant."""
    pseudonym: str
    """The id that fal knows."""
    end_user_id: str | None
    """The tenant's customer, as the tenant named it. `null`: erased."""
    refusals: int
    """Generations that fal's content policy refused."""
    blocked_at: Timestamp | None
    """When the tenant blocked the end user, RFC 3339 in UTC. `null`: not blocked."""
    block_reason: str | None
    """Why, as the tenant wrote. `null`: not blocked, no reason was given, or it was erased."""


@described
class DifferenceView(TypedDict):
    what: str
    """The record that does not agree."""
    expected: str
    """Its value by the ledger."""
    found: str
    """Its value as stored."""


@described
class AuditProgressView(TypedDict):
    step: Literal["ledger", "windows", "generations"]
    """The step under way: `ledger`, then `windows`, then `generations`."""
    done: int
    """Entries compared in this step."""
    total: int
    """Entries of this step."""


@described
class AuditView(TypedDict):
    object: Literal["audit"]
    """Always `audit`."""
    state: Literal["running", "done"]
    """`running` or `done`."""
    progress: AuditProgressView | None
    """How far it is. `null` unless it is running."""
    started_at: Timestamp
    """When the audit began, RFC 3339 in UTC with milliseconds."""
    finished_at: Timestamp | None
    """When it was done. `null` while it runs."""
    clean: bool | None
    """Whether no difference was found. `null` while it runs."""
    windows: int
    """Budget windows compared."""
    entries: int
    """Ledger entries read."""
    slots: int
    """Slots compared."""
    difference_count: int
    """Differences found, listed or not."""
    differences: list[DifferenceView]
    """The first 20 differences."""


#: Where the document keeps what a schema refers to; ``openapi`` moves it there.
SCHEMA_REFERENCE: Final = "#/components/schemas/{model}"


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The ``requestBody`` of a route that validates its own bytes."""
    schema = model.model_json_schema(mode="validation", ref_template=SCHEMA_REFERENCE)
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def _create_body() -> dict[str, Any]:
    body = body_of(CreateGeneration)
    widen(body["requestBody"]["content"]["application/json"]["schema"])
    return body


CREATE_BODY: Final = _create_body()


def _complete_body() -> dict[str, Any]:
    """Return the body of a completion: as the models of the package have it, without what the path says."""
    model = next(model for model in packaged().values() if model.completes_drafts)
    schema = of_completion(request_class(model), mode="validation", ref_template=SCHEMA_REFERENCE)
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}


COMPLETE_BODY: Final = _complete_body()

TITLES: Final = {
    400: "The request is malformed, for example invalid JSON.",
    401: "The API key or the token is missing, malformed, expired or revoked.",
    402: "A budget does not cover the estimate; `scope` names the budget. Nothing was created.",
    403: "The API key lacks the scope, the tenant is suspended, or the end user is blocked.",
    404: "It does not exist, or belongs to another tenant.",
    405: "The path does not have this method; `Allow` lists its methods.",
    408: "The body arrived too slowly.",
    409: "The state does not allow it. With `video_not_ready`, send the request again after `Retry-After`.",
    412: "The object has changed since it was read, or is being changed. Read it again.",
    413: "The body is too large.",
    415: "The content type is not supported, or the body has a `Content-Encoding`.",
    416: "`Range` lies outside the video; `Content-Range` has the size of the video.",
    422: "A field, parameter or header is wrong; `errors` has one entry for each fault.",
    429: "A limit is reached; send the request again after `Retry-After`.",
    500: "An error of the gateway. Quote `request_id` to support.",
    501: "The server does not know the method.",
    503: "Temporarily unavailable, nothing was changed; send the request again after `Retry-After`.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for these problem documents."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": TITLES[status], "content": content} for status in statuses}


def event_stream(description: str, example: str) -> dict[str, Any]:
    """Return an OpenAPI response of server-sent events. Generators know a stream as text only."""
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    return {"description": description, "content": content}


def figures_view(figures: Figures) -> FiguresView:
    return {
        "created": figures.created,
        "succeeded": figures.succeeded,
        "failed": figures.failed,
        "canceled": figures.canceled,
        "refused": figures.refused,
        "spent": usd(figures.spent),
        "held": usd(figures.held),
    }
