"""``audit``: the differences as a table or as JSON."""

from dataclasses import asdict
from typing import Final

import typer

from service.cli.ops.session import with_runtime
from service.cli.output import show
from service.usecases.operations.audit import Findings, Progress

_LONG_STEP: Final = 20_000
_PROGRESS_EVERY: Final = 10_000


def audit(*, as_json: bool) -> None:
    """Print the differences; exit 1 if there are any."""
    findings = with_runtime(lambda runtime: runtime.operations.audit.run(_show_progress))
    if as_json:
        show({"clean": findings.clean, "differences": [asdict(d) for d in findings.listed()]})
    else:
        _print_findings(findings)
    if not findings.clean:
        raise typer.Exit(1)


async def _show_progress(progress: Progress) -> None:
    """Print a line for each 10,000 entries of a long step."""
    if progress.total > _LONG_STEP and progress.done % _PROGRESS_EVERY == 0:
        typer.echo(f"{progress.step}: {progress.done} of {progress.total}", err=True)


def _print_findings(findings: Findings) -> None:
    books = f"{findings.entries} ledger entries, {findings.windows} windows, {findings.slots} slots"
    if findings.clean:
        typer.echo(f"Clean: {books} agree.")
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=f"{len(findings.differences)} differences ({books})")
    for head in ("what", "expected", "found"):
        table.add_column(head, overflow="fold")
    for difference in findings.listed():
        table.add_row(difference.what, difference.expected, difference.found)
    Console(stderr=True).print(table)
