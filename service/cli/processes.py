"""Commands that run a process of a deployment: ``serve``, ``worker``, ``beat``."""

import os
import resource
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    import uvicorn

    from service.config.settings import Settings

MAX_PORT: Final = 65535
#: The connection and, of an upload, the file on disk.
_FILES_PER_CONNECTION: Final = 2
#: Libraries, Redis, fal, logs, decoders.
_OTHER_FILES: Final = 512
#: Seconds without a sign of life after which a gateway process of several is replaced. The server's own 5 seconds are
#: shorter than a start on a busy machine, so that processes would be killed again and again while they start.
_LONGEST_PAUSE: Final = 60


def _pem(text: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, readable=True, help=text)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=MAX_PORT, help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(help="Gateway processes that share the port.")] = 1,
    certificate: Annotated[
        Path | None, _pem("PEM file of a certificate; with it, serve HTTPS, which fal's Python client requires.")
    ] = None,
    certificate_key: Annotated[Path | None, _pem("PEM file of the certificate's private key.")] = None,
) -> None:
    """Run the HTTP gateway. It reads the GATEWAY_* variables."""
    from uvicorn.config import STARTUP_FAILURE  # noqa: PLC0415
    from uvicorn.supervisors import Multiprocess  # noqa: PLC0415

    from service import process_memory  # noqa: PLC0415
    from service.api.http.listeners import Server, log_addresses  # noqa: PLC0415
    from service.cli.ops.session import read_settings  # noqa: PLC0415
    from service.observability import log  # noqa: PLC0415
    from service.observability.multiprocess import sharing_metrics  # noqa: PLC0415

    _check_certificate(certificate, certificate_key)
    process_memory.protect()
    settings = read_settings()
    if settings.metrics_port:  # its server starts in each process of the gateway, where an error is a traceback
        options = "GATEWAY_METRICS_HOST and GATEWAY_METRICS_PORT"
        with _listening(settings.metrics_host, settings.metrics_port, options):
            """The port is free."""
    # With several processes, this configures the parent's log.
    log.configure(settings.log_level, secrets=settings.secrets(), log_format=settings.log_format)
    _allow_open_files(settings.connections)
    config = _server_config(settings, workers=workers, ssl_certfile=certificate, ssl_keyfile=certificate_key)
    with _listening(host, port, "--host and --port") as sockets:
        if workers > 1:
            with sharing_metrics():
                log_addresses(sockets)
                Multiprocess(config, sockets=sockets).run()
            return
        server = Server(config)
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again after it has stopped
            server.run(sockets=sockets)
        if not server.started:
            raise typer.Exit(STARTUP_FAILURE)


def _server_config(settings: "Settings", **options: Any) -> "uvicorn.Config":
    """Return what is the same for one process and for several. ``options``: of uvicorn."""
    import uvicorn  # noqa: PLC0415

    from service.api.http.connection_limits import limited  # noqa: PLC0415

    return uvicorn.Config(
        "service.app:from_environment",
        factory=True,
        loop="uvloop",
        http=limited(settings.connections),
        ws="none",
        timeout_worker_healthcheck=_LONGEST_PAUSE,
        timeout_keep_alive=int(settings.keep_alive.total_seconds()),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,  # uvicorn would believe every client on this machine; see GATEWAY_TRUSTED_PROXIES
        timeout_graceful_shutdown=int(settings.shutdown_grace.total_seconds()),
        **options,
    )


@contextmanager
def _listening(host: str, port: int, options: str) -> Iterator[list[socket.socket]]:
    """Give bound sockets, and close them. Exit 1 after a line that names ``options``, which choose another address."""
    from service.api.http.listeners import listeners  # noqa: PLC0415

    try:
        sockets = listeners(host, port)
    except OSError as error:  # gaierror is one
        text = f"Cannot listen on port {port} of {host or 'all addresses'}: {error.strerror}."
        action = f"Stop the program that listens there, or choose another address with {options}."
        typer.echo(f"{text} {action}", err=True)
        raise typer.Exit(1) from None
    try:
        yield sockets
    finally:  # the server closes them, unless it could not start
        for each in sockets:
            each.close()


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Load both files as the server will, which would print a traceback. Raises BadParameter."""
    if certificate is None:
        if key is not None:
            raise typer.BadParameter("it needs --certificate", param_hint="--certificate-key")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except _Encrypted:
        return  # the server asks for the password on the terminal
    except OSError as error:  # SSLError is one
        reason = getattr(error, "reason", None) or error
        if key is None:
            text = f"{certificate} has no usable private key ({reason}): name its file with --certificate-key"
            raise typer.BadParameter(text, param_hint="--certificate") from None
        text = f"{certificate} and {key} are no certificate and its private key ({reason})"
        raise typer.BadParameter(text, param_hint="--certificate-key") from None


class _Encrypted(Exception):
    """The private key has a password."""


def _no_password() -> str:
    raise _Encrypted


def _allow_open_files(connections: int) -> None:
    """Raise the soft limit of open files, which is 1,024 on many machines. Processes of this one inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * _FILES_PER_CONNECTION + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def worker(
    queues: Annotated[
        str, typer.Option(help="Queues to consume, comma-separated: dispatch, webhooks, maintenance. Default: all.")
    ] = "",
) -> None:
    """Run a worker. It reads the GATEWAY_* variables."""
    from service.cli.ops.session import read_settings  # noqa: PLC0415
    from service.tasks import QUEUES  # noqa: PLC0415

    names = [name.strip() for name in queues.split(",")] if queues else []
    if unknown := [name for name in names if name not in QUEUES]:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(QUEUES)}", param_hint="--queues")
    read_settings()  # a missing variable is named here; Celery would print a traceback
    _become_celery("worker", "--without-gossip", "--without-mingle", *(("-Q", ",".join(names)) if names else ()))


def beat() -> None:
    """Run beat, which wakes the workers once a second. One is enough."""
    from service.cli.ops.session import read_settings  # noqa: PLC0415

    read_settings()
    _become_celery("beat")


def _become_celery(*arguments: str) -> NoReturn:
    """Replace this process by Celery, so that signals reach Celery.

    The application is given by name: the service does not import the workers.
    """
    os.execv(sys.executable, [sys.executable, "-m", "celery", "--quiet", "-A", "workers", *arguments])  # noqa: S606


def register(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(worker)
    app.command()(beat)
