"""The generation object of the API, in responses and webhooks. The types are the schema of the OpenAPI document."""

from datetime import datetime
from typing import Any, Literal

from typing_extensions import TypedDict

from service.domain.described import Timestamp, described
from service.domain.dispatch_gate import HoldReason
from service.domain.drafts import completable_until
from service.domain.failure import ErrorCode, Failure
from service.domain.generation import Generation, LogLine, Output
from service.domain.pricing import usd
from service.domain.status import PublicStatus


@described
class QueueView(TypedDict):
    position: int | None
    """Queued generations of the same tenant that are dispatched before this one; 0 is the next. After the submit it
    is fal's own queue position. `null`: not known at the moment.
    """
    estimated_start_seconds: float | None
    """Estimated seconds until the submit to fal, from the recent pace of the account. `null`: the generation is held,
    or no generation has ended recently, or fal has the job already.
    """
    hold_reason: HoldReason | None
    """Why no generation of your tenant is submitted at the moment. `paused`: an operator paused dispatch.
    `account_locked`: fal refuses the account of the gateway. `upstream_failing`: submits fail, and are tried again.
    `tenant_paused`: an operator paused your tenant, see `GET /v1/me`. `tenant_failing`: submits of your generations
    fail, and are tried again. A change is visible within seconds. `null`: not held, it waits for its turn.
    """


@described
class CostView(TypedDict):
    currency: Literal["USD"]
    """Always `USD`."""
    estimated: str
    """The highest possible cost in US dollars, as a decimal string. It is held in the budgets until the generation
    ends.
    """
    actual: str | None
    """The cost in US dollars that fal billed, as a decimal string. `null` until the generation has ended; `0.000000`
    if fal billed nothing. An operator can correct it later.
    """


@described
class VideoView(TypedDict):
    url: str
    """Where the MP4 file is. If it is a URL of this gateway, send your API key; `GET
    /v1/generations/{generation_id}/video` works in both cases.
    """
    content_type: str | None
    """Media type of the file, usually `video/mp4`. `null`: fal did not say."""
    file_name: str | None
    """File name that fal proposed. `null`: fal did not say."""
    file_size: int | None
    """Size in bytes. `null`: fal did not say."""


@described
class OutputView(TypedDict):
    video: VideoView
    """The generated video."""
    seed: int | None
    """The seed that fal used. The same seed and input give a similar video, not an identical one. `null`: fal did not
    say.
    """


@described
class ErrorView(TypedDict):
    code: ErrorCode
    """Stable code. `content_policy`: fal's content policy refused the input or the video. `invalid_input`: fal or the
    preflight check refused a field or an image. `image_unreachable`: an image could not be fetched from
    its URL, or fal could not load the fetched file.
    `upstream_rejected`: fal refused the request for another reason. `upstream_timeout`: fal did not finish before
    the deadline. `upstream_unavailable`: fal kept failing. `submission_unconfirmed`: fal never confirmed that it
    accepted the job. `expired`: it stayed queued longer than `expires_in`. `internal`: an error of the gateway.
    """
    message: str
    """One sentence for people. It may change; branch on `code`."""
    retryable: bool
    """Whether the same request may succeed if you send it again as a new generation."""
    detail: Any
    """fal's own error detail, unchanged. `null` if the gateway decided, or fal sent none."""


@described
class LogView(TypedDict):
    message: str
    """Text of the line."""
    level: str
    """Level as fal sent it, such as `INFO`."""
    timestamp: Timestamp
    """Time as fal sent it, RFC 3339."""


@described
class DraftView(TypedDict):
    completable_until: Timestamp | None
    """Until when `POST /v1/generations/{generation_id}/complete` renders it again at 1080p: 7 days after the draft's
    end, or until the draft is deleted, if that is earlier. `null`: it has not succeeded, or cannot be completed.
    """


