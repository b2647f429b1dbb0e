"""The last audit of the books, and the action that starts one."""

from service.console.confirm import Confirmation, confirmation_page
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain.operator import Role

audit = ConsoleRoutes()
_PAGE = ("/money/audit", "Audit")
_SHOWN = 100


@audit.page("/money/audit", needs=Role.VIEWER)
async def show_audit(visit: Visit) -> Page:
    report = await visit.runtime.operations.audit_jobs.last()
    context = {"report": report, "shown": _SHOWN, "may_start": visit.may(Role.OPERATOR)}
    return Page("money/audit.html", "Audit", context)


@audit.page("/money/audit/start", needs=Role.OPERATOR)
async def confirm_audit(_visit: Visit) -> Page:
    return confirmation_page(
        "Start an audit",
        Confirmation(
            action="/money/audit/start",
            button="Start",
            back=_PAGE[0],
            effects=(
                "A maintenance worker compares the ledger, the budgets, the holds and the slots with the records.",
                "It changes nothing. While one is running, this starts no second one.",
            ),
        ),
        parents=(_PAGE,),
    )


@audit.action("/money/audit/start", needs=Role.OPERATOR)
async def start_audit(visit: Visit) -> Redirect:
    await visit.runtime.operations.audit_jobs.start()
    return Redirect("/money/audit", "The audit is running.")
