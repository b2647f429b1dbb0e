"""Answers to video calls of the AI SDK: a started generation, its status, its result."""

from typing import Any, Final, Literal, NotRequired

from typing_extensions import TypedDict

from service.api.dialects.vercel.fields import VercelWarning
from service.domain.described import described
from service.domain.failure import ErrorCode
from service.domain.generation import Generation
from service.domain.pricing import usd
from service.domain.status import Status

_MP4: Final = "video/mp4"
NO_VIDEO: Final = "The video was deleted."
CANCELED: Final = "The generation was canceled."


@described
class VercelOperationView(TypedDict):
    id: str
    """Id of the generation, also for `/v1/generations/{generation_id}`."""


@described
class VercelJob(TypedDict):
    jobId: str
    """Id of the generation."""


@described
class VercelJobError(TypedDict):
    code: ErrorCode
    """Stable code, as in `error` of a generation."""
    retryable: bool
    """Whether the same call may succeed if you send it again."""


@described
class VercelGatewayMetadata(TypedDict):
    generationId: str
    """Id of the generation."""
    asyncJob: VercelJob
    """The job, in the form that the AI SDK documents."""
    model: str
    """fal's id of the model."""
    status: str
    """Status of the generation, as `/v1` has it."""
    estimatedCost: str
    """The highest possible cost in US dollars, as a decimal string. It is held in the budgets until the end."""
    cost: str | None
    """The cost in US dollars that fal billed, as a decimal string. `null` until the generation has ended."""
    error: NotRequired[VercelJobError]
    """Why there is no video, for programs."""


@described
class VercelFalMetadata(TypedDict):
    seed: int | None
    """The seed that fal used. `null`: fal did not say."""
    requestId: str | None
    """fal's id of the job. `null`: not known."""


@described
class VercelMetadata(TypedDict):
    gateway: VercelGatewayMetadata
    """What the gateway knows of the generation."""
    fal: NotRequired[VercelFalMetadata]
    """What fal said, once there is a video."""


@described
class VercelStarted(TypedDict):
    operation: VercelOperationView
    """The body of a status call, and what `experimental_getVideoStatus` takes."""
    warnings: list[VercelWarning]
    """Settings that were ignored."""
    providerMetadata: VercelMetadata
    """Ids and cost."""


@described
class VercelVideo(TypedDict):
    type: Literal["url"]
    """Always `url`."""
    url: str
    """Where the MP4 file is. The AI SDK downloads it without a key."""
    mediaType: str
    """Media type of the file."""


@described
class VercelStatus(TypedDict):
    status: Literal["pending", "completed", "error", "cancelled"]
    """`pending`: it has not ended. `error`: it has failed."""
    videos: NotRequired[list[VercelVideo]]
    """With `completed`: the video."""
    error: NotRequired[str]
    """With `error`: why there is no video, for people."""
    providerMetadata: VercelMetadata
    """Ids and cost."""


def started(g: Generation, warnings: list[VercelWarning]) -> VercelStarted:
    return {"operation": {"id": g.id}, "warnings": warnings, "providerMetadata": metadata(g)}


def status(g: Generation) -> VercelStatus:
    """``unconfirmed`` is pending: fal may have the job."""
    known = metadata(g)
    if not g.is_terminal:
        return {"status": "pending", "providerMetadata": known}
    if g.output is not None:
        return {"status": "completed", "videos": videos(g), "providerMetadata": known}
    if g.status is Status.CANCELED:
        return {"status": "cancelled", "providerMetadata": known}
    return {"status": "error", "error": fault(g), "providerMetadata": known}


def videos(g: Generation) -> list[VercelVideo]:
    if g.output is None:
        return []
    video = g.output.video
    url = video.source or video.url  # the SDK fetches it without a key
    return [{"type": "url", "url": url, "mediaType": video.content_type or _MP4}]


def fault(g: Generation) -> str:
    """Return why there is no video."""
    if g.status is Status.CANCELED:
        return CANCELED
    return NO_VIDEO if g.error is None else g.error.message


def metadata(g: Generation) -> VercelMetadata:
    own: VercelGatewayMetadata = {
        "generationId": g.id,
        "asyncJob": {"jobId": g.id},
        "model": g.model,
        "status": g.public_status,
        "estimatedCost": usd(g.estimated_cost),
        "cost": None if g.actual_cost is None else usd(g.actual_cost),
    }
    if g.error is not None:
        own["error"] = {"code": g.error.code, "retryable": g.error.retryable}
    if g.output is None:
        return {"gateway": own}
    return {"gateway": own, "fal": {"seed": g.output.seed, "requestId": g.request_id}}


def event(g: Generation, warnings: list[VercelWarning]) -> dict[str, Any]:
    """Return the only event of a one-call request: the result of an ended generation, or why there is none."""
    if g.output is not None:
        return {"type": "result", "videos": videos(g), "warnings": warnings, "providerMetadata": metadata(g)}
    # Neither status is one after which the SDK sends the call again: that would be another paid job.
    if g.error is not None and g.error.code in _OF_THE_CALL:
        return fault_event(fault(g), "invalid_request_error", 422)
    return fault_event(fault(g), "failed_dependency", 424)


def fault_event(message: str, kind: str, code: int) -> dict[str, Any]:
    return {"type": "error", "message": message, "errorType": kind, "statusCode": code, "param": None}


_OF_THE_CALL: Final[frozenset[ErrorCode]] = frozenset({"content_policy", "invalid_input", "image_unreachable"})