@described
class GenerationView(TypedDict):
    id: str
    """Id of the generation, `gen_` and 26 characters. Ids sort by creation time."""
    object: Literal["generation"]
    """Always `generation`."""
    status: PublicStatus
    """`queued`: waits for its submit. `submitting`: the submit is under way. `unconfirmed`: fal may have accepted it
    and no fal request id is known; it is resolved by fal's callback, its bill, an operator or the deadline.
    `submitted`: fal accepted it. `in_progress`: fal renders, or the gateway stores the video. `succeeded`,
    `failed`, `canceled`: it has ended and does not change again.
    """
    model: str
    """fal's id of the model."""
    input: dict[str, Any]
    """The input that fal receives, with defaults filled in and without `end_user_id`. Of a completion: also the
    duration of its draft, the longest possible one if fal chose it.
    """
    end_user_id: str | None
    """Your customer, as you named it. `null`: none was given, or the end user was erased."""
    metadata: dict[str, str]
    """Your pairs, unchanged."""
    webhook_url: str | None
    """URL that receives the event of the end: from the request, else from the tenant's limits. `null`: none; webhook
    endpoints receive events in any case.
    """
    priority: int
    """0 to 9, default 0. Within your tenant, higher is dispatched first."""
    queue: QueueView | None
    """Position and estimated start while the generation waits. `null` in other states, or if not known."""
    cost: CostView
    """Estimated and actual cost."""
    draft: DraftView | None
    """Whether the video is a draft that can be completed. `null`: it was not created with `draft: true`."""
    completes: str | None
    """Id of the draft that this generation completes. `null`: it completes none."""
    output: OutputView | None
    """The video. `null` until the status is `succeeded`."""
    error: ErrorView | None
    """Why there is no video. `null` unless the status is `failed`."""
    logs: list[LogView]
    """The newest lines of fal's log, 100 at most."""
    fal_request_id: str | None
    """fal's id of the job. Quote it to fal's support. `null` until fal has accepted the job."""
    created_at: Timestamp
    """When the gateway accepted it, RFC 3339 in UTC with milliseconds."""
    submitted_at: Timestamp | None
    """When the submit to fal began. `null` while queued."""
    started_at: Timestamp | None
    """When fal was first seen rendering. `null` before."""
    finished_at: Timestamp | None
    """When it ended. `null` before."""
    cancel_requested_at: Timestamp | None
    """When a cancel was requested while fal had the job. `null`: never."""
    expires_at: Timestamp
    """If it is still queued at this time, it fails with `expired`."""


@described
class EventView(TypedDict):
    """The body of a webhook."""

    type: str
    """Type of the event, such as `generation.succeeded`."""
    timestamp: Timestamp
    """When the event happened, RFC 3339 in UTC with milliseconds."""
    data: GenerationView
    """The generation at that time."""


def public(generation: Generation, queue: QueueView | None = None) -> GenerationView:
    g = generation
    return {
        "id": g.id,
        "object": "generation",
        "status": g.public_status,
        "model": g.model,
        "input": g.input,
        "end_user_id": g.end_user_id,
        "metadata": g.metadata,
        "webhook_url": g.webhook_url,
        "priority": g.priority,
        "queue": queue if queue is not None else _upstream_queue(g),
        "cost": {
            "currency": "USD",
            "estimated": usd(g.estimated_cost),
            "actual": None if g.actual_cost is None else usd(g.actual_cost),
        },
        "draft": _draft(g) if g.is_draft else None,
        "completes": g.completes,
        "output": None if g.output is None else _output(g.output),
        "error": None if g.error is None else _error(g.error),
        "logs": [log_view(line) for line in g.logs],
        "fal_request_id": g.request_id,
        "created_at": rfc3339(g.created_at),
        "submitted_at": None if g.submitted_at is None else rfc3339(g.submitted_at),
        "started_at": None if g.started_at is None else rfc3339(g.started_at),
        "finished_at": None if g.finished_at is None else rfc3339(g.finished_at),
        "cancel_requested_at": None if g.cancel_requested_at is None else rfc3339(g.cancel_requested_at),
        "expires_at": rfc3339(g.expires_at),
    }


def event(kind: str, generation: Generation, now: datetime) -> EventView:
    return {"type": kind, "timestamp": rfc3339(now), "data": public(generation)}


def log_view(line: LogLine) -> LogView:
    return {"message": line.message, "level": line.level, "timestamp": line.timestamp}


def rfc3339(moment: datetime) -> str:
    """Return UTC with milliseconds: ``2026-01-31T09:30:00.000Z``."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def _upstream_queue(g: Generation) -> QueueView | None:
    if g.upstream_position is None or g.is_terminal:
        return None
    return {"position": g.upstream_position, "estimated_start_seconds": None, "hold_reason": None}


def _draft(g: Generation) -> DraftView:
    until = completable_until(g)
    return {"completable_until": None if until is None else rfc3339(until)}


def _output(output: Output) -> OutputView:
    video = output.video
    return {
        "video": {
            "url": video.url,
            "content_type": video.content_type,
            "file_name": video.file_name,
            "file_size": video.file_size,
        },
        "seed": output.seed,
    }


def _error(error: Failure) -> ErrorView:
    return {"code": error.code, "message": error.message, "retryable": error.retryable, "detail": error.detail}
