"""Commands of operators: their options. Each imports its implementation when it runs."""

from typing import Annotated, Literal

import typer

from service.cli.output import JsonOption

_Reason = Annotated[
    str, typer.Option(help="Why, 500 characters at most; shown in the state of the dispatch gate, and logged.")
]


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,  # noqa: FBT002
    of_trail: Annotated[  # noqa: FBT002
        bool, typer.Option("--trail", help="Verify the hash chain of the audit trail instead.")
    ] = False,
) -> None:
    """Compare ledger, budgets, holds and slots with the records; print the first differences; exit 1 if any."""
    from service.cli.ops import audit, trail  # noqa: PLC0415

    if of_trail:
        trail.verify(as_json=as_json)
    else:
        audit.audit(as_json=as_json)


def trail(
    tenant: Annotated[str | None, typer.Option(help="Only entries about this tenant, ten_…")] = None,
    actor: Annotated[str | None, typer.Option(help="Only of the actor with this id or name.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this operation, like suspend_tenant.")] = None,
    target: Annotated[str | None, typer.Option(help="Only acts on this id.")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="Only entries with this outcome: done, refused, failed or unknown.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Recorded at or after, like 2026-01-31T09:30:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Recorded before, like 2026-01-31T09:30:00Z.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most entries that are printed.")] = 100,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List the audit trail, newest first: who did what, when, why, and with which outcome."""
    from service.cli.ops import trail as entries  # noqa: PLC0415
    from service.usecases.trail.pages import TrailFilter  # noqa: PLC0415

    wanted = TrailFilter(
        actor=actor,
        action=action,
        target=target,
        outcome=entries.parse_outcome(outcome),
        after=entries.parse_time(since, "--since"),
        before=entries.parse_time(until, "--until"),
    )
    entries.trail(wanted, tenant_id=tenant, limit=limit, as_csv=as_csv, as_json=as_json)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,  # noqa: FBT002
    models: Annotated[  # noqa: FBT002
        bool, typer.Option("--models", help="Also compare each enabled model with the schema that fal publishes.")
    ] = False,
) -> None:
    """Check Redis, broker, beat, workers, fal key and settings. Print what to do; exit 1 if a check fails."""
    from service.cli.ops import doctor  # noqa: PLC0415

    doctor.doctor(as_json=as_json, models=models)


def pause(reason: _Reason) -> None:
    """Stop submits to fal until `resume`. Submitted generations are still polled; webhooks are sent."""
    from service.cli.ops import dispatch  # noqa: PLC0415

    dispatch.pause(reason)


def drain(
    reason: _Reason,
    timeout: Annotated[
        float,
        typer.Option(help="Seconds to wait for the end of all accepted generations; then exit 1, still draining."),
    ] = 600.0,
) -> None:
    """Refuse new generations until `resume`, and wait until all accepted ones have ended."""
    from service.cli.ops import dispatch  # noqa: PLC0415

    dispatch.drain(reason, timeout)


def resume() -> None:
    """Accept and dispatch again, after a pause, a drain, or a locked or failing account."""
    from service.cli.ops import dispatch  # noqa: PLC0415

    dispatch.resume()


def unconfirmed(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the generations whose submit has an unknown outcome, oldest first."""
    from service.cli.ops import unconfirmed  # noqa: PLC0415

    unconfirmed.unconfirmed(as_json=as_json)


def resolve(
    reason: Annotated[str, typer.Option(help="Why; written into the ledger.")],
    generation_id: Annotated[str | None, typer.Argument(help="The generation's id, gen_…")] = None,
    fal_request_id: Annotated[str | None, typer.Option(help="fal's id of the job; the job is then polled.")] = None,
    never_happened: Annotated[  # noqa: FBT002
        bool, typer.Option("--never-happened", help="fal did not accept the submit: fail the generation at no cost.")
    ] = False,
    unchecked: Annotated[  # noqa: FBT002
        bool, typer.Option("--unchecked", help="Adopt the request id without asking fal, while fal is unreachable.")
    ] = False,
    everything: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--all", help="With --never-happened and --before: all unconfirmed submits before that time."),
    ] = False,
    before: Annotated[str | None, typer.Option(help="With --all: submitted before, like 2026-01-31T09:30:00Z.")] = None,
) -> None:
    """Resolve an unconfirmed submit: name fal's request id, or state that fal did not accept it."""
    from service.cli.ops import unconfirmed  # noqa: PLC0415

    if never_happened == (fal_request_id is not None):
        raise typer.BadParameter("give either --fal-request-id or --never-happened")
    if everything != (before is not None) or everything == (generation_id is not None):
        raise typer.BadParameter("give either a generation's id, or --all with --before")
    if before is not None:
        if not never_happened:
            raise typer.BadParameter("--all goes with --never-happened")
        unconfirmed.dismiss_all(before=before, reason=reason)
    elif generation_id is not None:
        unconfirmed.resolve(
            generation_id,
            fal_request_id=fal_request_id,
            never_happened=never_happened,
            unchecked=unchecked,
            reason=reason,
        )


