"""The status page: what is wrong now, and the actions on the dispatch of all tenants."""

from typing import Any, Final

from markupsafe import Markup

from service.console.confirm import Confirmation, confirmation_page
from service.console.documents import runbook_section
from service.console.reason import reason_of
from service.console.rendering import moment
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit, link
from service.domain.dispatch_gate import Gate
from service.domain.operator import Role
from service.usecases.operations.status import Condition, Status

status = ConsoleRoutes()
_STATUS: Final = ("/oncall", "Status")

#: Pages by the name of the check, or by the beginning of the name.
_PAGES: Final = {
    "dispatch": ("/oncall/generations?status=queued", "Queued generations"),
    "unconfirmed submits": ("/oncall/unconfirmed", "Decide"),
    "paid and lost": ("/oncall/paid-and-lost", "Revive"),
    "oldest waiting work": ("/oncall/generations?status=queued", "Queued generations"),
    "webhook receivers": ("/oncall/receivers", "Failing receivers"),
    "dead letters": ("/oncall/deliveries?status=dead", "Dead deliveries"),
    "budgets": ("/money/budgets", "Budgets"),
    "prices": ("/money/usage?by=model", "Usage by model"),
    "storage of tenants": ("/oncall/tenants", "Tenants"),
    "audit trail": ("/oncall/trail", "Audit trail"),
    "tenants": ("/oncall/tenants", "Tenants"),
    "work queues": ("/oncall/generations?status=in_progress", "Generations at fal"),
}


@status.page("/oncall", needs=Role.VIEWER)
async def show_status(visit: Visit) -> Page:
    found = await visit.runtime.operations.status.read()
    context = {
        "conditions": found.conditions,
        "wrong": [(each, _page(each)) for each in found.wrong],
        "waiting": [(each, found.now - each.since) for each in found.waiting],
        "facts": _facts(found),
        "may_act": visit.may(Role.OPERATOR),
        "now": found.now,
    }
    return Page("oncall/status.html", "Status", context)


@status.page("/runbook/{section}", needs=Role.VIEWER)
async def show_runbook(visit: Visit) -> Page:
    name = visit.path_params["section"]
    section = runbook_section(name, path=link(visit.request, "/runbook"))
    return Page("oncall/runbook.html", name, {"section": section}, parents=(_STATUS,))


@status.page("/oncall/pause", needs=Role.OPERATOR)
async def confirm_pause(visit: Visit) -> Page:
    return await _confirm(
        visit,
        "Pause dispatch",
        "/oncall/pause",
        "No generation of any tenant is submitted to fal until an operator resumes.",
        "Submitted generations continue, and webhooks are sent. Queued ones wait, and expire at their deadline.",
        informed="no receiver of webhooks; each tenant reads the pause in GET /v1/me",
    )


@status.action("/oncall/pause", needs=Role.OPERATOR)
async def pause_dispatch(visit: Visit) -> Redirect:
    await visit.runtime.operations.gate.pause(reason_of(visit))
    return Redirect("/oncall", "Dispatch is paused.")


@status.page("/oncall/drain", needs=Role.OPERATOR)
async def confirm_drain(visit: Visit) -> Page:
    return await _confirm(
        visit,
        "Drain the gateway",
        "/oncall/drain",
        "New generations are refused with status 503 until an operator resumes. Accepted ones continue to their end.",
        informed="no receiver of webhooks; every client that creates receives the 503",
    )


@status.action("/oncall/drain", needs=Role.OPERATOR)
async def drain_gateway(visit: Visit) -> Redirect:
    await visit.runtime.operations.gate.drain(reason_of(visit))
    return Redirect("/oncall", "The gateway refuses new generations.")


@status.page("/oncall/resume", needs=Role.OPERATOR)
async def confirm_resume(visit: Visit) -> Page:
    return await _confirm(
        visit,
        "Resume dispatch",
        "/oncall/resume",
        "Ends a pause, a drain, and a lock or failure state. Queued generations of all tenants are submitted again.",
        informed="no receiver of webhooks",
    )


@status.action("/oncall/resume", needs=Role.OPERATOR)
async def resume_dispatch(visit: Visit) -> Redirect:
    reason_of(visit)
    await visit.runtime.operations.gate.resume()
    return Redirect("/oncall", "Dispatch is resumed.")


async def _confirm(visit: Visit, title: str, action: str, *effects: str, informed: str) -> Page:
    found = await visit.runtime.operations.status.read()
    facts = [*_facts(found), *_oldest(found), ("Informed", informed)]
    confirmation = Confirmation(action=action, button=title, back="/oncall", effects=effects, facts=facts)
    return confirmation_page(title, confirmation, parents=(_STATUS,))


def _page(condition: Condition) -> tuple[str, str] | None:
    """Return path and text of the page that lists what a condition is about, or acts on it."""
    return next((page for name, page in _PAGES.items() if condition.finding.check.startswith(name)), None)


def _oldest(found: Status) -> list[tuple[str, Any]]:
    """Return the tenant whose queued generation waits longest, which a pause delays and a resume submits."""
    return [
        ("Oldest queued", Markup("{}, {}").format(moment(each.since), each.name or each.tenant_id))
        for each in found.waiting[:1]
    ]


def _facts(found: Status) -> list[tuple[str, Any]]:
    gate, figures = found.gate, found.figures
    return [
        ("Dispatch", _state(gate)),
        ("Slots in use", figures.slots_used),
        ("Unconfirmed submits", figures.unconfirmed),
        ("Paid and lost", figures.paid_and_lost),
        ("Paused tenants", gate.paused_tenants),
        ("Held tenants", gate.held_tenants),
    ]


def _state(gate: Gate) -> str:
    state = "open" if gate.hold is None else f"{gate.hold.value}: {gate.reason}"
    return f"{state}; draining: {gate.drain_reason}" if gate.draining else state
