"""``pause``, ``drain``, ``resume``: what ``/admin/v1`` does, straight on the store."""

import asyncio
from typing import Final

import typer

from service.api.admin.dispatch import dispatch_view
from service.cli.ops.commands import with_runtime
from service.cli.output import show
from service.runtime import Runtime

_LOOK_SECONDS: Final = 1.0


def pause(reason: str) -> None:
    show(dispatch_view(with_runtime(lambda runtime: runtime.operations.gate.pause(reason))))


def resume() -> None:
    show(dispatch_view(with_runtime(lambda runtime: runtime.operations.gate.resume())))


def drain(reason: str, timeout: float) -> None:
    """Exit 1 when something is left after ``timeout`` seconds; it stays draining."""
    left = with_runtime(lambda runtime: _run_empty(runtime, reason, timeout))
    if left:
        typer.echo(f"{left} generations have not ended yet; still draining. `resume` accepts new ones.", err=True)
        raise typer.Exit(1)
    typer.echo("Empty: nothing is queued or at fal. `resume` accepts new ones.", err=True)


async def _run_empty(runtime: Runtime, reason: str, timeout: float) -> int:
    show(dispatch_view(await runtime.operations.gate.drain(reason)))
    give_up = asyncio.get_running_loop().time() + timeout
    while left := await runtime.stores.queue.unfinished():
        if asyncio.get_running_loop().time() >= give_up:
            return left
        await asyncio.sleep(_LOOK_SECONDS)
    return 0
