"""Bulk jobs: choose what matches, confirm a preview with a reason, follow the job, stop it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from service.api.admin.bulk import previewed, started
from service.api.admin.bulk_schemas import BULK_PREVIEW, NEW_BULK_JOB, BulkFilterBody
from service.api.http.cursors import decode_cursor, encode_cursor
from service.console.confirm import Confirmation, confirmation_page
from service.console.reason import reason_of
from service.console.rendering import moment, money
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.bulk import BulkJob, BulkKind
from service.domain.generation_view import rfc3339
from service.domain.operator import Role
from service.domain.request import parse
from service.domain.webhook import EventType
from service.errors import Malformed
from service.usecases.operations.bulk.preview import Preview
from service.usecases.trail.recording import current_actor
from service.usecases.webhooks.recipients import MOST_TENANTS, Recipients

bulk = ConsoleRoutes()
_LIST: Final = ("/oncall/bulk", "Bulk jobs")
_PAGE: Final = 20
#: Conditions in the query of a preview; ``id`` may be repeated, as checkboxes are.
_CONDITIONS: Final = tuple(name for name in BulkFilterBody.model_fields if name != "ids")
_EFFECTS: Final[Mapping[BulkKind, tuple[str, ...]]] = {
    BulkKind.CANCEL: (
        "Workers cancel each generation as its tenant would. Queued ones end at once, at no cost.",
        "fal is asked to cancel the others, and may bill them. Each tenant receives its usual webhooks.",
    ),
    BulkKind.REPLAY: ("Workers send each delivery again, with all attempts of the schedule.",),
}


@bulk.page("/oncall/bulk", needs=Role.VIEWER)
async def list_bulk_jobs(visit: Visit) -> Page:
    cursor = visit.query.get("cursor")
    after = None if not cursor else decode_cursor(cursor, ids.BULK_JOB)
    page = await visit.runtime.operations.bulk_jobs.page(limit=_PAGE, after=after)
    more = None if page.after is None else f"/oncall/bulk?cursor={encode_cursor(page.after)}"
    return Page(
        "oncall/bulk_jobs.html", _LIST[1], {"jobs": page.items, "more": more, "may_act": visit.may(Role.OPERATOR)}
    )


@bulk.page("/oncall/bulk/preview", needs=Role.OPERATOR)
async def preview_bulk_job(visit: Visit) -> Page:
    """Ask for the confirmation of an act on all that match the query."""
    wanted = {name: value for name in _CONDITIONS if (value := visit.query.get(name, "").strip())}
    conditions: dict[str, Any] = {**wanted, "ids": visit.request.query_params.getlist("id")}
    body = parse(BULK_PREVIEW, json.dumps({"kind": visit.query.get("kind", ""), "filter": conditions}).encode())
    preview = await previewed(visit.runtime, body)
    title = "Cancel generations" if body.kind is BulkKind.CANCEL else "Replay deliveries"
    if preview.matched == 0:
        return Page("oncall/bulk_nothing.html", title, {"conditions": wanted}, parents=(_LIST,))
    confirmation = Confirmation(
        action="/oncall/bulk",
        button=f"{body.kind.value.capitalize()} {preview.matched:,}{' or more' if preview.more else ''}",
        back="/oncall/bulk",
        effects=_EFFECTS[body.kind],
        facts=[*wanted.items(), *_facts(preview, body.kind), *await _informed(visit, preview, body.kind)],
        hidden=(
            ("kind", body.kind.value),
            ("filter", json.dumps(conditions)),
            ("previewed_at", rfc3339(preview.previewed_at)),
            ("expected", str(preview.matched)),
        ),
        is_dangerous=body.kind is BulkKind.CANCEL,
    )
    return confirmation_page(title, confirmation, parents=(_LIST,))


@bulk.action("/oncall/bulk", needs=Role.OPERATOR)
async def start_bulk_job(visit: Visit) -> Redirect:
    form = visit.form
    try:
        body = {
            "kind": form.text("kind"),
            "filter": json.loads(form.text("filter")),
            "reason": form.text("reason"),
            "previewed_at": form.text("previewed_at"),
            "expected": int(form.text("expected")),
        }
    except (ValueError, RecursionError):
        raise Malformed("The form is not that of a preview.") from None
    job = await started(visit.runtime, parse(NEW_BULK_JOB, json.dumps(body).encode()), current_actor())
    return Redirect(f"/oncall/bulk/{job.id}", "The job has started.")


@bulk.page("/oncall/bulk/{bulk_job_id}", needs=Role.VIEWER)
async def show_bulk_job(visit: Visit) -> Page:
    job = await visit.runtime.operations.bulk_jobs.get(visit.path_params["bulk_job_id"])
    may_stop = visit.may(Role.OPERATOR) and not job.has_ended and job.stop_reason is None
    context = {"job": job, "facts": _job_facts(job), "conditions": job.filter.to_dict(), "may_stop": may_stop}
    return Page("oncall/bulk_job.html", job.id, context, parents=(_LIST,))


@bulk.page("/oncall/bulk/{bulk_job_id}/stop", needs=Role.OPERATOR)
async def confirm_stop(visit: Visit) -> Page:
    job = await visit.runtime.operations.bulk_jobs.get(visit.path_params["bulk_job_id"])
    confirmation = Confirmation(
        action=f"/oncall/bulk/{job.id}/stop",
        button="Stop the job",
        back=f"/oncall/bulk/{job.id}",
        effects=("The job ends before its next step of 50 items. What it has done stays.",),
        facts=_job_facts(job),
    )
    return confirmation_page("Stop a bulk job", confirmation, parents=(_LIST, (f"/oncall/bulk/{job.id}", job.id)))


@bulk.action("/oncall/bulk/{bulk_job_id}/stop", needs=Role.OPERATOR)
async def stop_bulk_job(visit: Visit) -> Redirect:
    job_id, reason = visit.path_params["bulk_job_id"], reason_of(visit)
    job = await visit.runtime.operations.bulk_jobs.stop(job_id, reason=reason)
    return Redirect(f"/oncall/bulk/{job.id}", "The job had ended." if job.has_ended else "The job ends soon.")


def _facts(preview: Preview, kind: BulkKind) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("Match", f"{preview.matched:,}{' or more' if preview.more else ''}"),
        ("Oldest", moment(preview.oldest)),
        ("Newest", moment(preview.newest)),
    ]
    if kind is BulkKind.CANCEL:
        facts += [("Released at once", money(preview.held)), ("fal may bill", money(preview.billable))]
        facts += [("End users", len(preview.end_users))]
    facts += [(f"Of {name}", f"{items:,}") for name, items in preview.most_affected_tenants]
    return facts + [(f"To {name}", f"{items:,}") for name, items in preview.most_affected_endpoints]


async def _informed(visit: Visit, preview: Preview, kind: BulkKind) -> list[tuple[str, Any]]:
    """Return who receives webhooks because of the act."""
    service = visit.runtime.webhooks.recipients
    tenants = [tenant_id for tenant_id, _ in preview.most_affected_tenants]
    more = len(preview.tenants) - len(tenants[:MOST_TENANTS])
    if kind is BulkKind.CANCEL:
        found = await service.of_event(tenants, EventType.CANCELED)
        informed = replace(found, more=more).summary
        return [("Informed", informed), ("Also informed", "the webhook_url of each request that has one")]
    known = await service.by_id(tenants)
    urls = [known[each].url for each, _ in preview.most_affected_endpoints if each in known]
    return [("Informed", Recipients(urls, more).summary if urls or more else "the webhook_url of each request")]


def _job_facts(job: BulkJob) -> list[tuple[str, Any]]:
    return [
        ("State", "stopping" if job.stop_reason is not None and not job.has_ended else job.state.value),
        ("Matched", f"{job.matched:,}"),
        ("Done", f"{job.done:,}"),
        ("Skipped", f"{job.skipped:,}"),
        ("Failed", f"{job.failed:,}"),
        ("Started", moment(job.started_at)),
        ("By", job.actor.name),
        ("Reason", job.reason),
        ("Finished", moment(job.finished_at)),
    ]
