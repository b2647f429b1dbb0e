"""fal in the model: every reply that it may give to a call, as the HTTP response that the gateway reads.

Assumptions: a refusal in fal's own JSON proves that fal has no job; a job that succeeds is billed, another is not; a
callback reports the true end, once or never; the bill lists a job when it ends; a job that the gateway does not follow
ends within the upstream deadline, or never.
"""

from collections.abc import Iterator
from typing import Any, Final

from service.domain.callback import Callback
from service.upstream.http_result import HttpResponse, NoHttpResponse, Wire
from service.upstream.results import read_callback
from tests.model.processes import SCHEDULE
from tests.model.times import moment
from tests.model.world import FalState, Job

UNITS: Final = "108.0"
#: fal may quote it from the input in its results.
VIDEO_URL: Final = "https://v3b.fal.media/files/video.mp4"

_VIDEO: Final = {"video": {"url": VIDEO_URL}, "seed": 7}
_REFUSED: Final = {"detail": "refused"}
_FAILED: Final = {"detail": [{"msg": "refused for its content", "type": "content_policy_violation"}]}

#: By name, since a response is not hashable.
WIRES: Final[dict[str, Wire]] = {
    "no connection": NoHttpResponse(sent=False, reason="ConnectError"),
    "no response": NoHttpResponse(sent=True, reason="ReadTimeout"),
    "refused": HttpResponse(503, {}, _REFUSED),
    "locked": HttpResponse(403, {}, _REFUSED),
    "rejected": HttpResponse(422, {}, _FAILED),
    "IN_PROGRESS": HttpResponse(202, {}, {"status": "IN_PROGRESS", "logs": None}),
    "COMPLETED": HttpResponse(200, {}, {"status": "COMPLETED", "logs": None}),
    "not found": HttpResponse(404, {}, {"status": "NOT_FOUND"}),
    "not ready": HttpResponse(400, {}, {"detail": "Request is still in progress"}),
    "cancel accepted": HttpResponse(202, {}, {"status": "CANCELLATION_REQUESTED"}),
    "cancel too late": HttpResponse(400, {}, {"status": "ALREADY_COMPLETED"}),
    "succeeded": HttpResponse(200, {"x-fal-billable-units": UNITS}, _VIDEO),
    "failed": HttpResponse(422, {}, _FAILED),
    "canceled": HttpResponse(499, {}, {"detail": "Request cancelled by the client."}),
}


def request_id(number: int, submits: int) -> str:
    return f"request-{number}-{submits}"


def accepted(number: int, submits: int) -> Wire:
    return HttpResponse(200, {}, {"request_id": request_id(number, submits)})


def callback(number: int, submits: int, state: FalState) -> Callback:
    """Return what the gateway stores of a callback."""
    from pydantic_core import to_json

    body: dict[str, Any] = {"request_id": request_id(number, submits), "status": "OK", "payload": _VIDEO}
    if state != "succeeded":
        status = 422 if state == "failed" else 499
        body |= {"status": "ERROR", "error": f"Invalid status code: {status}", "payload": _FAILED}
    read = read_callback(to_json(body))
    assert read is not None
    return read


def submit_replies(job: Job, now: int) -> Iterator[tuple[str, Job, int]]:
    """Yield the replies to a submit: its name, the job after it, and the faults that it costs."""
    taken = job._replace(submits=job.submits + 1, fal="running", fal_since=now)
    yield "accepted", taken, 0
    yield "refused", job, 0
    yield "no connection", job, 0
    yield "locked", job, 0
    yield "rejected", job, 0
    yield "no response", taken, 1
    yield "no response", job, 1


def read_replies(call: str, job: Job, now: int) -> Iterator[tuple[str, Job, int]]:
    """Yield the replies to a status, result or cancel call."""
    is_over = job.fal in ("succeeded", "failed", "canceled")
    match call:
        case "fal.status":
            yield ("COMPLETED", job, 0) if is_over else ("IN_PROGRESS", job._replace(fal_asked_at=now), 0)
        case "fal.result":
            yield job.fal if is_over else "not ready", job, 0
        case "fal.cancel":
            yield ("cancel too late", job, 0) if is_over else ("cancel accepted", job._replace(fal_cancels=True), 0)
    yield "no response", job, 1
    if is_over and call != "fal.cancel":
        yield "not found", job, 1


def endings(job: Job, now: int) -> Iterator[FalState]:
    """Yield the ways in which fal's job may end now."""
    is_followed = job.request_id is not None
    if job.fal == "running" and (is_followed or moment(now) < moment(job.fal_since) + SCHEDULE.upstream_deadline):
        yield "succeeded"
        yield "failed"
        if job.fal_cancels:
            yield "canceled"
