"""``bulk``: cancel, dismiss or replay all that match, by the use cases and views of ``/admin/v1/bulk``."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service.api.admin.bulk_schemas import BulkJobView, BulkPreviewView, job_view, preview_view
from service.cli.ops.arguments import Reason
from service.cli.ops.session import Command, refused, with_runtime
from service.cli.output import Columns, JsonOption, show, show_list
from service.domain.bulk import BulkKind
from service.domain.bulk_request import BULK_PREVIEW, NEW_BULK_JOB
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.reason import ACT_REASON
from service.errors import Invalid
from service.usecases.trail.recording import current_actor

if TYPE_CHECKING:
    from service.runtime import Runtime

bulk = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Cancel, dismiss or replay all that match, as a job of the workers.",
)

_Tenant = Annotated[str | None, typer.Option("--tenant", help="The tenant's id, ten_…; required without --id.")]
_Ids = Annotated[list[str] | None, typer.Option("--id", help="Only this one; may be repeated.")]
_After = Annotated[str | None, typer.Option("--created-after", help="After this time: RFC 3339 with an offset.")]
_Before = Annotated[str | None, typer.Option("--created-before", help="Before this time: RFC 3339 with an offset.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Start without a question.")]
_JobId = Annotated[str, typer.Argument(help="The job's id, blk_…")]
_POLL_SECONDS: Final = 1.0
_COLUMNS: Final[Columns] = {
    "id": lambda job: job["id"],
    "kind": lambda job: job["kind"],
    "state": lambda job: job["state"],
    "matched": lambda job: job["matched"],
    "done": lambda job: job["done"],
    "skipped": lambda job: job["skipped"],
    "failed": lambda job: job["failed"],
    "started": lambda job: job["started_at"],
    "by": lambda job: job["actor"],
    "reason": lambda job: job["reason"],
}


@bulk.command("cancel")
def cancel(
    reason: Reason,
    tenant: _Tenant = None,
    id: _Ids = None,  # noqa: A002  (the name of the option)
    status: Annotated[
        str | None,
        typer.Option(
            help="queued, in_flight, submitting, unconfirmed, submitted or in_progress. Default: all of them."
        ),
    ] = None,
    end_user: Annotated[str | None, typer.Option(help="As the tenant names it.")] = None,
    model: Annotated[str | None, typer.Option(help="Only generations of this model.")] = None,
    created_after: _After = None,
    created_before: _Before = None,
    yes: _Yes = False,  # noqa: FBT002
) -> None:
    """Cancel all generations that match. Prints how many they are, and asks first."""
    wanted = {"tenant_id": tenant, "ids": id, "status": status, "end_user_id": end_user, "model": model}
    _run(BulkKind.CANCEL, {**wanted, "created_after": created_after, "created_before": created_before}, reason, yes=yes)


@bulk.command("dismiss")
def dismiss(
    reason: Reason,
    tenant: Annotated[str | None, typer.Option("--tenant", help="The tenant's id, ten_…. Default: of all.")] = None,
    id: _Ids = None,  # noqa: A002  (the name of the option)
    submitted_before: Annotated[str | None, typer.Option(help="RFC 3339 with an offset.")] = None,
    end_user: Annotated[str | None, typer.Option(help="As the tenant names it.")] = None,
    model: Annotated[str | None, typer.Option(help="Only generations of this model.")] = None,
    yes: _Yes = False,  # noqa: FBT002
) -> None:
    """State that fal accepted none of the unconfirmed submits that match: each generation fails at no cost."""
    wanted = {"tenant_id": tenant, "ids": id, "end_user_id": end_user, "model": model}
    _run(BulkKind.DISMISS, {**wanted, "submitted_before": submitted_before}, reason, yes=yes)


@bulk.command("replay")
def replay(
    reason: Reason,
    tenant: _Tenant = None,
    id: _Ids = None,  # noqa: A002  (the name of the option)
    status: Annotated[str, typer.Option(help="dead, or delivered.")] = "dead",
    endpoint: Annotated[str | None, typer.Option(help="Only deliveries to this endpoint, whe_…")] = None,
    event: Annotated[str | None, typer.Option(help="Only deliveries of this event.")] = None,
    generation: Annotated[str | None, typer.Option(help="Only deliveries of this generation, gen_…")] = None,
    created_after: _After = None,
    created_before: _Before = None,
    yes: _Yes = False,  # noqa: FBT002
) -> None:
    """Send all deliveries that match again. Prints how many they are, and asks first."""
    wanted = {"tenant_id": tenant, "ids": id, "status": status, "endpoint_id": endpoint, "event": event}
    wanted["generation_id"] = generation
    _run(BulkKind.REPLAY, {**wanted, "created_after": created_after, "created_before": created_before}, reason, yes=yes)


@bulk.command("list")
def list_jobs(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the newest bulk jobs, 100 at most."""
    page = with_runtime(lambda runtime: runtime.operations.bulk_jobs.page(limit=100, after=None))
    show_list(map(job_view, page.items), _COLUMNS, as_json=as_json)


