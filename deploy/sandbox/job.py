"""One accepted request and its state."""

import asyncio
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.faults import Behaviour
from sandbox.outcome import Outcome

COMPACT = (",", ":")


class Status(StrEnum):
    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"


@dataclass(slots=True, eq=False)
class Job:
    request_id: str
    head: str  # owner/app: the part that the URLs of later calls carry
    path: str  # what followed the head at submit
    base: str  # the sandbox's base URL as the client addressed it
    input: Any
    behaviour: Behaviour
    created_at: float
    webhook_url: str | None = None
    low_priority: bool = False
    start_timeout: float | None = None  # real seconds, as the client set it

    ticket: int = 0
    status: Status = Status.IN_QUEUE
    started_at: float | None = None
    finished_at: float | None = None
    attempts: int = 0
    outcome: Outcome | None = None
    links: str = ""  # constant part of every status answer, as JSON
    record: str = ""  # constant part of the oracle's entry, as JSON
    watchers: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"{self.head}/{self.path}" if self.path else self.head

    @property
    def prompt(self) -> str:
        return self._text("prompt") or ""

    @property
    def end_user_id(self) -> str | None:
        return self._text("end_user_id")

    @property
    def run_time(self) -> float:
        """Seconds in IN_PROGRESS so far."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return self.finished_at - self.started_at

    def _text(self, name: str) -> str | None:
        value = self.input.get(name) if isinstance(self.input, dict) else None
        return value if isinstance(value, str) else None

    def wake(self) -> None:
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    async def change(self, timeout: float | None = None) -> None:
        """Return at the next change of state, or after `timeout` seconds."""
        watcher = asyncio.get_running_loop().create_future()
        self.watchers.append(watcher)
        await asyncio.wait([watcher], timeout=timeout)
        if not watcher.done():
            self.watchers.remove(watcher)

    def write_constants(self, response_suffix: str) -> None:
        url = f"{self.base}/queue/{self.head}/requests/{self.request_id}"
        links = {
            "request_id": self.request_id,
            "response_url": url + response_suffix,
            "status_url": f"{url}/status",
            "cancel_url": f"{url}/cancel",
        }
        record = {
            "request_id": self.request_id,
            "endpoint": self.endpoint,
            "prompt": self.prompt,
            "end_user_id": self.end_user_id,
            "webhook_url": self.webhook_url,
            "created_at": self.created_at,
        }
        self.links = json.dumps(links, separators=COMPACT)[1:-1]
        self.record = json.dumps(record, separators=COMPACT)[1:-1]
