"""Parts of the pages about bulk jobs that operators and tenants share: filters in the URL, preview, forms, facts."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from service.console.confirm import Confirmation
from service.console.lists import pair_of
from service.console.rendering import moment, money
from service.console.visit import Visit
from service.domain.bulk import BulkJob, BulkKind
from service.domain.bulk_request import BULK_PREVIEW, NEW_BULK_JOB, BulkFilterBody, BulkPreviewBody, NewBulkJob
from service.domain.generation_view import rfc3339
from service.domain.json_body import parse
from service.domain.webhook import EventType
from service.errors import Malformed
from service.usecases.operations.bulk.preview import Preview
from service.usecases.webhooks.recipients import MOST_TENANTS, Recipients

#: Conditions in the query of a preview. ``id`` may be repeated, as checkboxes are.
CONDITIONS: Final = tuple(name for name in BulkFilterBody.model_fields if name != "ids")
TITLES: Final[Mapping[BulkKind, str]] = {
    BulkKind.CANCEL: "Cancel generations",
    BulkKind.DISMISS: "Dismiss unconfirmed submits",
    BulkKind.REPLAY: "Replay deliveries",
}
EFFECTS: Final[Mapping[BulkKind, tuple[str, ...]]] = {
    BulkKind.CANCEL: (
        "Workers cancel each generation as its tenant would. Queued ones end at once, at no cost.",
        "fal is asked to cancel the others, and may bill them. Each tenant receives its usual webhooks.",
    ),
    BulkKind.DISMISS: (
        "Workers fail each generation at no cost, and release its hold. Each tenant receives its usual webhook.",
        "If fal has a job after all, fal bills it and no tenant pays.",
    ),
    BulkKind.REPLAY: ("Workers send each delivery again, with all attempts of the schedule.",),
}
_COUNT: Final = re.compile("[0-9]{1,12}")


def preview_of(visit: Visit, kind: str, **fixed: str) -> tuple[BulkPreviewBody, dict[str, Any]]:
    """Return the body of a preview of the query, and its conditions. ``fixed``: conditions that the query cannot set.

    Raises Invalid, Malformed.
    """
    wanted: dict[str, Any] = {name: value for name in CONDITIONS if (value := visit.query.get(name, "").strip())}
    wanted |= fixed
    if "metadata" in wanted:
        wanted["metadata"] = dict([pair_of(wanted["metadata"])])
    wanted["ids"] = visit.request.query_params.getlist("id")
    return parse(BULK_PREVIEW, json.dumps({"kind": kind, "filter": wanted}).encode()), wanted


Facts = list[tuple[str, Any]]


async def informed_by(visit: Visit, preview: Preview, kind: BulkKind) -> Facts:
    """Return who receives webhooks because of the act."""
    service = visit.runtime.webhooks.recipients
    tenants = [tenant_id for tenant_id, _ in preview.most_affected_tenants]
    more = len(preview.tenants) - len(tenants[:MOST_TENANTS])
    if kind is not BulkKind.REPLAY:
        event = EventType.CANCELED if kind is BulkKind.CANCEL else EventType.FAILED
        informed = replace(await service.of_event(tenants, event), more=more).summary
        return [("Informed", informed), ("Also informed", "the webhook_url of each request that has one")]
    known = await service.by_id(tenants)
    urls = [known[each].url for each, _ in preview.most_affected_endpoints if each in known]
    return [("Informed", Recipients(urls, more).summary if urls or more else "the webhook_url of each request")]


def confirmation_of(
    body: BulkPreviewBody, wanted: dict[str, Any], preview: Preview, informed: Facts, *, action: str, back: str
) -> Confirmation:
    """Return the question whether to start a job over a preview. ``informed``: of ``informed_by``."""
    shown = [(name, value) for name, value in wanted.items() if name != "ids"]
    if wanted["ids"]:
        shown.append(("Selected", len(wanted["ids"])))
    return Confirmation(
        action=action,
        button=f"{body.kind.value.capitalize()} {_number(preview)}",
        back=back,
        effects=EFFECTS[body.kind],
        facts=[*shown, *_facts(preview, body.kind), *informed],
        hidden=(
            ("kind", body.kind.value),
            ("filter", json.dumps(wanted)),
            ("previewed_at", rfc3339(preview.previewed_at)),
            ("expected", str(preview.matched)),
            ("more", "yes" if preview.more else ""),
        ),
        is_dangerous=body.kind is not BulkKind.REPLAY,
    )


def new_job_of(visit: Visit) -> NewBulkJob:
    """Return the job of a form of ``confirmation_of``. Raises Malformed, Invalid."""
    form = visit.form
    try:
        conditions = json.loads(form.text("filter"))
    except (ValueError, RecursionError):
        raise _not_of_a_preview() from None
    if not isinstance(conditions, dict) or not _COUNT.fullmatch(form.text("expected")):
        raise _not_of_a_preview()
    body = {
        "kind": form.text("kind"),
        "filter": conditions,
        "reason": form.text("reason"),
        "previewed_at": form.text("previewed_at"),
        "expected": int(form.text("expected")),
        "more": form.text("more") == "yes",
    }
    return parse(NEW_BULK_JOB, json.dumps(body).encode())


def _not_of_a_preview() -> Malformed:
    return Malformed("The form is not that of a preview.")


def target_of(visit: Visit, path: str, kind: BulkKind, names: tuple[str, ...], **fixed: str) -> str:
    """Return the path of a preview over the filters of a list."""
    given = {name: value for name in names if (value := visit.query.get(name, "").strip())}
    return f"{path}?{urlencode({'kind': kind.value, **given, **fixed})}"


def _number(preview: Preview) -> str:
    return f"{preview.matched:,}{' or more' if preview.more else ''}"


def _facts(preview: Preview, kind: BulkKind) -> Facts:
    facts: Facts = [("Match", _number(preview))]
    if preview.counted < preview.matched or preview.more:
        facts.append(("Of which counted here", f"{preview.counted:,}, the newest and the oldest"))
    facts += [("Oldest", moment(preview.oldest)), ("Newest", moment(preview.newest))]
    if kind is not BulkKind.REPLAY:
        facts += [("Released at once", money(preview.held)), ("fal may bill", money(preview.billable))]
        facts += [("End users", len(preview.end_users))]
    facts += [(f"Of {name}", f"{items:,}") for name, items in preview.most_affected_tenants]
    return facts + [(f"To {name}", f"{items:,}") for name, items in preview.most_affected_endpoints]


def facts_of(job: BulkJob) -> Facts:
    """Return what a page shows of a job."""
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
