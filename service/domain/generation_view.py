"""What a tenant sees of a generation: one shape for answers and webhooks. The types are the API's schema too."""

from datetime import datetime
from typing import Any, Literal

from typing_extensions import TypedDict

from service.domain.failure import ErrorCode
from service.domain.generation import Generation, LogLine
from service.domain.pricing import usd
from service.domain.status import Status


class QueueView(TypedDict):
    position: int | None
    estimated_start_seconds: float | None


class CostView(TypedDict):
    currency: Literal["USD"]
    estimated: str
    actual: str | None


class VideoView(TypedDict):
    url: str
    content_type: str | None
    file_name: str | None
    file_size: int | None


class OutputView(TypedDict):
    video: VideoView
    seed: int | None


class ErrorView(TypedDict):
    code: ErrorCode
    message: str
    retryable: bool
    detail: Any


class LogView(TypedDict):
    message: str
    level: str
    timestamp: str


class GenerationView(TypedDict):
    id: str
    object: Literal["generation"]
    status: Status
    model: str
    input: dict[str, Any]
    end_user_id: str | None
    metadata: dict[str, str]
    webhook_url: str | None
    priority: int
    queue: QueueView | None
    cost: CostView
    output: OutputView | None
    error: ErrorView | None
    logs: list[LogView]
    fal_request_id: str | None
    created_at: str
    submitted_at: str | None
    started_at: str | None
    finished_at: str | None
    cancel_requested_at: str | None
    expires_at: str


class EventView(TypedDict):
    """The body of a webhook."""

    type: str
    timestamp: str
    data: GenerationView


def public(generation: Generation, queue: QueueView | None = None) -> GenerationView:
    g = generation
    return {
        "id": g.id,
        "object": "generation",
        "status": g.status,
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
        "output": _output(g),
        "error": _error(g),
        "logs": [log_view(line) for line in g.logs],
        "fal_request_id": g.request_id,
        "created_at": rfc3339(g.created_at),
        "submitted_at": _moment(g.submitted_at),
        "started_at": _moment(g.started_at),
        "finished_at": _moment(g.finished_at),
        "cancel_requested_at": _moment(g.cancel_requested_at),
        "expires_at": rfc3339(g.expires_at),
    }


def event(kind: str, generation: Generation, now: datetime) -> EventView:
    return {"type": kind, "timestamp": rfc3339(now), "data": public(generation)}


def log_view(line: LogLine) -> LogView:
    return {"message": line.message, "level": line.level, "timestamp": line.timestamp}


def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds: ``2026-01-31T09:30:00.000Z``."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _upstream_queue(g: Generation) -> QueueView | None:
    if g.upstream_position is None:
        return None
    return {"position": g.upstream_position, "estimated_start_seconds": None}


def _output(g: Generation) -> OutputView | None:
    if g.output is None:
        return None
    video = g.output.video
    return {
        "video": {
            "url": video.url,
            "content_type": video.content_type,
            "file_name": video.file_name,
            "file_size": video.file_size,
        },
        "seed": g.output.seed,
    }


def _error(g: Generation) -> ErrorView | None:
    if g.error is None:
        return None
    return {
        "code": g.error.code,
        "message": g.error.message,
        "retryable": g.error.retryable,
        "detail": g.error.detail,
    }
