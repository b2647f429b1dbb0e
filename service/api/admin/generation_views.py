"""Generations as operators see them: one with all of its fields, one with what happened to it, rows of a list."""

from typing import Literal

from typing_extensions import TypedDict

from service.domain.described import Timestamp, described
from service.domain.failure import ErrorCode
from service.domain.generation import Generation
from service.domain.generation_view import GenerationView, public, rfc3339
from service.domain.pricing import usd
from service.domain.status import PublicStatus
from service.domain.timeline import Event, Moment
from service.domain.webhook import Delivery, DeliveryStatus
from service.store.money.ledger_lines import Line
from service.usecases.operations.generations import Details, Found


@described
class OperatorsGenerationView(GenerationView):
    """A generation as its tenant sees it, with fields for operators."""

    tenant_id: str
    """The tenant."""
    version: int
    """Version of the record; it grows with each change."""
    confirmed_at: Timestamp | None
    """When the fal request id of an unconfirmed submit was found. `null`: fal named it in its response, or it is not
    known.
    """
    submits_refused: int
    """Submits that fal certainly did not accept."""
    polls_troubled: int
    """Consecutive polls without a usable response."""
    erased: bool
    """Whether the end user was erased; the record is purged when the generation ends."""


@described
class MomentView(TypedDict):
    at: Timestamp
    """When, RFC 3339 in UTC with milliseconds."""
    event: Event
    """`submit_began`: the last submit to fal. `request_id_found`: of an unconfirmed submit. `started`: fal was first
    seen rendering. `rendered`: fal's result was fetched, and the gateway began to copy the video. `polls_failing`: the
    first of the polls without a usable response. `cancel_accepted`: fal accepted the cancel.
    """


@described
class LedgerLineView(TypedDict):
    at: Timestamp
    """When it was written, RFC 3339 in UTC with milliseconds."""
    kind: str
    """`hold`, `settle`, `adjust`, `resolve` or `revive`."""
    held: str
    """Change of the held money in US dollars, as a decimal string."""
    spent: str
    """Change of the spent money in US dollars, as a decimal string."""
    reason: str | None
    """Why, as an operator or the gateway wrote it. `null`: the line has no reason."""


@described
class GenerationDeliveryView(TypedDict):
    id: str
    """Id of the delivery."""
    event: str
    """Type of the event."""
    status: DeliveryStatus
    """`pending`: attempts follow. `delivered`: the receiver answered 2xx. `dead`: all attempts failed, or the
    endpoint is disabled or deleted.
    """
    endpoint_id: str | None
    """The webhook endpoint. `null`: it went to a `webhook_url`."""
    attempt_count: int
    """Attempts in all, replays included."""
    created_at: Timestamp
    """When the event happened, RFC 3339 in UTC with milliseconds."""


@described
class GenerationDetailsView(OperatorsGenerationView):
    """A generation, with what happened to it."""

    tenant_name: str | None
    """Name of the tenant. `null`: the tenant was deleted."""
    end_user: str
    """Pseudonym of the end user, as fal received it; without an end user, that of the tenant."""
    held: str
    """Money that is held for it, in US dollars, as a decimal string. After its end `0`."""
    timeline: list[MomentView]
    """What the record says of its past, oldest first."""
    ledger: list[LedgerLineView]
    """Lines of the ledger, oldest first: its hold, its settlement and others of the same seconds. An adjustment that
    was made later is not among them, and after a flood of creates lines may be missing.
    """
    deliveries: list[GenerationDeliveryView]
    """Its webhook deliveries, oldest first, the newest 100 at most."""


@described
class GenerationRow(TypedDict):
    id: str
    """Id of the generation."""
    object: Literal["generation_summary"]
    """Always `generation_summary`."""
    tenant_id: str
    """The tenant."""
    tenant_name: str | None
    """Name of the tenant. `null`: the tenant was deleted."""
    end_user: str
    """Pseudonym of the end user, as fal received it; without an end user, that of the tenant."""
    status: PublicStatus
    """Its status, as its tenant sees it."""
    error_code: ErrorCode | None
    """Why it failed. `null`: it did not fail."""
    model: str
    """fal's id of the model."""
    created_at: Timestamp
    """When the gateway accepted it, RFC 3339 in UTC with milliseconds."""
    submitted_at: Timestamp | None
    """When the last submit to fal began. `null` while queued."""
    started_at: Timestamp | None
    """When fal was first seen rendering. `null` before."""
    finished_at: Timestamp | None
    """When it ended. `null` before."""
    cancel_requested_at: Timestamp | None
    """When a cancel was requested while fal had the job. `null`: never."""
    held: str
    """Money that is held for it, in US dollars, as a decimal string. After its end `0`."""
    settled: str | None
    """What it cost, in US dollars, as a decimal string. `null` before its end."""
    fal_request_id: str | None
    """fal's id of the job. `null` until fal has accepted the job."""
    attempts: int
    """Submits to fal: those that fal refused, and the last one."""


@described
class GenerationRows(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[GenerationRow]
    """Generations, newest first. The page may be shorter than `limit`, even empty, and not be the last one."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


def operators_view(g: Generation) -> OperatorsGenerationView:
    return {
        **public(g),
        "tenant_id": g.tenant_id,
        "version": g.version,
        "confirmed_at": None if g.confirmed_at is None else rfc3339(g.confirmed_at),
        "submits_refused": g.submit_refusals,
        "polls_troubled": g.poll_failures,
        "erased": g.erased,
    }


def details_view(details: Details) -> GenerationDetailsView:
    g = details.generation
    return {
        **operators_view(g),
        "tenant_name": details.tenant_name,
        "end_user": g.end_user,
        "held": _held(g),
        "timeline": [_moment(moment) for moment in details.timeline],
        "ledger": [_line(line) for line in details.ledger],
        "deliveries": [_delivery(delivery) for delivery in details.deliveries],
    }


def row(found: Found) -> GenerationRow:
    g = found.generation
    return {
        "id": g.id,
        "object": "generation_summary",
        "tenant_id": g.tenant_id,
        "tenant_name": found.tenant_name,
        "end_user": g.end_user,
        "status": g.public_status,
        "error_code": None if g.error is None else g.error.code,
        "model": g.model,
        "created_at": rfc3339(g.created_at),
        "submitted_at": None if g.submitted_at is None else rfc3339(g.submitted_at),
        "started_at": None if g.started_at is None else rfc3339(g.started_at),
        "finished_at": None if g.finished_at is None else rfc3339(g.finished_at),
        "cancel_requested_at": None if g.cancel_requested_at is None else rfc3339(g.cancel_requested_at),
        "held": _held(g),
        "settled": None if g.actual_cost is None else usd(g.actual_cost),
        "fal_request_id": g.request_id,
        "attempts": g.submit_refusals + (g.submitted_at is not None),
    }


def _held(g: Generation) -> str:
    return usd(0 if g.is_terminal else g.estimated_cost)


def _moment(moment: Moment) -> MomentView:
    return {"at": rfc3339(moment.at), "event": moment.event}


def _line(line: Line) -> LedgerLineView:
    return {
        "at": rfc3339(line.at),
        "kind": line.kind,
        "held": usd(line.held),
        "spent": usd(line.spent),
        "reason": line.reason,
    }


def _delivery(delivery: Delivery) -> GenerationDeliveryView:
    return {
        "id": delivery.id,
        "event": delivery.event,
        "status": delivery.status,
        "endpoint_id": delivery.endpoint_id,
        "attempt_count": delivery.total_attempts,
        "created_at": rfc3339(delivery.created_at),
    }
