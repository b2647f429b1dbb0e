"""Commands of ``seedance-gateway``: their options. Each imports its implementation when it runs."""

import json
import shlex
import signal
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from service.build_info import commit, version
from service.cli.celery_commands import become_celery
from service.cli.client import generate
from service.cli.dev.child_processes import Child, ChildFailed, PortTaken
from service.cli.dev.embedded_redis import NoRedis
from service.cli.output import JsonOption


class _LazyGroup(TyperGroup):
    """Group of commands whose module is imported when one of them is used or listed."""

    def _group(self) -> Any:
        from service.cli.ops import tenants  # noqa: PLC0415

        return typer.main.get_command(getattr(tenants, str(self.name)))

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # click's own is a base
        return list(self._group().list_commands(ctx))

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        return self._group().get_command(ctx, cmd_name)


class _Commands(TyperGroup):
    """Commands; ``generate`` and ``--help`` start without the modules of the groups."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [*super().list_commands(ctx), *_GROUPS]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in _GROUPS:
            return super().get_command(ctx, cmd_name)
        return _LazyGroup(name=cmd_name, help=_GROUPS[cmd_name], no_args_is_help=True)


_GROUPS: Final = {
    "tenants": "Create, read, change and delete tenants.",
    "keys": "Create, list, rotate and revoke API keys.",
}
_PORT: Final = 65535


def _pem(words: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, readable=True, help=words)


_Reason = Annotated[str, typer.Option(help="Why; shown in the state of the dispatch gate, and logged.")]

app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("generate")(generate.generate)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  (typer's own form)
    if wanted:
        typer.echo(f"{version()} ({commit()})")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[  # noqa: FBT002
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print version and commit.")
    ] = False,
) -> None:
    """Seedance Gateway: Seedance 2.0 image-to-video for a company's internal services."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=_PORT, help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(help="Gateway processes sharing the port.")] = 1,
    certificate: Annotated[
        Path | None, _pem("PEM file of a certificate: serve HTTPS, which fal's Python client requires.")
    ] = None,
    certificate_key: Annotated[Path | None, _pem("PEM file of its private key.")] = None,
) -> None:
    """Run the HTTP gateway. The GATEWAY_* variables are its settings."""
    import uvicorn  # noqa: PLC0415

    from service.api.http.header_limits import HeaderLimitProtocol  # noqa: PLC0415
    from service.cli.ops import commands  # noqa: PLC0415
    from service.observability import log  # noqa: PLC0415
    from service.observability.multiprocess import sharing_metrics  # noqa: PLC0415

    settings = commands.settings()
    log.configure(
        settings.log_level, secrets=settings.secrets(), log_format=settings.log_format
    )  # with several processes, of the one above them
    with sharing_metrics() if workers > 1 else nullcontext():
        uvicorn.run(
            "service.app:from_environment",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            ssl_certfile=certificate,
            ssl_keyfile=certificate_key,
            loop="uvloop",
            http=HeaderLimitProtocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,  # nothing here asks who or where a caller is: a layer less around every call
            timeout_graceful_shutdown=int(settings.shutdown_grace.total_seconds()),
        )


@app.command()
def worker(
    queues: Annotated[
        str, typer.Option(help="Queues to consume, comma-separated: dispatch, webhooks, maintenance. Default: all.")
    ] = "",
) -> None:
    """Run a worker. The GATEWAY_* variables are its settings."""
    from service.cli.ops import commands  # noqa: PLC0415
    from service.tasks import QUEUES  # noqa: PLC0415

    names = [name.strip() for name in queues.split(",")] if queues else []
    if unknown := [name for name in names if name not in QUEUES]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(QUEUES)}", param_hint="--queues")
    commands.settings()  # names a missing variable; Celery would print a traceback
    become_celery("worker", "--without-gossip", "--without-mingle", *(("-Q", ",".join(names)) if names else ()))


@app.command()
def beat() -> None:
    """Run beat, which wakes the workers once a second. Run exactly one."""
    from service.cli.ops import commands  # noqa: PLC0415

    commands.settings()
    become_celery("beat")


