"""Bulk jobs: choose what matches, confirm a preview with a reason, follow the job, stop it."""

from typing import Final

from service.api.http.cursors import encode_cursor
from service.console.bulk import TITLES, confirmation_of, facts_of, informed_by, new_job_of, preview_of
from service.console.confirm import Confirmation, confirmation_page
from service.console.lists import ROWS, cursor_of
from service.console.reason import reason_of
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.operator import Role
from service.usecases.trail.recording import current_actor

bulk = ConsoleRoutes()
_LIST: Final = ("/oncall/bulk", "Bulk jobs")
PREVIEW: Final = f"{_LIST[0]}/preview"


@bulk.page(_LIST[0], needs=Role.VIEWER)
async def list_bulk_jobs(visit: Visit) -> Page:
    page = await visit.runtime.operations.bulk_jobs.page(limit=ROWS, after=cursor_of(visit, ids.BULK_JOB))
    more = None if page.after is None else f"{_LIST[0]}?cursor={encode_cursor(page.after)}"
    return Page(
        "oncall/bulk_jobs.html", _LIST[1], {"jobs": page.items, "more": more, "may_act": visit.may(Role.OPERATOR)}
    )


@bulk.page(PREVIEW, needs=Role.OPERATOR)
async def preview_bulk_job(visit: Visit) -> Page:
    """Ask for the confirmation of an act on all that match the query."""
    body, wanted = preview_of(visit, visit.query.get("kind", ""))
    preview = await visit.runtime.operations.bulk_jobs.preview(body)
    title = TITLES[body.kind]
    if preview.matched == 0 and not preview.more:
        context = {"conditions": wanted, "back": _LIST[0]}
        return Page("oncall/bulk_nothing.html", title, context, parents=(_LIST,))
    informed = await informed_by(visit, preview, body.kind)
    confirmation = confirmation_of(body, wanted, preview, informed, action=_LIST[0], back=_LIST[0])
    return confirmation_page(title, confirmation, parents=(_LIST,))


@bulk.action(_LIST[0], needs=Role.OPERATOR)
async def start_bulk_job(visit: Visit) -> Redirect:
    job = await visit.runtime.operations.bulk_jobs.start(new_job_of(visit), current_actor())
    return Redirect(f"{_LIST[0]}/{job.id}", "The job has started.")


@bulk.page("/oncall/bulk/{bulk_job_id}", needs=Role.VIEWER)
async def show_bulk_job(visit: Visit) -> Page:
    job = await visit.runtime.operations.bulk_jobs.get(visit.path_params["bulk_job_id"])
    may_stop = visit.may(Role.OPERATOR) and not job.has_ended and job.stop_reason is None
    context = {
        "job": job,
        "facts": facts_of(job),
        "conditions": job.selection.to_dict(),
        "stop": f"{_LIST[0]}/{job.id}/stop" if may_stop else None,
    }
    return Page("oncall/bulk_job.html", job.id, context, parents=(_LIST,))


@bulk.page("/oncall/bulk/{bulk_job_id}/stop", needs=Role.OPERATOR)
async def confirm_stop(visit: Visit) -> Page:
    job = await visit.runtime.operations.bulk_jobs.get(visit.path_params["bulk_job_id"])
    confirmation = Confirmation(
        action=f"/oncall/bulk/{job.id}/stop",
        button="Stop the job",
        back=f"/oncall/bulk/{job.id}",
        effects=("The job ends before its next step of 50 items. What it has done stays.",),
        facts=facts_of(job),
    )
    return confirmation_page("Stop a bulk job", confirmation, parents=(_LIST, (f"/oncall/bulk/{job.id}", job.id)))


@bulk.action("/oncall/bulk/{bulk_job_id}/stop", needs=Role.OPERATOR)
async def stop_bulk_job(visit: Visit) -> Redirect:
    job_id, reason = visit.path_params["bulk_job_id"], reason_of(visit)
    job = await visit.runtime.operations.bulk_jobs.stop(job_id, reason=reason)
    return Redirect(f"/oncall/bulk/{job.id}", "The job had ended." if job.has_ended else "The job ends soon.")
