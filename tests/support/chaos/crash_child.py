"""Processes that end themselves by ``kill -9`` at a named point; production code knows nothing of it.

``celery -A tests.support.chaos.crash_child worker`` and ``python -m tests.support.chaos.crash_child serve`` are the
usual processes, with hooks. A test arms a point with ``Doom``; the first generation that reaches the point disarms it,
and its process dies there. Margins, which in production outlast a slow fal, are seconds here; nothing else differs.
"""

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from service.runtime import consumers
from service.store.generations.generations import GenerationStore
from service.upstream.client import FalClient
from service.usecases.lifecycle import dispatch
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from tests.support.chaos.shorter import shorten

MODULE: Final = "tests.support.chaos.crash_child"
#: The environment variable that says where the points are armed.
FOLDER: Final = "DOOM"

#: Which generation a coroutine submits: each has a task, and so a context, of its own.
_submitted: ContextVar[str] = ContextVar("submitted", default="")

Async = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Doom:
    """Points are files: armed while there, struck once by whoever moves it away first."""

    folder: Path

    def arm(self, point: str) -> None:
        self._struck.unlink(missing_ok=True)
        (self.folder / point).touch()

    def strike(self, point: str, number: signal.Signals) -> None:
        with suppress(FileNotFoundError):
            (self.folder / point).rename(self._struck)
            self._struck.write_text(_submitted.get())
            signal.pthread_kill(threading.get_ident(), number)  # this thread too stops here, and no step later

    def victim(self) -> str:
        """The generation at whose point it happened, once it has."""
        return self._struck.read_text()

    @property
    def _struck(self) -> Path:
        return self.folder / "struck"


def install(doom: Doom) -> None:
    _be_impatient()
    _know_which()
    _before(doom, "before_intent", dispatch.Dispatch, "write_intent")
    _before(doom, "stopped_before_intent", dispatch.Dispatch, "write_intent", signal.SIGSTOP)
    _after(doom, "stopped_after_intent", dispatch.Dispatch, "write_intent", signal.SIGSTOP)
    _before(doom, "after_intent", FalClient, "submit")
    _within(doom, {"half_sent": "send_request_headers.complete", "sent": "send_request_body.complete"})
    _after(doom, "after_post", FalClient, "submit")
    _before(doom, "after_save", DispatchGate, "note")
    _before(doom, "before_create", GenerationStore, "create")
    _after(doom, "after_create", GenerationStore, "create")


def _be_impatient() -> None:
    shorten(consumers, "SUBMIT_MARGIN", 0.5)
    construct = dispatch.Dispatch.__init__

    def constructed(*values: Any, **options: Any) -> None:
        construct(*values, **options, max_intent_age=timedelta(seconds=1))

    dispatch.Dispatch.__init__ = constructed  # type: ignore[method-assign]


def _know_which() -> None:
    submit: Async = dispatch.Dispatch.submit

    async def known(self: object, item: Any) -> Any:
        _submitted.set(item.id)
        return await submit(self, item)

    _replace(dispatch.Dispatch, "submit", known)


def _before(doom: Doom, point: str, owner: type, name: str, number: signal.Signals = signal.SIGKILL) -> None:
    usual: Async = getattr(owner, name)

    async def doomed(*values: Any, **options: Any) -> Any:
        doom.strike(point, number)
        return await usual(*values, **options)

    _replace(owner, name, doomed)


def _after(doom: Doom, point: str, owner: type, name: str, number: signal.Signals = signal.SIGKILL) -> None:
    usual: Async = getattr(owner, name)

    async def doomed(*values: Any, **options: Any) -> Any:
        result = await usual(*values, **options)
        doom.strike(point, number)
        return result

    _replace(owner, name, doomed)


def _within(doom: Doom, points: dict[str, str]) -> None:
    """While a request is on its way: the points by the names httpcore has for its steps."""
    post: Async = httpx.AsyncClient.post

    async def traced(step: str, _: object) -> None:
        for point, end in points.items():
            if step.endswith(end):
                doom.strike(point, signal.SIGKILL)

    async def doomed(*values: Any, **options: Any) -> Any:
        return await post(*values, extensions={"trace": traced}, **options)

    _replace(httpx.AsyncClient, "post", doomed)


def _replace(owner: type, name: str, function: Async) -> None:
    setattr(owner, name, function)


if FOLDER in os.environ:  # as a process of a stack, and not where a test imports it
    install(Doom(Path(os.environ[FOLDER])))

    if __name__ == "__main__":
        from service.cli import main

        main()
    else:
        from workers import app  # noqa: F401  (what `celery -A` looks for)
