"""A generation in OpenRouter's format, for its clients: the job, and the callback at its end.

Members without a value are left out: the clients refuse ``null`` where their documentation says "optional".
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from pydantic_core import to_json

from service.domain.generation import Generation
from service.domain.generation_view import rfc3339
from service.domain.pricing import MICRO
from service.domain.status import PublicStatus, Status

PATH: Final = "/openrouter/api/v1/videos"

#: ``submitted``: the job waits in fal's queue. ``unconfirmed``: fal may be rendering it.
_STATUSES: Final[Mapping[PublicStatus, str]] = {
    PublicStatus.QUEUED: "pending",
    PublicStatus.SUBMITTING: "pending",
    PublicStatus.SUBMITTED: "pending",
    PublicStatus.UNCONFIRMED: "in_progress",
    PublicStatus.IN_PROGRESS: "in_progress",
    PublicStatus.SUCCEEDED: "completed",
    PublicStatus.FAILED: "failed",
    PublicStatus.CANCELED: "cancelled",
}


def status(g: Generation) -> str:
    if g.error is not None and g.error.code == "expired":
        return "expired"
    return _STATUSES[g.public_status]


def submitted(g: Generation, public_url: str) -> dict[str, Any]:
    """Return the response to a submit."""
    return {"id": g.id, "polling_url": _job_url(g, public_url), "status": status(g)}


def job(g: Generation, public_url: str) -> dict[str, Any]:
    return {**submitted(g, public_url), **_outcome(g, public_url)}


def callback(g: Generation, public_url: str, now: datetime) -> str:
    """Return the body of the callback at the end of a generation."""
    data = {"id": g.id, "status": status(g), "model": g.model, **_outcome(g, public_url)}
    return to_json({"type": f"video.generation.{status(g)}", "created_at": rfc3339(now), "data": data}).decode()


def _outcome(g: Generation, public_url: str) -> dict[str, Any]:
    """Return what only an ended generation has, except ``generation_id``. ``usage.cost`` is the settled cost."""
    found: dict[str, Any] = {"generation_id": g.id}
    if g.status is Status.SUCCEEDED and g.output is not None:
        found["unsigned_urls"] = [f"{_job_url(g, public_url)}/content?index=0"]
    if g.actual_cost is not None:
        found["usage"] = {"cost": float(Decimal(g.actual_cost) / MICRO), "is_byok": False}
    if g.error is not None:
        found["error"] = g.error.message
    return found


def _job_url(g: Generation, public_url: str) -> str:
    return f"{public_url}{PATH}/{g.id}"
