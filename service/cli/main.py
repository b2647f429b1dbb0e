"""The commands, each a few lines; what they do lives beside this file."""

import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from service.cli import dispatching, operators, resolving, tenants
from service.cli import doctor as examination
from service.cli.children import Child, ChildFailed
from service.cli.embedded_redis import NoRedis
from service.cli.processes import become_celery

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(tenants.tenants, name="tenants")
app.add_typer(tenants.keys, name="keys")


@app.callback()
def _root() -> None:
    """Seedance Gateway: Seedance 2.0 image-to-video for a company's internal services."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(help="Gateway processes sharing the port.")] = 1,
) -> None:
    """Run the HTTP gateway, with the GATEWAY_* variables as its settings."""
    import uvicorn  # noqa: PLC0415  (the other commands need none of it)

    settings = operators.settings()
    uvicorn.run(
        "service.app:from_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=int(settings.shutdown_grace.total_seconds()),
    )


@app.command()
def worker(
    queues: Annotated[str, typer.Option(help="Only these, comma-separated: dispatch, webhooks, maintenance.")] = "",
) -> None:
    """Run a worker, with the GATEWAY_* variables as its settings."""
    operators.settings()  # says by name what is missing, where Celery would show a traceback
    become_celery("worker", "--without-gossip", "--without-mingle", *(("-Q", queues) if queues else ()))


@app.command()
def beat() -> None:
    """Run beat, which tells the workers to look once a second. One of these."""
    operators.settings()
    become_celery("beat")


@app.command()
def up(
    port: Annotated[int, typer.Option(help="The gateway's port.")] = 8080,
    data: Annotated[Path | None, typer.Option(help="Keep Redis' data in this folder.")] = None,
    worker: Annotated[bool, typer.Option(help="--no-worker leaves worker and beat to you.")] = True,  # noqa: FBT002
) -> None:
    """Run everything here: Redis, the sandbox in fal's place, gateway, worker and beat. Ctrl-C ends it."""
    from service.cli.stack import Stack  # noqa: PLC0415

    _exit_on_sigterm()
    stack = Stack(port=port, data=data, worker=worker)
    try:
        stack.start()
        print(json.dumps(stack.describe()), flush=True)  # noqa: T201  (the first line is for programs)
        typer.echo(f"\nUp at {stack.base_url} (docs: {stack.base_url}/docs). Ctrl-C ends it.", err=True)
        _until_a_child_ends(stack.children)
    except KeyboardInterrupt:
        typer.echo("Ending.", err=True)
    except (ChildFailed, NoRedis) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    finally:
        stack.end()


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the video.")] = Path("demo-output"),
) -> None:
    """Turn a bundled photo into a video through the whole stack, and show each step."""
    from service.cli.demo import run  # noqa: PLC0415

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
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 9000,
    status: Annotated[int, typer.Option(min=200, max=599, help="Answer with this: try what a failure does.")] = 204,
) -> None:
    """Receive webhooks here: verify each signature and show each event, until Ctrl-C."""
    from service.cli.listen import NotListening, run  # noqa: PLC0415

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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,  # noqa: FBT002
) -> None:
    """Compare ledger, budgets, holds and slots; print the first differences and exit 1 if there are any."""
    operators.audit(as_json=as_json)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,  # noqa: FBT002
) -> None:
    """Look at Redis, broker, beat, workers, fal's key and settings; say what to do; exit 1 if anything fails."""
    examination.doctor(as_json=as_json)


@app.command()
def pause(reason: dispatching.Reason) -> None:
    """Dispatch nothing until `resume`; what fal has is followed, webhooks go out."""
    dispatching.pause(reason)


@app.command()
def drain(
    reason: dispatching.Reason,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until nothing is left.")] = 600.0,
) -> None:
    """Accept nothing new until `resume`, and wait until all that was accepted has ended."""
    dispatching.drain(reason, timeout)


@app.command()
def resume() -> None:
    """Accept and dispatch again, whatever held it."""
    dispatching.resume()


@app.command()
def unconfirmed() -> None:
    """Print the generations whose submit has an unknown outcome, the oldest first, one a line."""
    resolving.unconfirmed()


@app.command()
def resolve(
    generation_id: resolving.GenerationId,
    reason: resolving.Reason,
    request_id: resolving.RequestId = None,
    never_happened: resolving.NeverHappened = False,  # noqa: FBT002
    unchecked: resolving.Unchecked = False,  # noqa: FBT002
) -> None:
    """Say what became of an unconfirmed submit: fal's request id, or that it never happened."""
    resolving.resolve(
        generation_id, request_id=request_id, never_happened=never_happened, unchecked=unchecked, reason=reason
    )


@app.command("rotate-secret-key")
def rotate_secret_key() -> None:
    """Seal all tenants' secrets with the first of the keys in GATEWAY_SECRET_KEY."""
    operators.rotate_secret_key()


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