@app.command()
def up(
    port: Annotated[int, typer.Option(min=0, max=_PORT, help="The gateway's port; 0: any free one.")] = 8080,
    data: Annotated[Path | None, typer.Option(help="Keep data, videos and secrets in this folder.")] = None,
    worker: Annotated[  # noqa: FBT002
        bool, typer.Option(help="--no-worker starts neither worker nor beat; run them yourself.")
    ] = True,
    tls: Annotated[  # noqa: FBT002
        bool, typer.Option("--tls", help="Serve HTTPS; the first line names the certificate to trust.")
    ] = False,
    env_file: Annotated[
        Path | None, typer.Option(help="Write the settings and the key to this file, for `source FILE`.")
    ] = None,
) -> None:
    """Run a whole stack on this machine until Ctrl-C: Redis, sandbox, gateway, worker and beat."""
    from service.cli.dev.stack import Stack  # noqa: PLC0415

    _exit_on_sigterm()
    stack = Stack(port=port, data=data, worker=worker, tls=tls)
    try:
        typer.echo("Starting Redis, the sandbox, the gateway, a worker and beat ...", err=True)
        stack.start()
        if env_file is not None:
            _write_env(env_file, stack.describe())
        print(json.dumps(stack.describe()), flush=True)  # noqa: T201  (the first line is for programs)
        typer.echo(f"\nUp at {stack.base_url} (docs: {stack.base_url}/docs). Ctrl-C ends it.", err=True)
        if data is None:
            typer.echo("Data and API key are temporary: they are deleted at the end. --data DIR keeps them.", err=True)
        typer.echo(f"\nFor a second terminal:\nexport GATEWAY={stack.base_url} KEY={stack.api_key}", err=True)
        _until_a_child_ends(stack.children)
    except KeyboardInterrupt:
        typer.echo("Ending.", err=True)
    except (ChildFailed, NoRedis, PortTaken) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    finally:
        stack.end()


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the video.")] = Path("demo-output"),
) -> None:
    """Turn a bundled photo into a video through a whole stack on this machine, and show each step."""
    from service.cli.dev.demo import run  # noqa: PLC0415

    _exit_on_sigterm()
    try:
        run(output)
    except KeyboardInterrupt:
        typer.echo("Interrupted; everything was ended.", err=True)
        raise typer.Exit(130) from None
    except (ChildFailed, NoRedis) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@app.command()
def listen(
    secret: Annotated[str, typer.Option(envvar="WEBHOOK_SECRET", help="The endpoint's secret, whsec_...")],
    port: Annotated[int, typer.Option(min=0, max=_PORT, help="Port on this machine.")] = 9000,
    status: Annotated[
        int, typer.Option(min=200, max=599, help="Status of every response; 500 shows what a failing receiver causes.")
    ] = 204,
) -> None:
    """Receive webhooks on this machine until Ctrl-C: verify each signature and print each event."""
    from service.cli.dev.listen import NotListening, run  # noqa: PLC0415

    _exit_on_sigterm()
    try:
        run(secret, port=port, status=status)
    except NotListening as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("Ending.", err=True)


@app.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,  # noqa: FBT002
) -> None:
    """Compare ledger, budgets, holds and slots; print the first differences; exit 1 if there are any."""
    from service.cli.ops import commands  # noqa: PLC0415

    commands.audit(as_json=as_json)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,  # noqa: FBT002
) -> None:
    """Check Redis, broker, beat, workers, fal's key and settings; print what to do; exit 1 if a check fails."""
    from service.cli.ops import doctor as examination  # noqa: PLC0415

    examination.doctor(as_json=as_json)


@app.command()
def pause(reason: _Reason) -> None:
    """Stop submits to fal until `resume`. Submitted generations are still polled; webhooks are sent."""
    from service.cli.ops import dispatch  # noqa: PLC0415

    dispatch.pause(reason)


@app.command()
def drain(
    reason: _Reason,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until no generation is left.")] = 600.0,
) -> None:
    """Refuse new generations until `resume`, and wait until all accepted ones have ended."""
    from service.cli.ops import dispatch  # noqa: PLC0415

    dispatch.drain(reason, timeout)


