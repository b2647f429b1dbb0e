"""``doctor``: the findings as a table or as JSON."""

import sys
from dataclasses import asdict
from typing import Final

import typer
from rich.console import Console
from rich.table import Table

from service.cli.ops.session import with_runtime
from service.cli.output import show
from service.usecases.operations.doctor import CheckStatus, Finding

#: Width of the table if stdout is not a terminal: a program reads it, or a shell in a container.
_WIDTH_WITHOUT_TERMINAL: Final = 1000
_COLOURS: Final = {CheckStatus.OK: "green", CheckStatus.WARN: "yellow", CheckStatus.FAIL: "red"}


def doctor(*, as_json: bool, models: bool) -> None:
    """Print the findings. Exit 1 if a check fails; warnings exit 0."""
    findings = with_runtime(lambda runtime: runtime.operations.doctor.run(models=models))
    healthy = all(finding.status is not CheckStatus.FAIL for finding in findings)
    if as_json:
        show({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        _print_table(findings)
    if not healthy:
        raise typer.Exit(1)


def _print_table(findings: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for head in ("", "check", "found", "what to do"):
        table.add_column(head, overflow="fold")
    for finding in findings:
        colour = _COLOURS[finding.status]
        table.add_row(f"[{colour}]{finding.status}[/]", finding.check, _plain(finding.detail), _plain(finding.remedy))
    Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL).print(table)


def _plain(text: str) -> str:
    """Escape square brackets, which rich reads as markup."""
    return text.replace("[", "\\[")
