"""``trail`` and ``audit --trail``: entries of the audit trail, and its verification."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

import typer
from pydantic import TypeAdapter, ValidationError

from service.api.http.trail_views import entry_view, trail_csv
from service.cli.ops.session import with_runtime
from service.cli.output import Columns, show, show_list
from service.domain.timestamps import Moment
from service.domain.trail import Outcome
from service.runtime import Runtime
from service.usecases.trail.pages import Recorded, TrailFilter

_TIME: Final = TypeAdapter(Moment)
_PAGE: Final = 500
_COLUMNS: Final[Columns] = {
    "at": lambda entry: entry["at"],
    "actor": lambda entry: entry["actor"]["name"],
    "kind": lambda entry: entry["actor"]["kind"],
    "action": lambda entry: entry["action"],
    "target": lambda entry: entry["target"],
    "outcome": lambda entry: entry["error"] or entry["outcome"],
    "reason": lambda entry: entry["reason"],
}


def trail(wanted: TrailFilter, *, tenant_id: str | None, limit: int, as_csv: bool, as_json: bool) -> None:
    """Print entries, the newest first."""
    found = map(entry_view, with_runtime(lambda runtime: _read(runtime, wanted, tenant_id, limit)))
    if as_csv:
        typer.echo(trail_csv(found), nl=False)
    else:
        show_list(found, _COLUMNS, as_json=as_json)


async def _read(runtime: Runtime, wanted: TrailFilter, tenant_id: str | None, limit: int) -> list[Recorded]:
    found: list[Recorded] = []
    after: str | None = None
    while len(found) < limit:
        most = min(limit - len(found), _PAGE)
        page = await runtime.trail_pages.page(wanted, tenant_id=tenant_id, limit=most, after=after)
        found += page.entries
        if page.after is None:
            break
        after = page.after
    return found


def parse_time(text: str | None, option: str) -> datetime | None:
    """Return the time of an option. Exit 2 if it is not RFC 3339 with an offset."""
    try:
        return None if text is None else _TIME.validate_python(text)
    except ValidationError:
        raise typer.BadParameter("write a time like 2026-01-31T09:30:00Z", param_hint=option) from None


def parse_outcome(text: str | None) -> Outcome | None:
    try:
        return None if text is None else Outcome(text)
    except ValueError:
        raise typer.BadParameter(f"must be one of {', '.join(Outcome)}", param_hint="--outcome") from None


def verify(*, as_json: bool) -> None:
    """Verify the chain; exit 1 if it is broken."""
    report = with_runtime(lambda runtime: runtime.chain.run(_show_progress))
    if as_json:
        show({"intact": report.break_count == 0, **asdict(report)})
    elif report.break_count == 0:
        typer.echo(f"Intact: {report.entries} entries; the last is {report.last} with the hash {report.last_hash}.")
    else:
        typer.echo(f"Broken in {report.break_count} places:", err=True)
        for found in report.breaks:
            typer.echo(f"entry {found.number}: {found.fault}", err=True)
    if report.break_count:
        raise typer.Exit(1)


async def _show_progress(done: int, total: int) -> None:
    if done % 10_000 == 0:
        typer.echo(f"{done} of {total}", err=True)