@app.command()
def resume() -> None:
    """Accept and dispatch again, after a pause, a drain, or a locked or failing account."""
    from service.cli.ops import dispatch  # noqa: PLC0415

    dispatch.resume()


@app.command()
def unconfirmed(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the generations whose submit has an unknown outcome, oldest first."""
    from service.cli.ops import unconfirmed  # noqa: PLC0415

    unconfirmed.unconfirmed(as_json=as_json)


@app.command()
def resolve(
    reason: Annotated[str, typer.Option(help="Why; written into the ledger.")],
    generation_id: Annotated[str | None, typer.Argument(help="The generation's id, gen_…")] = None,
    fal_request_id: Annotated[str | None, typer.Option(help="fal's request id of its job: poll this job.")] = None,
    never_happened: Annotated[  # noqa: FBT002
        bool, typer.Option("--never-happened", help="fal did not accept it: fail it at no cost.")
    ] = False,
    unchecked: Annotated[  # noqa: FBT002
        bool, typer.Option("--unchecked", help="Adopt the request id without asking fal, while fal is unreachable.")
    ] = False,
    everything: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--all", help="With --never-happened and --before: all that were submitted before that time."),
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


@app.command("paid-and-lost")
def paid_and_lost() -> None:
    """Print the generations that were given up although fal reported or may have billed a video; one JSON a line."""
    from service.cli.ops import unconfirmed  # noqa: PLC0415

    unconfirmed.paid_and_lost()


@app.command()
def revive(
    generation_id: Annotated[str, typer.Argument(help="The generation's id, gen_…")],
    reason: Annotated[str, typer.Option(help="Why; written into the ledger.")],
    fal_request_id: Annotated[
        str | None, typer.Option(help="fal's request id; required if neither the record nor a callback has it.")
    ] = None,
) -> None:
    """Poll a generation again that was given up although fal has its job."""
    from service.cli.ops import unconfirmed  # noqa: PLC0415

    unconfirmed.revive(generation_id, fal_request_id=fal_request_id, reason=reason)


@app.command()
def adjust(
    amount: Annotated[str, typer.Option(help="US dollars to add to the cost; -1.50 subtracts 1.50.")],
    expected: Annotated[str, typer.Option(help="Current cost in US dollars; refused if the cost differs.")],
    reason: Annotated[str, typer.Option(help="Why; written into the ledger.")],
    operator: Annotated[str, typer.Option(envvar="USER", help="Who adjusts; written into the ledger.")],
    generation_id: Annotated[
        str | None,
        typer.Argument(help="Id of the ended generation, gen_…; without it give --tenant, --end-user and --day."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant of a generation whose record was purged.")] = None,
    end_user: Annotated[str | None, typer.Option(help="Its end user's pseudonym, eu_…")] = None,
    day: Annotated[str | None, typer.Option(help="Day of its creation (UTC), like 2026-01-31.")] = None,
) -> None:
    """Correct the cost of an ended generation: record, budget windows, usage and ledger."""
    from service.cli.ops import adjustments  # noqa: PLC0415

    given = {"generation_id": generation_id, "tenant_id": tenant, "end_user": end_user, "day": day}
    adjustments.adjust(
        {**given, "amount_usd": amount, "expected_usd": expected, "operator": operator, "reason": reason}
    )


@app.command("rotate-secret-key")
def rotate_secret_key() -> None:
    """Encrypt all tenants' secrets with the first key in GATEWAY_SECRET_KEY."""
    from service.cli.ops import commands  # noqa: PLC0415

    commands.rotate_secret_key()


def _write_env(path: Path, stack: dict[str, Any]) -> None:
    """Write ``export`` lines, readable by the owner only: the file holds secrets."""
    names = {**stack["env"], "GATEWAY": stack["base_url"], "KEY": stack["api_key"]}
    if "certificate" in stack:
        names["SSL_CERT_FILE"] = stack["certificate"]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in names.items()))


def _exit_on_sigterm() -> None:
    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _until_a_child_ends(children: Mapping[str, Child]) -> None:
    while True:
        for child in children.values():
            if child.process.poll() is not None:
                raise ChildFailed(f"{child.name} ended with {child.process.returncode}:\n{child.story()}")
        time.sleep(0.2)
