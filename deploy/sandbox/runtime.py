"""The parts of a running sandbox."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.chaos import Chaos
from sandbox.files import Files
from sandbox.gate import Gate, Keys
from sandbox.queue import Queue
from sandbox.seedance import Seedance
from sandbox.settings import Settings
from sandbox.signing import Signer
from sandbox.webhooks import Webhooks


class Runtime:
    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.files = Files(folder)
        self.signer = Signer.stored_in(folder)
        self.retired_signer = Signer.unpublished()  # published first, so that receivers must try every key
        self.chaos = Chaos()
        self.keys = Keys(settings.key)
        self.gate = Gate(self.keys, self.chaos)
        self.seedance = Seedance(settings, self.files)
        self.webhooks = Webhooks(settings, self.signer, self.chaos)
        self.refused: Counter[str] = Counter()  # by prompt
        self.queue = self._empty_queue()

    def forget(self) -> None:
        """Remove all jobs, drafts and faults; files stay."""
        self.queue.close()
        self.webhooks.forget()
        self.chaos.clear()
        self.refused.clear()
        self.seedance.drafts.clear()
        self.queue = self._empty_queue()

    def _empty_queue(self) -> Queue:
        return Queue(self.settings, self.seedance, self.webhooks.announce)

    async def close(self) -> None:
        self.queue.close()
        self.seedance.close()
        await self.webhooks.close()


@asynccontextmanager
async def open_runtime(settings: Settings, folder: Path) -> AsyncIterator[Runtime]:
    runtime = Runtime(settings, folder)
    try:
        yield runtime
    finally:
        await runtime.close()
