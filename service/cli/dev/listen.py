"""``seedance-gateway listen``: a webhook receiver that verifies signatures and prints events."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from standardwebhooks.webhooks import EmptyWebhookSecretError

from service.cli.dev.receiver import NoWebhook, Received, Receiver, WebhookFailed

_WAIT_SECONDS: Final = 0.5  # Ctrl-C is noticed after this time
_INVALID: Final = "Not a webhook secret: it begins with whsec_, and is in the response that creates an endpoint."


class NotListening(Exception):
    """The secret is invalid, or the port is not free."""


def run(secret: str, *, port: int, status: int) -> None:
    """Receive webhooks until an interrupt. Raises NotListening."""
    console = Console()
    if not secret.startswith("whsec_"):
        raise NotListening(_INVALID)
    try:
        receiver = Receiver(secret, port=port, status=status)
    except (ValueError, RuntimeError, EmptyWebhookSecretError):
        raise NotListening(_INVALID) from None
    except OSError as error:
        raise NotListening(f"Port {port}: {error.strerror}.") from None
    with receiver:
        console.print(f"Listening at [bold]{receiver.url}[/] (any path). Ctrl-C stops it.")
        while True:
            _show_next(receiver, console)


def _show_next(receiver: Receiver, console: Console) -> None:
    try:
        _show(receiver.take(within=_WAIT_SECONDS), console)
    except NoWebhook:
        return
    except WebhookFailed as failed:
        console.print(f"[bold red]{escape(str(failed))}[/]")


def _show(received: Received, console: Console) -> None:
    event = received.event
    console.rule(f"[green]{escape(str(event.get('type', '?')))}[/] {escape(received.id)}", align="left")
    console.print_json(data=event)
