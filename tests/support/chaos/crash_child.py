"""Processes that end themselves by ``kill -9`` at a named crash point, without any hook in production code.

``celery -A tests.support.chaos.crash_child worker`` and ``python -m tests.support.chaos.crash_child serve`` are the
usual processes with patched methods. A test arms a point with ``CrashPoints``. The first generation that reaches the
point disarms it, and its process dies there. Margins that outlast a slow fal in production are seconds here; nothing
else differs.
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

from service.runtime import core
from service.store.generations.generations import GenerationStore
from service.upstream.client import FalClient
from service.usecases.lifecycle import dispatch
from service.usecases.lifecycle.dispatch_gate import DispatchGate
from tests.support.chaos.shorter import shorten

MODULE: Final = "tests.support.chaos.crash_child"
#: The environment variable with the folder of armed crash points.
FOLDER: Final = "CRASH_POINTS"

#: The generation that a coroutine submits. Each submit has a task, and so a context, of its own.
_submitted: ContextVar[str] = ContextVar("submitted", default="")

Async = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class CrashPoints:
    """Crash points as files: armed while the file exists. The process that is first to rename the file crashes."""

    folder: Path

    def arm(self, point: str) -> None:
        self._hit_file.unlink(missing_ok=True)
        (self.folder / point).touch()

    def disarm_all(self) -> None:
        for file in self.folder.iterdir():
            file.unlink(missing_ok=True)

    def hit(self, point: str, number: signal.Signals) -> None:
        with suppress(FileNotFoundError):
            (self.folder / point).rename(self._hit_file)
            self._hit_file.write_text(_submitted.get())
            signal.pthread_kill(threading.get_ident(), number)  # this thread stops here too, and not a step later

    def victim(self) -> str:
        """Return the id of the generation at whose crash point a process died."""
        return self._hit_file.read_text()

    @property
    def _hit_file(self) -> Path:
        return self.folder / "hit"


def install(crash_points: CrashPoints) -> None:
    _shorten_waits()
    _track_submitted_generation()
    _before(crash_points, "before_intent", dispatch.Dispatch, "write_intent")
    _before(crash_points, "stopped_before_intent", dispatch.Dispatch, "write_intent", signal.SIGSTOP)
    _after(crash_points, "stopped_after_intent", dispatch.Dispatch, "write_intent", signal.SIGSTOP)
    _before(crash_points, "after_intent", FalClient, "submit")
    _within(crash_points, {"half_sent": "send_request_headers.complete", "sent": "send_request_body.complete"})
    _after(crash_points, "after_post", FalClient, "submit")
    _before(crash_points, "after_save", DispatchGate, "note")
    _before(crash_points, "before_create", GenerationStore, "create")
    _after(crash_points, "after_create", GenerationStore, "create")


def _shorten_waits() -> None:
    shorten(core, "SUBMIT_MARGIN", 0.5)
    construct = dispatch.Dispatch.__init__

    def constructed(*values: Any, **options: Any) -> None:
        construct(*values, **options, max_intent_age=timedelta(seconds=1))

    dispatch.Dispatch.__init__ = constructed  # type: ignore[method-assign]


def _track_submitted_generation() -> None:
    submit: Async = dispatch.Dispatch.submit

    async def known(self: object, item: Any) -> Any:
        _submitted.set(item.id)
        return await submit(self, item)

    _replace(dispatch.Dispatch, "submit", known)


def _before(
    crash_points: CrashPoints, point: str, owner: type, name: str, number: signal.Signals = signal.SIGKILL
) -> None:
    usual: Async = getattr(owner, name)

    async def crashing(*values: Any, **options: Any) -> Any:
        crash_points.hit(point, number)
        return await usual(*values, **options)

    _replace(owner, name, crashing)


def _after(
    crash_points: CrashPoints, point: str, owner: type, name: str, number: signal.Signals = signal.SIGKILL
) -> None:
    usual: Async = getattr(owner, name)

    async def crashing(*values: Any, **options: Any) -> Any:
        result = await usual(*values, **options)
        crash_points.hit(point, number)
        return result

    _replace(owner, name, crashing)


def _within(crash_points: CrashPoints, points: dict[str, str]) -> None:
    """Crash during a POST, at the steps that httpcore's trace names."""
    send: Async = httpx.AsyncClient.send

    async def traced(step: str, _: object) -> None:
        for point, end in points.items():
            if step.endswith(end):
                crash_points.hit(point, signal.SIGKILL)

    async def crashing(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> Any:
        if request.method == "POST":
            request.extensions = {**request.extensions, "trace": traced}
        return await send(client, request, **options)

    _replace(httpx.AsyncClient, "send", crashing)


def _replace(owner: type, name: str, function: Async) -> None:
    setattr(owner, name, function)


if FOLDER in os.environ:  # in a process of a stack, not in a test that imports this module
    install(CrashPoints(Path(os.environ[FOLDER])))

    if __name__ == "__main__":
        from service.cli import main

        main()
    else:
        from workers import app  # noqa: F401  (what `celery -A` looks for)
