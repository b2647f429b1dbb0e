"""``seedance-gateway demo``: generates one video from a photo with a whole stack, and prints each step."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx
import typer

from service.cli.dev.child_processes import free_port
from service.cli.dev.demo_interrupts import DemoInterrupts
from service.cli.dev.demo_steps import DemoFailed, DemoSteps, connect
from service.cli.dev.receiver import Receiver, WebhookFailed
from service.cli.dev.screen import Screen
from service.cli.dev.stack import Stack
from service.config.settings import PREFIX

#: Packages of the sandbox; an installation without the extra `sandbox` has none of them.
_SANDBOX_PACKAGES: Final = ("sandbox", "av", "numpy", "PIL")
#: fal's minute of rendering takes 3.3 s, and its queue 2.7 s: a poll, due after 1 s and at the next beat, sees it.
_SANDBOX_SPEED: Final = 18.0
_SANDBOX_QUEUE_SECONDS: Final = 48


def run(output: Path) -> None:
    """Save a video in this folder, and end every process. Exit 1 after a line with the cause of a failure."""
    started, screen, interrupts = time.monotonic(), Screen(), DemoInterrupts()
    try:
        _check_installation()
        _make_folder(output)
        with (
            _running_stack(screen, interrupts) as stack,
            Receiver(stack.webhook_secret) as receiver,
            connect(stack) as api,
        ):
            DemoSteps(screen, interrupts, stack, receiver, api, output).run()
    except (DemoFailed, WebhookFailed, httpx.HTTPError, OSError) as error:
        screen.failed(str(error) or type(error).__name__)
        raise typer.Exit(1) from None
    screen.text(f"\nDone in {time.monotonic() - started:.0f} s; every process has ended.")
    screen.text("To run the stack and call it yourself: make up, or seedance-gateway up")


def _check_installation() -> None:
    if any(find_spec(name) is None for name in _SANDBOX_PACKAGES):
        raise DemoFailed(
            "The demo needs the sandbox, a simulator of fal: pip install 'seedance-gateway[sandbox]' "
            "(in a clone of the repository: pip install -e '.[sandbox]')."
        )


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoFailed(f"The folder {output} cannot be created: {error.strerror}.") from None


@contextmanager
def _running_stack(screen: Screen, interrupts: DemoInterrupts) -> Iterator[Stack]:
    _clear_settings()
    stack = Stack(sandbox_speed=_SANDBOX_SPEED, overrides={"metrics_port": free_port()})
    try:
        screen.title()
        with screen.working("Starting Redis, sandbox, gateway, worker and beat"):
            started = time.monotonic()
            stack.start()
        interrupts.check()
        screen.done(f"Started Redis, sandbox, gateway, worker and beat ({time.monotonic() - started:.1f} s)")
        yield stack
    finally:
        interrupts.ignore()
        try:
            screen.text("\nStopping every process.")
        finally:
            stack.end()


def _clear_settings() -> None:
    """Remove the settings of the shell from the environment, which child processes inherit."""
    for name in [name for name in os.environ if name.upper().startswith((PREFIX, "SANDBOX_"))]:
        del os.environ[name]
    os.environ["SANDBOX_QUEUE_SECONDS"] = str(_SANDBOX_QUEUE_SECONDS)
