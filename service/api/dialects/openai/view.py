"""A generation as OpenAI's video object. The types are the schemas of the OpenAPI document."""

from datetime import datetime, timedelta
from typing import Final, Literal

from typing_extensions import TypedDict

from service.api.dialects import sizes
from service.domain.described import described
from service.domain.generation import Generation
from service.domain.pricing import usd
from service.domain.status import PublicStatus, Status

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]
CANCELED: Final = "canceled"

_STATUSES: Final[dict[PublicStatus, VideoStatus]] = {
    PublicStatus.QUEUED: "queued",
    PublicStatus.SUBMITTING: "in_progress",
    PublicStatus.UNCONFIRMED: "in_progress",
    PublicStatus.SUBMITTED: "in_progress",
    PublicStatus.IN_PROGRESS: "in_progress",
    PublicStatus.SUCCEEDED: "completed",
    PublicStatus.FAILED: "failed",
    PublicStatus.CANCELED: "failed",
}


@described
class OpenAIFailure(TypedDict):
    code: str
    """Stable code, as in `GET /v1/generations/{generation_id}`; `canceled`: it was canceled."""
    message: str
    """Why there is no video, for people."""


@described
class OpenAICost(TypedDict):
    currency: Literal["USD"]
    """Always `USD`."""
    estimated: str
    """The highest possible cost in US dollars, as a decimal string. It is held in the budgets until the end."""
    actual: str | None
    """The cost in US dollars that fal billed, as a decimal string. `null` until the video job has ended."""


@described
class OpenAIVideo(TypedDict):
    id: str
    """Id of the generation."""
    object: Literal["video"]
    """Always `video`."""
    model: str
    """Id of the model."""
    status: VideoStatus
    """`unconfirmed` generations are `in_progress`, canceled ones are `failed` with the code `canceled`."""
    progress: int
    """0 while queued, 100 when completed. In between it names the step: 5 submitted, 50 rendered by fal, 95 stored."""
    created_at: int
    """When it was accepted, in Unix seconds."""
    completed_at: int | None
    """When it ended, in Unix seconds. `null` before."""
    expires_at: int | None
    """When the video and its record are deleted, in Unix seconds. `null` unless the status is `completed`."""
    seconds: str
    """Seconds of video as requested; `auto`: fal chooses."""
    size: str
    """Size of the requested resolution and aspect ratio, such as `1280x720`; fal decides the exact pixels. The
    resolution alone, such as `720p`, if the aspect ratio is that of the image.
    """
    prompt: str | None
    """The prompt. `null`: the generation was erased."""
    error: OpenAIFailure | None
    """Why there is no video. `null` unless the status is `failed`."""
    remixed_from_video_id: str | None
    """Always `null`: there are no remixes."""
    cost: OpenAICost
    """What OpenAI's object does not have: estimated and actual cost."""


@described
class OpenAIVideoList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[OpenAIVideo]
    """The videos of the page."""
    has_more: bool
    """Whether there are more after `last_id`."""
    first_id: str | None
    """Id of the first video of the page. `null`: the page is empty."""
    last_id: str | None
    """Id of the last video of the page; send it as `after`. `null`: the page is empty."""


@described
class OpenAIDeleted(TypedDict):
    id: str
    """Id of the generation."""
    object: Literal["video.deleted"]
    """Always `video.deleted`."""
    deleted: bool
    """`true`: it was canceled, or a cancel was requested from fal. `false`: it had ended, and nothing was changed."""


def video(g: Generation, retention: timedelta) -> OpenAIVideo:
    """``retention``: of the deployment, for generations whose tenant has none of its own."""
    return {
        "id": g.id,
        "object": "video",
        "model": g.model,
        "status": _STATUSES[g.public_status],
        "progress": _progress(g),
        "created_at": _seconds(g.created_at),
        "completed_at": None if g.finished_at is None else _seconds(g.finished_at),
        "expires_at": _expiry(g, retention),
        "seconds": str(g.input.get("duration", "auto")),
        "size": _size(g),
        "prompt": g.input.get("prompt"),
        "error": _error(g),
        "remixed_from_video_id": None,
        "cost": {
            "currency": "USD",
            "estimated": usd(g.estimated_cost),
            "actual": None if g.actual_cost is None else usd(g.actual_cost),
        },
    }


def page(videos: list[OpenAIVideo], *, has_more: bool) -> OpenAIVideoList:
    return {
        "object": "list",
        "data": videos,
        "has_more": has_more,
        "first_id": videos[0]["id"] if videos else None,
        "last_id": videos[-1]["id"] if videos else None,
    }


def _progress(g: Generation) -> int:
    match g.status:
        case Status.SUCCEEDED:
            return 100
        case Status.COPYING:
            return 95
        case Status.QUEUED:
            return 0
    if g.started_at is not None:
        return 50
    return 0 if g.submitted_at is None else 5


def _expiry(g: Generation, retention: timedelta) -> int | None:
    if g.status is not Status.SUCCEEDED or g.finished_at is None:
        return None
    return _seconds(g.finished_at + (g.retention or retention))


def _size(g: Generation) -> str:
    resolution, ratio = str(g.input.get("resolution", "")), str(g.input.get("aspect_ratio", "auto"))
    return sizes.size_of(resolution, ratio) or resolution


def _error(g: Generation) -> OpenAIFailure | None:
    if g.status is Status.CANCELED:
        return {"code": CANCELED, "message": "The request was canceled."}
    if g.error is None:
        return None
    return {"code": g.error.code, "message": g.error.message}


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
