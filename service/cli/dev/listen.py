"""A receiver for development: verifies what comes, and shows it."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from standardwebhooks.webhooks import EmptyWebhookSecretError

from service.cli.dev.receiver import NoWebhook, Received, Receiver, WebhookFailed

_LOOK_SECONDS: Final = 0.5  # between two looks whether somebody pressed Ctrl-C
_NOT_ONE: Final = "That is no webhook secret: it begins with whsec_, and is shown when an endpoint is created."


class NotListening(Exception):
    """The secret is none, or the port is taken."""


def run(secret: str, *, port: int, status: int) -> None:
    """Until it is interrupted."""
    console = Console()
    if not secret.startswith("whsec_"):
        raise NotListening(_NOT_ONE)
    try:
        receiver = Receiver(secret, port=port, status=status)
    except (ValueError, RuntimeError, EmptyWebhookSecretError):
        raise NotListening(_NOT_ONE) from None
    except OSError as error:
        raise NotListening(f"Port {port}: {error.strerror}.") from None
    with receiver:
        console.print(f"Listening at [bold]{receiver.url}[/] (any path). Ctrl-C ends it.")
        while True:
            _show_next(receiver, console)


def _show_next(receiver: Receiver, console: Console) -> None:
    try:
        _show(receiver.take(within=_LOOK_SECONDS), console)
    except NoWebhook:
        return
    except WebhookFailed as failed:
        console.print(f"[bold red]{escape(str(failed))}[/]")


def _show(received: Received, console: Console) -> None:
    event = received.event
    console.rule(f"[green]{escape(str(event.get('type', '?')))}[/] {escape(received.id)}", align="left")
    console.print_json(data=event)
