"""The border of the use cases in the model: calls to the store and to fal, and replacements of the rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from contextlib import ExitStack
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from service.domain import ids
from service.domain.outcomes import Locked, NotSubmitted
from service.store.gate.gate import Noted
from service.usecases import log_context
from service.usecases.lifecycle import dispatch, poller, reconciliation, sweeper, transition_service, video_copier
from service.usecases.tenants import erasure
from service.usecases.webhooks import fanout

MODEL: Final = "bytedance/seedance-2.0/image-to-video"


class Call:
    """A call at the border. It returns what the explorer replies."""

    def __init__(
        self, name: str, values: tuple[Any, ...] = (), named: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        self.name = name
        self.values = values
        self.named = named
        self.record: Any = None
        """What it writes to the store."""

    def __await__(self) -> Generator["Call", Any, Any]:
        return (yield self)


class Port:
    """A collaborator at the border: each of its methods yields a call."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        return lambda *values, **named: Call(f"{self._name}.{method}", values, named)


class Gate:
    """The dispatch gate, always open: a closed gate only delays submits. It counts refusals alone, as ``gate.lua``."""

    async def leave(self, _name: str) -> bool:
        return False

    async def note(self, outcome: Any, g: Any) -> Noted:
        is_refused = isinstance(outcome, Locked) or (isinstance(outcome, NotSubmitted) and outcome.refused)
        return Noted(refusals=g.submit_refusals + 1 if is_refused else 0)

    async def answered(self) -> None: ...

    async def locked_poll(self, *_values: Any) -> None: ...


class Constant:
    """Collaborators without a part in the promises: no endpoint subscribes, every delivery was attempted."""

    async def of_tenant(self, _tenant_id: str) -> list[Any]:
        return []

    async def get(self, *_values: Any) -> None: ...

    async def observe(self, *_values: Any) -> None: ...

    async def pending(self, _names: Any) -> bool:
        return False

    @contextlib.asynccontextmanager
    async def opened(self, _url: str) -> AsyncIterator[tuple[str, tuple[()]]]:
        yield "video/mp4", ()


class Deliveries(Port):
    pending = Constant.pending


class Silence:
    """Replaces logs and metrics."""

    def __getattr__(self, _name: str) -> "Silence":
        return self

    def __call__(self, *_values: Any, **_named: Any) -> "Silence":
        return self


@contextlib.contextmanager
def without_an_event_loop() -> Iterator[None]:
    """Replace what needs an event loop, makes random ids, or writes logs and metrics."""

    async def in_order(*calls: Any) -> list[Any]:
        return [await call for call in calls]

    async def no_pause(_seconds: float) -> None: ...

    stopped = SimpleNamespace(time=lambda: 0.0)
    modules: list[Any] = [
        dispatch, log_context, poller, reconciliation, sweeper, transition_service, video_copier, erasure,
    ]  # fmt: skip
    with ExitStack() as changed:

        def change(module: Any, **names: Any) -> None:
            for name, value in names.items():
                changed.enter_context(patch.object(module, name, value))

        for module in modules:
            change(module, **{name: Silence() for name in ("log", "metrics") if hasattr(module, name)})
        change(log_context, _log=Silence())
        for module in (dispatch, poller, sweeper):
            change(module, bind_generation=Silence())
        for module in (dispatch, poller):
            change(module, begin_work_of=Silence())
        change(poller, asyncio=SimpleNamespace(gather=in_order))
        change(transition_service, asyncio=SimpleNamespace(get_running_loop=lambda: stopped, sleep=no_pause))
        change(video_copier, asyncio=SimpleNamespace(Semaphore=asyncio.Semaphore, timeout=contextlib.nullcontext))
        change(fanout, ids=SimpleNamespace(DELIVERY=ids.DELIVERY, new=lambda prefix, _now: f"{prefix}_{'0' * 26}"))
        yield
