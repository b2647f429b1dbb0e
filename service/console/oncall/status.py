"""The status page: what is wrong now, and the actions on the dispatch of all tenants."""

from typing import Any, Final

from service.console.confirm import Confirmation, confirmation_page
from service.console.documents import runbook_section
from service.console.reason import reason_of
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain.dispatch_gate import Gate
from service.domain.operator import Role
from service.usecases.operations.status import Status

status = ConsoleRoutes()
_STATUS: Final = ("/oncall", "Status")


@status.page("/oncall", needs=Role.VIEWER)
async def show_status(visit: Visit) -> Page:
    found = await visit.runtime.operations.status.read()
    context = {
        "conditions": found.conditions,
        "wrong": found.wrong,
        "facts": _facts(found),
        "may_act": visit.may(Role.OPERATOR),
        "now": found.now,
    }
    return Page("oncall/status.html", "Status", context)


@status.page("/runbook/{section}", needs=Role.VIEWER)
async def show_runbook(visit: Visit) -> Page:
    section = visit.path_params["section"]
    return Page("oncall/runbook.html", section, {"text": runbook_section(section)}, parents=(_STATUS,))


@status.page("/oncall/pause", needs=Role.OPERATOR)
async def confirm_pause(visit: Visit) -> Page:
    return await _confirm(
        visit,
        "Pause dispatch",
        "/oncall/pause",
        "No generation of any tenant is submitted to fal until an operator resumes.",
        "Submitted generations continue, and webhooks are sent. Clients are not informed.",
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
    )


@status.action("/oncall/resume", needs=Role.OPERATOR)
async def resume_dispatch(visit: Visit) -> Redirect:
    reason_of(visit)
    await visit.runtime.operations.gate.resume()
    return Redirect("/oncall", "Dispatch is resumed.")


async def _confirm(visit: Visit, title: str, action: str, *effects: str) -> Page:
    found = await visit.runtime.operations.status.read()
    confirmation = Confirmation(action=action, button=title, back="/oncall", effects=effects, facts=_facts(found))
    return confirmation_page(title, confirmation, parents=(_STATUS,))


def _facts(found: Status) -> list[tuple[str, Any]]:
    gate, account = found.gate, found.account
    return [
        ("Dispatch", _state(gate)),
        ("Slots in use", account.slots_used),
        ("Unconfirmed submits", account.unconfirmed),
        ("Paid and lost", account.paid_and_lost),
        ("Paused tenants", gate.paused_tenants),
        ("Held tenants", gate.held_tenants),
    ]


def _state(gate: Gate) -> str:
    state = "open" if gate.hold is None else f"{gate.hold.value}: {gate.reason}"
    return f"{state}; draining: {gate.drain_reason}" if gate.draining else state
