"""``unconfirmed``, ``resolve``, ``paid-and-lost``, ``revive``: the use cases and views of ``/admin/v1``."""

import json
from typing import Any, Final

import typer

from service.api.admin.generation_views import OperatorsGenerationView, operators_view
from service.api.admin.unconfirmed_schemas import (
    DISMISSAL,
    MOST_LISTED,
    RESOLUTION,
    REVIVAL,
    dismissed_view,
    paid_and_lost_view,
    unconfirmed_view,
)
from service.cli.ops.session import Command, with_runtime
from service.cli.output import Columns, show, show_list
from service.domain.json_body import parse
from service.domain.operator import Role
from service.runtime import Runtime
from service.usecases.operations.unconfirmed import Dismissed

_COLUMNS: Final[Columns] = {
    "id": lambda view: view["id"],
    "tenant": lambda view: view["tenant_id"],
    "since": lambda view: view["since"],
    "deadline": lambda view: view["deadline"],
    "held USD": lambda view: view["estimated_cost"],
    "cancel requested": lambda view: view["cancel_requested_at"],
}


def unconfirmed(*, as_json: bool) -> None:
    found, count = with_runtime(lambda runtime: runtime.operations.unconfirmed.unconfirmed(limit=MOST_LISTED))
    show_list(map(unconfirmed_view, found), _COLUMNS, as_json=as_json)
    if count > len(found):
        typer.echo(f"{count} in all; the oldest are shown.", err=True)


def resolve(
    generation_id: str, *, fal_request_id: str | None, never_happened: bool, unchecked: bool, reason: str
) -> None:
    outcome: dict[str, Any] = {"fal_request_id": fal_request_id, "never_happened": never_happened or None}
    body = json.dumps({**outcome, "unchecked": unchecked, "reason": reason}).encode()

    async def work(runtime: Runtime) -> OperatorsGenerationView:
        wanted = parse(RESOLUTION, body)
        resolved = await runtime.operations.unconfirmed.resolve(
            generation_id, wanted.reason, request_id=wanted.fal_request_id, unchecked=wanted.unchecked
        )
        return operators_view(resolved)

    show(with_runtime(work, act=_act("resolve_unconfirmed", reason, target=generation_id)))


def dismiss_all(*, before: str, reason: str) -> None:
    """Dismiss all unconfirmed submits before a time, in bounded calls."""
    body = json.dumps({"before": before, "reason": reason}).encode()

    async def work(runtime: Runtime) -> Dismissed:
        dismissal, count = parse(DISMISSAL, body), 0
        while True:
            done = await runtime.operations.unconfirmed.dismiss_all(dismissal.before, dismissal.reason)
            count += done.dismissed
            if not done.left or not done.dismissed:
                return Dismissed(count, done.left)

    show(dismissed_view(with_runtime(work, act=_act("dismiss_unconfirmed", reason))))


def paid_and_lost() -> None:
    found, count = with_runtime(lambda runtime: runtime.operations.unconfirmed.paid_and_lost(limit=MOST_LISTED))
    for generation in found:
        show(paid_and_lost_view(generation))
    if count > len(found):
        typer.echo(f"{count} in all; the oldest are shown.", err=True)


def revive(generation_id: str, *, fal_request_id: str | None, reason: str) -> None:
    body = json.dumps({"fal_request_id": fal_request_id, "reason": reason}).encode()

    async def work(runtime: Runtime) -> OperatorsGenerationView:
        revival = parse(REVIVAL, body)
        revived = await runtime.operations.unconfirmed.revive(
            generation_id, revival.reason, request_id=revival.fal_request_id
        )
        return operators_view(revived)

    show(with_runtime(work, act=_act("revive_generation", reason, target=generation_id)))


def _act(action: str, reason: str, *, target: str | None = None) -> Command:
    return Command(action=action, role=Role.OPERATOR, target=target, reason=reason)
