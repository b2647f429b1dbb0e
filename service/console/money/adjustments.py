"""Correct a settled cost: a form, a preview with the cost before and after, and the adjustment."""

import json
from typing import Any, Final

from service.api.admin.adjustments import adjusted
from service.console.confirm import Confirmation, confirmation_page
from service.console.form import Form
from service.console.inputs import Editing, Input, editing_page, refused
from service.console.reason import reason_of
from service.console.rendering import money
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.adjustment import ADJUSTMENT, Adjustment
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.pricing import usd
from service.errors import FieldError, Invalid, Malformed
from service.usecases.trail.recording import current_actor

adjustments = ConsoleRoutes()
_TITLE: Final = "Adjust a cost"
_LEDGER: Final = ("/money/ledger", "Ledger")
_FIELDS: Final = ("generation_id", "tenant_id", "end_user", "day", "amount_usd", "expected_usd")
#: In place of the operator and the reason, which the action knows.
_UNKNOWN: Final = "-"


@adjustments.page("/money/adjust", needs=Role.ADMIN)
async def edit_adjustment(visit: Visit) -> Page:
    return editing_page(_TITLE, _editing(visit.query.get("generation_id", "")), parents=(_LEDGER,))


@adjustments.preview("/money/adjust/preview", needs=Role.ADMIN)
async def preview_adjustment(visit: Visit) -> Page:
    given = _given(visit.form)
    try:
        if "generation_id" in given and "expected_usd" not in given:
            given["expected_usd"] = await _cost(visit, given["generation_id"])
        wanted: Adjustment = _parsed(given, operator=_UNKNOWN, reason=_UNKNOWN)
    except Invalid as error:
        return editing_page(_TITLE, refused(_editing(), visit.form, error), parents=(_LEDGER,), status=422)
    after = wanted.expected_usd + wanted.amount_usd
    confirmation = Confirmation(
        action="/money/adjust",
        button=_TITLE,
        back="/money/adjust",
        effects=(
            "The budgets of the day, the month and the end user change by the amount, and so do the usage reports.",
            "The ledger has a line with your name and the reason. Refused if the cost has changed since.",
        ),
        facts=[*_subject(wanted), ("Informed", "no webhook is sent; the tenant reads the new cost in the API")],
        changes=[("Cost", money(wanted.expected_usd), money(after))],
        hidden=(("body", json.dumps(given)),),
    )
    return confirmation_page(_TITLE, confirmation, parents=(_LEDGER,))


@adjustments.action("/money/adjust", needs=Role.ADMIN)
async def adjust_cost(visit: Visit) -> Redirect:
    reason = reason_of(visit)
    try:
        given = json.loads(visit.form.text("body"))
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Malformed("The form is not that of a preview.")
    wanted = _parsed(given, operator=current_actor().name or current_actor().kind.value, reason=reason)
    done = await adjusted(visit.runtime, wanted)
    to = f"{_LEDGER[0]}?id={done['generation_id']}" if done["generation_id"] else "/money"
    return Redirect(to, f"The cost is now {done['cost']} US dollars.")


async def _cost(visit: Visit, generation_id: str) -> str:
    """Return what an ended generation costs now. Raises Invalid."""
    found = await visit.runtime.operations.ledgers.read(generation_id) if _is_generation(generation_id) else None
    cost = None if found is None else found.generation.actual_cost
    if cost is None:
        raise Invalid(FieldError("/generation_id", "must be the id of an ended generation", "generation"))
    return usd(cost)


def _is_generation(text: str) -> bool:
    return ids.is_id(ids.GENERATION, text)


def _given(form: Form) -> dict[str, Any]:
    return {name: form.text(name) for name in _FIELDS if form.text(name)}


def _parsed(given: dict[str, Any], *, operator: str, reason: str) -> Adjustment:
    body = {**given, "operator": operator, "reason": reason}
    found: Adjustment = parse(ADJUSTMENT, json.dumps(body).encode())
    return found


def _subject(wanted: Adjustment) -> list[tuple[str, Any]]:
    if wanted.generation_id is not None:
        return [("Generation", wanted.generation_id)]
    return [("Tenant", wanted.tenant_id), ("End user", wanted.end_user), ("Day (UTC)", wanted.day)]


def _editing(generation_id: str = "") -> Editing:
    return Editing(
        action="/money/adjust/preview",
        back=_LEDGER[0],
        notes=("Name a generation; or, where its record is purged, a tenant, an end user and a day.",),
        inputs=(
            Input(name="generation_id", label="Generation", value=generation_id, hint="gen_…, one that has ended."),
            Input(name="tenant_id", label="Tenant", hint="ten_…"),
            Input(name="end_user", label="End user", hint="The pseudonym, eu_…"),
            Input(name="day", label="Day (UTC)", hint="Like 2026-01-31: when the generation was created."),
            Input(name="amount_usd", label="Amount (US dollars)", hint="Added to the cost; -1.50 takes 1.50 off."),
            Input(
                name="expected_usd",
                label="Present cost (US dollars)",
                hint="Needed for a day. Of a generation, empty: the cost that the preview shows.",
            ),
        ),
    )
