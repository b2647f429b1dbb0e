"""Generations of all tenants: search with filters in the URL, one generation with what happened to it, cancel."""

from typing import Any, Final, get_args

from service.console.bulk import target_of
from service.console.confirm import Confirmation, confirmation_page
from service.console.lists import (
    ROWS,
    choice_of,
    cursor_of,
    next_target,
    options_of,
    pair_of,
    searched_until,
    text_of,
    time_of,
)
from service.console.oncall.bulk import PREVIEW
from service.console.reason import reason_of
from service.console.rendering import moment, money
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.bulk import BulkKind
from service.domain.failure import ErrorCode
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.operator import Role
from service.domain.status import PUBLIC_TERMINAL, PublicStatus, Status
from service.domain.webhook import EventType
from service.errors import FieldError, Invalid
from service.usecases.operations.generations import Details

generations = ConsoleRoutes()
LIST: Final = ("/oncall/generations", "Generations")
#: Deliveries that the page of a generation shows, the newest. The audit entry of its read takes half of the commands.
_DELIVERIES: Final = 5
_CANCEL: Final = (
    "While it is queued, it ends at once and costs nothing. After the submit fal decides, and may bill it.",
    "Its tenant receives the usual webhook.",
)
_FILTERS: Final = (
    *("tenant_id", "status", "error_code", "model", "end_user_id", "fal_request_id", "metadata"),
    *("created_after", "created_before"),
)


@generations.page(LIST[0], needs=Role.VIEWER)
async def search_generations(visit: Visit) -> Page | Redirect:
    wanted_id = text_of(visit, "id")
    if wanted_id is not None:
        if not ids.is_id(ids.GENERATION, wanted_id):
            raise Invalid(FieldError("/query/id", "is not the id of a generation: these begin with gen_", "id"))
        return Redirect(f"{LIST[0]}/{wanted_id}")
    wanted = await _filter(visit)
    page = await visit.runtime.operations.generations.page(
        wanted, limit=ROWS, after=cursor_of(visit, ids.GENERATION), most_read=ROWS
    )
    context = {
        "found": page.items,
        "statuses": options_of(PublicStatus),
        "codes": [("", "all"), *((code, code) for code in _codes())],
        "next": next_target(visit, LIST[0], page.after, _FILTERS),
        "until": searched_until(page.after, found=len(page.items)),
        "may_act": visit.may(Role.OPERATOR),
        "all_target": _all_target(visit, wanted),
    }
    return Page("oncall/generations.html", LIST[1], context)


@generations.page("/oncall/generations/{generation_id}", needs=Role.OPERATOR, reads_personal_data=True)
async def read_any_generation(visit: Visit) -> Page:
    found = await visit.runtime.operations.generations.show(
        visit.path_params["generation_id"], most_deliveries=_DELIVERIES
    )
    context = {"found": found, "facts": _facts(found), "metadata": list(found.generation.metadata.items())}
    return Page("oncall/generation.html", found.generation.id, context, parents=(LIST,))


@generations.page("/oncall/generations/{generation_id}/cancel", needs=Role.OPERATOR)
async def confirm_cancel_of_generation(visit: Visit) -> Page:
    g = await visit.runtime.operations.generations.get(visit.path_params["generation_id"])
    own = f"{LIST[0]}/{g.id}"
    informed = await visit.runtime.webhooks.recipients.of_event(
        [g.tenant_id], EventType.CANCELED, webhook_urls=[g.webhook_url]
    )
    billing = "Released at once" if g.public_status is PublicStatus.QUEUED else "fal may bill"
    changes = [("Held", money(g.estimated_cost)), (billing, money(g.estimated_cost)), ("Informed", informed.summary)]
    confirmation = Confirmation(
        action=f"{own}/cancel",
        button="Cancel the generation",
        back=own,
        effects=("It has ended: there is nothing to cancel.",) if g.is_terminal else _CANCEL,
        facts=[
            ("Status", g.public_status.value),
            ("Tenant", g.tenant_id),
            ("Created", moment(g.created_at)),
            *([] if g.is_terminal else changes),
        ],
        is_dangerous=True,
    )
    return confirmation_page("Cancel a generation", confirmation, parents=(LIST, (own, g.id)))


@generations.action("/oncall/generations/{generation_id}/cancel", needs=Role.OPERATOR)
async def cancel_any_generation(visit: Visit) -> Redirect:
    generation_id = visit.path_params["generation_id"]
    g = await visit.runtime.operations.generations.cancel(generation_id, reason=reason_of(visit))
    message = "The generation is canceled." if g.status is Status.CANCELED else "fal receives the request to cancel."
    return Redirect(f"{LIST[0]}/{g.id}", message)


async def _filter(visit: Visit) -> Filter:
    metadata = text_of(visit, "metadata")
    return await visit.runtime.operations.generations.filter(
        tenant_id=text_of(visit, "tenant_id"),
        end_user_id=text_of(visit, "end_user_id"),
        metadata=() if metadata is None else (pair_of(metadata),),
        status=choice_of(visit, "status", PublicStatus),
        error_code=_code(text_of(visit, "error_code")),
        model=text_of(visit, "model"),
        created_after=time_of(visit, "created_after"),
        created_before=time_of(visit, "created_before"),
        fal_request_id=text_of(visit, "fal_request_id"),
    )


def _all_target(visit: Visit, wanted: Filter) -> str | None:
    """Return the path of a preview of the cancel of all that match; None: it needs a tenant, or nothing can match."""
    if wanted.tenant_id is None or wanted.error_code is not None or wanted.status in PUBLIC_TERMINAL:
        return None
    return target_of(visit, PREVIEW, BulkKind.CANCEL, tuple(name for name in _FILTERS if name != "error_code"))


def _codes() -> list[ErrorCode]:
    return sorted(get_args(ErrorCode))


def _code(text: str | None) -> ErrorCode | None:
    found = next((code for code in _codes() if code == text), None)
    if text is not None and found is None:
        raise Invalid(FieldError("/query/error_code", "is not an error code", "enum"))
    return found


def _facts(found: Details) -> list[tuple[str, Any]]:
    g: Generation = found.generation
    facts: list[tuple[str, Any]] = [
        ("Status", g.public_status.value),
        ("Tenant", found.tenant_name or g.tenant_id),
        ("Model", g.model),
        ("End user", "erased" if g.erased else g.end_user_id or "–"),
        ("fal request id", g.request_id or "–"),
        ("Held", money(None if g.is_terminal else g.estimated_cost)),
        ("Cost", money(g.actual_cost)),
        ("Refused submits", g.submit_refusals),
        ("Trace", _trace(g)),
    ]
    if g.error is not None:
        facts.append(("Error", f"{g.error.code}: {g.error.message}"))
    return facts


def _trace(g: Generation) -> str:
    """Return the id of its trace (W3C Trace Context)."""
    parts = (g.traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else "–"
