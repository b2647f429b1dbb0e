"""``/admin/v1/audit``: compare ledger, budgets, holds and slots."""

from fastapi import APIRouter

from service.api.admin.audit_schemas import AuditProgressView, AuditView
from service.api.http.audited import AuditedRoute
from service.api.http.dependencies import ON_CALL, VIEWER, Gateway
from service.api.schemas import problems
from service.domain.generation_view import rfc3339
from service.usecases.operations.audit import Progress
from service.usecases.operations.audit_jobs import Report

router = APIRouter(prefix="/admin/v1", tags=["admin"], route_class=AuditedRoute)


@router.get(
    "/audit",
    summary="Audit money and slots",
    dependencies=[VIEWER],
    description="Compares ledger, budget windows, holds and slots, in this call if the ledger has 20,000 entries at "
    "most. For a larger ledger it shows the audit that `POST` started. Under traffic, a change between two reads can "
    "look like a difference.",
    responses=problems(404),
)
async def read_audit(gateway: Gateway) -> AuditView:
    return _audit(await gateway.operations.audit_jobs.read())


@router.post(
    "/audit",
    summary="Start an audit",
    dependencies=[ON_CALL],
    description="Workers run it; `GET` shows the progress. If an audit runs already, it continues.",
    status_code=202,
)
async def start_audit(gateway: Gateway) -> AuditView:
    return _audit(await gateway.operations.audit_jobs.start())


def _audit(report: Report) -> AuditView:
    findings, progress = report.findings, report.progress
    return {
        "object": "audit",
        "state": "running" if findings is None else "done",
        "progress": None if progress is None else _progress(progress),
        "started_at": rfc3339(report.started_at),
        "finished_at": None if report.finished_at is None else rfc3339(report.finished_at),
        "clean": None if findings is None else findings.clean,
        "windows": 0 if findings is None else findings.windows,
        "entries": 0 if findings is None else findings.entries,
        "slots": 0 if findings is None else findings.slots,
        "difference_count": 0 if findings is None else findings.difference_count,
        "differences": [
            {"what": d.what, "expected": d.expected, "found": d.found}
            for d in (() if findings is None else findings.listed())
        ],
    }


def _progress(progress: Progress) -> AuditProgressView:
    return {"step": progress.step, "done": progress.done, "total": progress.total}
