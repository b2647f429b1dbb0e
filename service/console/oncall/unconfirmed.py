"""The desk for unconfirmed submits, and generations that were paid and lost."""

import re
from typing import Final

from service.console.lists import ROWS
from service.console.reason import reason_of
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain.billing import REQUEST_ID
from service.domain.generation import Generation
from service.domain.operator import Role
from service.domain.webhook import EventType
from service.errors import FieldError, Invalid
from service.usecases.webhooks.recipients import Recipients

unconfirmed = ConsoleRoutes()
_LIST: Final = ("/oncall/unconfirmed", "Unconfirmed submits")
_LOST: Final = ("/oncall/paid-and-lost", "Paid and lost")


@unconfirmed.page("/oncall/unconfirmed", needs=Role.VIEWER)
async def show_unconfirmed(visit: Visit) -> Page:
    found, count = await visit.runtime.operations.unconfirmed.unconfirmed(limit=ROWS)
    context = {"found": found, "count": count, "may_act": visit.may(Role.OPERATOR)}
    return Page("oncall/unconfirmed.html", _LIST[1], context)


@unconfirmed.page("/oncall/unconfirmed/{generation_id}", needs=Role.OPERATOR, reads_personal_data=True)
async def show_desk(visit: Visit) -> Page:
    """Show the evidence, with the prompt, by which a job is found at fal."""
    evidence = await visit.runtime.operations.desk.read(visit.path_params["generation_id"])
    tenant = await visit.runtime.tenants.service.get(evidence.generation.tenant_id)
    g = evidence.generation
    prompt = g.input.get("prompt")
    context = {
        "evidence": evidence,
        "g": g,
        "tenant": tenant,
        "prompt": prompt if isinstance(prompt, str) else "",
        "request_id": visit.query.get("request_id", ""),
        "informed": (await _informed(visit, g)).summary,
    }
    return Page("oncall/desk.html", g.id, context, parents=(_LIST,))


@unconfirmed.action("/oncall/unconfirmed/{generation_id}/adopt", needs=Role.OPERATOR)
async def adopt_unconfirmed(visit: Visit) -> Redirect:
    generation_id, reason = visit.path_params["generation_id"], reason_of(visit)
    request_id = _request_id(visit)
    unchecked = visit.form.text("unchecked") == "yes"
    await visit.runtime.operations.unconfirmed.adopt(generation_id, request_id, reason, unchecked=unchecked)
    return Redirect(_LIST[0], f"{generation_id} is followed as {request_id}.")


@unconfirmed.action("/oncall/unconfirmed/{generation_id}/dismiss", needs=Role.OPERATOR)
async def dismiss_unconfirmed(visit: Visit) -> Redirect:
    generation_id = visit.path_params["generation_id"]
    await visit.runtime.operations.unconfirmed.dismiss(generation_id, reason_of(visit))
    return Redirect(_LIST[0], f"{generation_id} has failed at no cost; its hold is released.")


@unconfirmed.page("/oncall/paid-and-lost", needs=Role.VIEWER)
async def show_paid_and_lost(visit: Visit) -> Page:
    found, count = await visit.runtime.operations.unconfirmed.paid_and_lost(limit=ROWS)
    return Page("oncall/lost.html", _LOST[1], {"found": found, "count": count, "may_act": visit.may(Role.OPERATOR)})


@unconfirmed.page("/oncall/paid-and-lost/{generation_id}/revive", needs=Role.OPERATOR)
async def confirm_revive(visit: Visit) -> Page:
    g = await visit.runtime.operations.unconfirmed.get(visit.path_params["generation_id"])
    context = {"g": g, "informed": (await _informed(visit, g, EventType.SUCCEEDED)).summary}
    return Page("oncall/revive.html", f"Revive {g.id}", context, parents=(_LOST,))


@unconfirmed.action("/oncall/paid-and-lost/{generation_id}/revive", needs=Role.OPERATOR)
async def revive_generation(visit: Visit) -> Redirect:
    generation_id = visit.path_params["generation_id"]
    reason = reason_of(visit)
    request_id = _request_id(visit) if visit.form.text("request_id") else None
    await visit.runtime.operations.unconfirmed.revive(generation_id, reason, request_id=request_id)
    return Redirect(_LOST[0], f"{generation_id} is followed again.")


async def _informed(visit: Visit, g: Generation, event: EventType = EventType.FAILED) -> Recipients:
    """Return who receives the event of a generation."""
    return await visit.runtime.webhooks.recipients.of_event([g.tenant_id], event, webhook_urls=[g.webhook_url])


def _request_id(visit: Visit) -> str:
    found = visit.form.text("request_id")
    if not re.fullmatch(REQUEST_ID, found):
        raise Invalid(FieldError("/request_id", "must be the request id of a job at fal", "pattern"))
    return found
