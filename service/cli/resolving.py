"""``unconfirmed`` and ``resolve``: what ``/admin/v1`` does about submits in doubt, straight on the store."""

import json
from typing import Any

import typer

from service.api.resolving import (
    MOST_LISTED,
    RESOLUTION,
    OperatorsGenerationView,
    operators_view,
    resolved,
    unconfirmed_view,
)
from service.cli.operators import show, with_runtime
from service.domain.request import parse
from service.runtime import Runtime


def unconfirmed() -> None:
    found, count = with_runtime(lambda runtime: runtime.resolving.unconfirmed(limit=MOST_LISTED))
    for one in found:
        show(unconfirmed_view(one))
    if count > len(found):
        typer.echo(f"{count} in all; the oldest are shown.", err=True)


def resolve(generation_id: str, *, request_id: str | None, never_happened: bool, unchecked: bool, reason: str) -> None:
    given: dict[str, Any] = {"request_id": request_id, "never_happened": never_happened or None}
    body = json.dumps({**given, "unchecked": unchecked, "reason": reason}).encode()

    async def work(runtime: Runtime) -> OperatorsGenerationView:
        return operators_view(await resolved(runtime, generation_id, parse(RESOLUTION, body)))

    show(with_runtime(work))
