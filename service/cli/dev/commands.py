"""Commands for development: ``up``, ``demo``, ``listen``. Each imports its implementation when it runs."""

import json
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.dev.child_processes import Child, ChildFailed, PortTaken
from service.cli.dev.embedded_redis import NoRedis
from service.cli.processes import MAX_PORT

if TYPE_CHECKING:
    from service.cli.dev.stack import Stack


def up(
    port: Annotated[int, typer.Option(min=0, max=MAX_PORT, help="Port of the gateway; 0: any free port.")] = 8080,
    data: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Folder for data, videos and secrets. Default: a temporary folder, deleted at the end.",
        ),
    ] = None,
    worker: Annotated[  # noqa: FBT002
        bool, typer.Option(help="Run a worker and beat; --no-worker: run them yourself.")
    ] = True,
    tls: Annotated[  # noqa: FBT002
        bool, typer.Option("--tls", help="Serve HTTPS with a self-signed certificate; the first line has its path.")
    ] = False,
    env_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write settings and API key to this file, for `source FILE`.")
    ] = None,
) -> None:
    """Run a whole stack on this machine until Ctrl-C: Redis, sandbox, gateway, worker and beat."""
    from service.cli.dev.stack import Stack  # noqa: PLC0415

    _exit_on_sigterm()
    stack = Stack(port=port, data=data, worker=worker, tls=tls)
    if env_file is not None:  # a file that cannot be written is an error before the start
        env_file.unlink(missing_ok=True)
        env_file.touch(mode=0o600)  # it holds secrets
    try:
        typer.echo("Starting Redis, the sandbox, the gateway, a worker and beat ...", err=True)
        stack.start()
        if env_file is not None:
            _write_env(env_file, stack.describe())
        print(json.dumps(stack.describe()), flush=True)  # noqa: T201  (programs read the first line)
        _print_instructions(stack, is_temporary=data is None, tls=tls)
        _wait_for_children(stack.children)
    except KeyboardInterrupt:
        typer.echo("Stopping.", err=True)
    except (ChildFailed, NoRedis, PortTaken) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    finally:
        stack.end()


def _print_instructions(stack: "Stack", *, is_temporary: bool, tls: bool) -> None:
    """Print how a person uses the stack. Programs read the line on stdout."""
    typer.echo(f"\nUp at {stack.base_url} (docs: {stack.base_url}/docs). Ctrl-C stops it.", err=True)
    typer.echo(f"Console: {stack.login_url}\n(logs in once, within 5 minutes; another link: ", nl=False, err=True)
    typer.echo("`seedance-gateway console-login` with the settings of --env-file)", err=True)
    if is_temporary:
        typer.echo(
            "Data and API key are temporary: they are deleted at the end. Use --data DIR to store them.", err=True
        )
    typer.echo(f"\nFor a second terminal:\nexport GATEWAY={stack.base_url} KEY={stack.api_key}", err=True)
    if tls:
        typer.echo(_fal_client_variables(stack.base_url, stack.api_key, stack.certificate), err=True)


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the video.")] = Path("demo-output"),
) -> None:
    """Generate a video from a bundled photo with a whole stack on this machine, and print each step."""
    from service.cli.dev.demo import run  # noqa: PLC0415

    _exit_on_sigterm()
    try:
        run(output)
    except KeyboardInterrupt:
        typer.echo("Interrupted; every process was stopped.", err=True)
        raise typer.Exit(130) from None
    except (ChildFailed, NoRedis) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def listen(
    secret: Annotated[str, typer.Option(envvar="WEBHOOK_SECRET", help="Secret of the webhook endpoint, whsec_...")],
    port: Annotated[int, typer.Option(min=0, max=MAX_PORT, help="Port on this machine.")] = 9000,
    status: Annotated[
        int, typer.Option(min=200, max=599, help="HTTP status of each response; 500 imitates a failing receiver.")
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
        typer.echo("Stopping.", err=True)


def _fal_client_variables(base_url: str, key: str, certificate: Path) -> str:
    """Return the line with all variables that fal's Python client needs."""
    host = base_url.removeprefix("https://")
    return (
        f"export SSL_CERT_FILE={shlex.quote(str(certificate))} FAL_KEY={key} "
        f"FAL_RUN_HOST={host}/fal/run FAL_QUEUE_RUN_HOST={host}/fal/queue"
    )


def _write_env(path: Path, stack: dict[str, Any]) -> None:
    """Write ``export`` lines."""
    names = {**stack["env"], "GATEWAY": stack["base_url"], "KEY": stack["api_key"]}
    if "certificate" in stack:
        names["SSL_CERT_FILE"] = stack["certificate"]
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in names.items()))


def _exit_on_sigterm() -> None:
    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _wait_for_children(children: Mapping[str, Child]) -> None:
    """Raise ChildFailed when a child ends."""
    while True:
        for child in children.values():
            child.check_running()
        time.sleep(0.2)


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(demo)
    app.command()(listen)