def paid_and_lost() -> None:
    """Print given-up generations whose video fal reported or may have billed, one JSON object a line."""
    from service.cli.ops import unconfirmed  # noqa: PLC0415

    unconfirmed.paid_and_lost()


def revive(
    generation_id: Annotated[str, typer.Argument(help="The generation's id, gen_…")],
    reason: Annotated[str, typer.Option(help="Why; written into the ledger.")],
    fal_request_id: Annotated[
        str | None, typer.Option(help="fal's request id; required if neither the record nor a callback has it.")
    ] = None,
) -> None:
    """Poll a given-up generation again, whose job fal has."""
    from service.cli.ops import unconfirmed  # noqa: PLC0415

    unconfirmed.revive(generation_id, fal_request_id=fal_request_id, reason=reason)


def adjust(
    amount: Annotated[str, typer.Option(help="US dollars to add to the cost; -1.50 subtracts 1.50.")],
    expected: Annotated[str, typer.Option(help="Current cost in US dollars; refused if the cost differs.")],
    reason: Annotated[str, typer.Option(help="Why; written into the ledger.")],
    operator: Annotated[str, typer.Option(envvar="USER", help="Name of the operator; written into the ledger.")],
    generation_id: Annotated[
        str | None,
        typer.Argument(help="Id of the ended generation, gen_…; without it give --tenant, --end-user and --day."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant of a generation whose record was purged.")] = None,
    end_user: Annotated[str | None, typer.Option(help="Pseudonym of that generation's end user, eu_…")] = None,
    day: Annotated[
        str | None, typer.Option(help="Day on which that generation was created (UTC), like 2026-01-31.")
    ] = None,
) -> None:
    """Correct the cost of an ended generation: record, budget windows, usage and ledger."""
    from service.cli.ops import adjustments  # noqa: PLC0415

    given = {"generation_id": generation_id, "tenant_id": tenant, "end_user": end_user, "day": day}
    adjustments.adjust(
        {**given, "amount_usd": amount, "expected_usd": expected, "operator": operator, "reason": reason}
    )


def console_login(
    url: Annotated[
        str | None,
        typer.Option(
            help="URL of the gateway for your browser. Default: GATEWAY_PUBLIC_URL, or http://127.0.0.1:8080."
        ),
    ] = None,
) -> None:
    """Print a link that logs in to the console once, within five minutes: as the operator of GATEWAY_OPERATOR_TOKEN.

    Without that variable it logs in as admin, under the name of the user of this machine.
    """
    from service.cli.ops import console  # noqa: PLC0415

    console.console_login(url)


def usage(
    by: Annotated[
        Literal["tenant", "day", "model", "end_user", "code"],
        typer.Option(help="Rows of the table; end_user needs --tenant."),
    ] = "tenant",
    month: Annotated[str | None, typer.Option(help="A month (UTC), like 2026-01. Default: this one.")] = None,
    start: Annotated[str | None, typer.Option(help="First day (UTC), in place of a month.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day (UTC), at most 92 days from --start.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only, ten_…")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Print counts and money of all tenants in a month, deleted tenants included, and the total."""
    from service.cli.ops import usage  # noqa: PLC0415

    usage.usage(by, month=month, start=start, end=end, tenant_id=tenant, as_csv=as_csv, as_json=as_json)


def budgets(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Print the tenants that have used most of their monthly budget, the highest share first."""
    from service.cli.ops import usage  # noqa: PLC0415

    usage.budgets(as_json=as_json)


def rotate_secret_key() -> None:
    """Encrypt all tenants' secrets with the first key in GATEWAY_SECRET_KEY."""
    from service.cli.ops import tenants  # noqa: PLC0415

    tenants.rotate_secret_key()


def register(app: typer.Typer) -> None:
    app.command()(audit)
    app.command()(trail)
    app.command()(doctor)
    app.command()(pause)
    app.command()(drain)
    app.command()(resume)
    app.command()(unconfirmed)
    app.command()(resolve)
    app.command("paid-and-lost")(paid_and_lost)
    app.command()(revive)
    app.command()(adjust)
    app.command("console-login")(console_login)
    app.command()(usage)
    app.command()(budgets)
    app.command("rotate-secret-key")(rotate_secret_key)
