"""Replay jobs of the own tenant: preview the deliveries that match, start the job, follow it, stop it.

A job is restricted to the tenant of the session, whatever its form says.
"""

from typing import Final

from service.api.http.cursors import encode_cursor
from service.console.bulk import TITLES, confirmation_of, facts_of, informed_by, new_job_of, preview_of
from service.console.confirm import Confirmation, confirmation_page
from service.console.lists import cursor_of
from service.console.reason import reason_of
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.bulk import BulkKind
from service.domain.tenant import Scope
from service.errors import FieldError, Invalid
from service.usecases.trail.recording import current_actor

bulk = ConsoleRoutes()
LIST: Final = ("/tenant/bulk", "Replay jobs")
PREVIEW: Final = f"{LIST[0]}/preview"
_DELIVERIES: Final = "/tenant/deliveries"
_PAGE: Final = 20


@bulk.page(LIST[0], needs=Scope.READ)
async def list_replay_jobs(visit: Visit) -> Page:
    page = await visit.runtime.operations.bulk_jobs.page(
        limit=_PAGE, after=cursor_of(visit, ids.BULK_JOB), tenant_id=visit.tenant.id
    )
    more = None if page.after is None else f"{LIST[0]}?cursor={encode_cursor(page.after)}"
    return Page("tenant/bulk_jobs.html", LIST[1], {"jobs": page.items, "more": more})


@bulk.page(PREVIEW, needs=Scope.MANAGE)
async def preview_replay_job(visit: Visit) -> Page:
    """Ask for the confirmation of a replay of all that match the query."""
    body, wanted = preview_of(visit, BulkKind.REPLAY.value, tenant_id=visit.tenant.id)
    preview = await visit.runtime.operations.bulk_jobs.preview(body)
    del wanted["tenant_id"]
    if preview.matched == 0 and not preview.more:
        return Page("oncall/bulk_nothing.html", TITLES[body.kind], {"conditions": wanted, "back": _DELIVERIES})
    informed = await informed_by(visit, preview, body.kind)
    confirmation = confirmation_of(body, wanted, preview, informed, action=LIST[0], back=_DELIVERIES)
    return confirmation_page(TITLES[body.kind], confirmation, parents=(LIST,))


@bulk.action(LIST[0], needs=Scope.MANAGE)
async def start_replay_job(visit: Visit) -> Redirect:
    body = new_job_of(visit)
    if body.kind is not BulkKind.REPLAY:
        raise Invalid(FieldError("/kind", "must be replay", "enum"))
    own = body.model_copy(update={"filter": body.filter.model_copy(update={"tenant_id": visit.tenant.id})})
    job = await visit.runtime.operations.bulk_jobs.start(own, current_actor())
    return Redirect(f"{LIST[0]}/{job.id}", "The job has started.")


@bulk.page("/tenant/bulk/{bulk_job_id}", needs=Scope.READ)
async def show_replay_job(visit: Visit) -> Page:
    jobs, job_id = visit.runtime.operations.bulk_jobs, visit.path_params["bulk_job_id"]
    job = await jobs.get(job_id, tenant_id=visit.tenant.id)
    may_stop = visit.identity.may(Scope.MANAGE) and not job.has_ended and job.stop_reason is None
    conditions = {name: value for name, value in job.selection.to_dict().items() if name != "tenant_id"}
    stop = f"{LIST[0]}/{job.id}/stop" if may_stop else None
    context = {"job": job, "facts": facts_of(job), "conditions": conditions, "stop": stop}
    return Page("oncall/bulk_job.html", job.id, context, parents=(LIST,))


@bulk.page("/tenant/bulk/{bulk_job_id}/stop", needs=Scope.MANAGE)
async def confirm_stop_of_replay_job(visit: Visit) -> Page:
    jobs, job_id = visit.runtime.operations.bulk_jobs, visit.path_params["bulk_job_id"]
    job = await jobs.get(job_id, tenant_id=visit.tenant.id)
    own = f"{LIST[0]}/{job.id}"
    confirmation = Confirmation(
        action=f"{own}/stop",
        button="Stop the job",
        back=own,
        effects=("The job ends before its next step of 50 items. What it has done stays.",),
        facts=facts_of(job),
    )
    return confirmation_page("Stop a replay job", confirmation, parents=(LIST, (own, job.id)))


@bulk.action("/tenant/bulk/{bulk_job_id}/stop", needs=Scope.MANAGE)
async def stop_replay_job(visit: Visit) -> Redirect:
    job_id, reason = visit.path_params["bulk_job_id"], reason_of(visit)
    job = await visit.runtime.operations.bulk_jobs.stop(job_id, reason=reason, tenant_id=visit.tenant.id)
    return Redirect(f"{LIST[0]}/{job.id}", "The job had ended." if job.has_ended else "The job ends soon.")
