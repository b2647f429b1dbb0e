"""``unconfirmed``, ``resolve``, ``paid-and-lost``, ``revive``: the use cases and shapes of ``/admin/v1``."""

import json
from typing import Any, Final

import typer

from service.api.admin.unconfirmed import (
    DISMISSAL,
    MOST_LISTED,
    RESOLUTION,
    REVIVAL,
    OperatorsGenerationView,
    dismissed_view,
    operators_view,
    paid_and_lost_view,
    resolved,
    unconfirmed_view,
)
from service.cli.ops.commands import with_runtime
from service.cli.output import Columns, show, show_list
from service.domain.request import parse
from service.runtime import Runtime
from service.usecases.operations.unconfirmed import Dismissed

_COLUMNS: Final[Columns] = {
    "id": lambda one: one["id"],
    "tenant": lambda one: one["tenant_id"],
    "since": lambda one: one["since"],
    "deadline": lambda one: one["deadline"],
    "held USD": lambda one: one["estimated_cost"],
    "cancel requested": lambda one: one["cancel_requested_at"],
}


def unconfirmed(*, as_json: bool) -> None:
    found, count = with_runtime(lambda runtime: runtime.operations.unconfirmed.unconfirmed(limit=MOST_LISTED))
    show_list(map(unconfirmed_view, found), _COLUMNS, as_json=as_json)
    if count > len(found):
        typer.echo(f"{count} in all; the oldest are shown.", err=True)


def resolve(
    generation_id: str, *, fal_request_id: str | None, never_happened: bool, unchecked: bool, reason: str
) -> None:
    given: dict[str, Any] = {"fal_request_id": fal_request_id, "never_happened": never_happened or None}
    body = json.dumps({**given, "unchecked": unchecked, "reason": reason}).encode()

    async def work(runtime: Runtime) -> OperatorsGenerationView:
        return operators_view(await resolved(runtime, generation_id, parse(RESOLUTION, body)))

    show(with_runtime(work))


def dismiss_all(*, before: str, reason: str) -> None:
    """Dismiss in bounded calls until none submitted before that time is left."""
    body = json.dumps({"before": before, "reason": reason}).encode()

    async def work(runtime: Runtime) -> Dismissed:
        wanted, count = parse(DISMISSAL, body), 0
        while True:
            done = await runtime.operations.unconfirmed.dismiss_all(wanted.before, wanted.reason)
            count += done.dismissed
            if not done.left or not done.dismissed:
                return Dismissed(count, done.left)

    show(dismissed_view(with_runtime(work)))


def paid_and_lost() -> None:
    found, count = with_runtime(lambda runtime: runtime.operations.unconfirmed.paid_and_lost(limit=MOST_LISTED))
    for one in found:
        show(paid_and_lost_view(one))
    if count > len(found):
        typer.echo(f"{count} in all; the oldest are shown.", err=True)


def revive(generation_id: str, *, fal_request_id: str | None, reason: str) -> None:
    body = json.dumps({"fal_request_id": fal_request_id, "reason": reason}).encode()

    async def work(runtime: Runtime) -> OperatorsGenerationView:
        wanted = parse(REVIVAL, body)
        revived = await runtime.operations.unconfirmed.revive(
            generation_id, wanted.reason, request_id=wanted.fal_request_id
        )
        return operators_view(revived)

    show(with_runtime(work))
