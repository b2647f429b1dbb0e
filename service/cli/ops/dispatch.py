"""``pause``, ``drain``, ``resume``: the use cases and views of ``/admin/v1``."""

import asyncio
import json
from typing import Final

import typer

from service.api.admin.dispatch import dispatch_view
from service.cli.ops.session import Command, refused, with_runtime
from service.cli.output import show
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.reason import REASON
from service.errors import Invalid
from service.runtime import Runtime

_POLL_SECONDS: Final = 1.0
_INTERRUPTED: Final = 130


def pause(reason: str) -> None:
    why = _checked(reason)
    act = Command(action="pause_dispatch", role=Role.OPERATOR, reason=why)
    show(dispatch_view(with_runtime(lambda runtime: runtime.operations.gate.pause(why), act=act)))


def resume() -> None:
    act = Command(action="resume_dispatch", role=Role.OPERATOR)
    show(dispatch_view(with_runtime(lambda runtime: runtime.operations.gate.resume(), act=act)))


def drain(reason: str, timeout: float) -> None:
    """Refuse creates until all generations have ended. After ``timeout`` seconds exit 1; the drain stays on."""
    why = _checked(reason)
    act = Command(action="drain_gateway", role=Role.OPERATOR, reason=why)
    gate = with_runtime(lambda runtime: runtime.operations.gate.drain(why), act=act)
    try:
        show(dispatch_view(gate))
        left = with_runtime(lambda runtime: _wait_until_drained(runtime, timeout))
    except (KeyboardInterrupt, typer.Exit) as stopped:  # the error of the wait is printed
        typer.echo("No longer waiting; still draining. `resume` accepts new generations.", err=True)
        raise typer.Exit(getattr(stopped, "exit_code", _INTERRUPTED)) from None
    if left:
        typer.echo(f"{left} generations have not ended yet; still draining. `resume` accepts new ones.", err=True)
        raise typer.Exit(1)
    typer.echo("Drained: all generations have ended. `resume` accepts new ones.", err=True)


def _checked(reason: str) -> str:
    """Return the reason as the API would store it. Exit 2 if the API would refuse it."""
    try:
        return parse(REASON, json.dumps({"reason": reason}).encode()).reason
    except Invalid as error:
        raise refused(error) from None


async def _wait_until_drained(runtime: Runtime, timeout: float) -> int:
    """Return the number of unfinished generations when none is left or the time is over."""
    give_up = asyncio.get_running_loop().time() + timeout
    while left := await runtime.stores.queue.unfinished():
        if asyncio.get_running_loop().time() >= give_up:
            return left
        await asyncio.sleep(_POLL_SECONDS)
    return 0
