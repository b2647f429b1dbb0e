"""Response types of the API that are not domain views, and helpers that describe bodies and errors."""

from typing import Any, Final, Literal, NotRequired

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from service.domain.described import Timestamp, describe, described
from service.domain.generation_view import GenerationView
from service.domain.models.loader import packaged
from service.domain.models.requests import request_class
from service.domain.models.schema import of_completion, widen
from service.domain.request import CreateGeneration


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