@bulk.command("show")
def show_job(job_id: _JobId) -> None:
    """Print a bulk job with its progress."""
    show(job_view(with_runtime(lambda runtime: runtime.operations.bulk_jobs.get(job_id))))


@bulk.command("stop")
def stop_job(job_id: _JobId, reason: Reason) -> None:
    """End a bulk job before its next step. What it has done stays."""
    why = _reason(reason)
    act = Command(action="stop_bulk_job", role=Role.OPERATOR, target=job_id, reason=why)
    show(job_view(with_runtime(lambda runtime: runtime.operations.bulk_jobs.stop(job_id, reason=why), act=act)))


def _run(kind: BulkKind, conditions: dict[str, Any], reason: str, *, yes: bool) -> None:
    """Preview, ask, start, and follow the job to its end. Exit 1 if it was stopped or an item failed."""
    given = {name: value for name, value in conditions.items() if value is not None}
    tenant_id, why = given.get("tenant_id"), _reason(reason)
    preview = _preview(kind, given)
    _print_preview(preview)
    if preview["matched"] == 0 and not preview["more"]:
        return
    if not yes:
        _confirm(kind)
    new = {
        "kind": kind,
        "filter": given,
        "reason": why,
        "previewed_at": preview["previewed_at"],
        "expected": preview["matched"],
        "more": preview["more"],
    }

    async def start(runtime: "Runtime") -> str:
        body = parse(NEW_BULK_JOB, json.dumps(new).encode())
        return (await runtime.operations.bulk_jobs.start(body, current_actor())).id

    act = Command(action="start_bulk_job", role=Role.OPERATOR, tenant_id=tenant_id, reason=why)
    job_id = with_runtime(start, act=act)
    typer.echo(f"Started {job_id}. `bulk show` and `bulk stop` work meanwhile.", err=True)
    ended = with_runtime(lambda runtime: _follow(runtime, job_id))
    show(ended)
    if ended["state"] == "stopped" or ended["failed"]:
        raise typer.Exit(1)


def _preview(kind: BulkKind, given: dict[str, Any]) -> BulkPreviewView:
    async def read(runtime: "Runtime") -> BulkPreviewView:
        wanted = parse(BULK_PREVIEW, json.dumps({"kind": kind, "filter": given}).encode())
        return preview_view(kind, await runtime.operations.bulk_jobs.preview(wanted))

    return with_runtime(read, role=Role.OPERATOR)  # no act: the job that follows is one


def _print_preview(preview: BulkPreviewView) -> None:
    matched, more = preview["matched"], "or more " if preview["more"] else ""
    what = "deliveries" if preview["kind"] is BulkKind.REPLAY else "generations"
    typer.echo(f"{matched} {more}{what} match.", err=True)
    if matched == 0:
        return
    typer.echo(f"Created from {preview['oldest']} to {preview['newest']}.", err=True)
    if preview["counted"] < matched:
        typer.echo(f"All of the following is of {preview['counted']} of them, the newest and the oldest.", err=True)
    if preview["kind"] is not BulkKind.REPLAY:
        typer.echo(
            f"Held money: {preview['released']} USD is released; {preview['billable']} USD fal may bill.", err=True
        )
    for share in (*preview["tenants"], *preview["endpoints"]):
        typer.echo(f"  {share['id']}: {share['items']}", err=True)


def _confirm(kind: BulkKind) -> None:
    if not _is_interactive():
        typer.echo(f"Nothing started: without a terminal to ask on, give --yes to {kind.value}.", err=True)
        raise typer.Exit(2)
    typer.confirm(f"{kind.value.capitalize()} all of them?", abort=True, err=True)


def _is_interactive() -> bool:
    return sys.stdin.isatty()


async def _follow(runtime: "Runtime", job_id: str) -> BulkJobView:
    """Print the progress until the job has ended. Ctrl-C ends only this command."""
    shown = -1
    while True:
        job = await runtime.operations.bulk_jobs.get(job_id)
        if job.has_ended:
            return job_view(job)
        if job.processed != shown:
            typer.echo(f"{job.processed} of {job.matched}", err=True)
            shown = job.processed
        await asyncio.sleep(_POLL_SECONDS)


def _reason(text: str) -> str:
    try:
        return parse(ACT_REASON, json.dumps({"reason": text}).encode()).reason
    except Invalid as error:
        raise refused(error) from None
