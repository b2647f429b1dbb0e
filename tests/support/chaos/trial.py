"""A stack in which processes crash, and the assertions that hold for every generation that it has accepted."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from service.cli.dev.child_processes import Child
from service.cli.dev.stack import Stack
from tests.e2e.conftest import TenantClient
from tests.support.histories.recorder import background_reader
from tests.support.receiver import Receiver

#: Long enough at fal to be observed there, short enough for many jobs.
QUICK: Final = "sandbox:no-video sandbox:seconds=0.2"

#: Settings of a stack that receives no callbacks: polls alone end its generations.
POLLING: Final[dict[str, Any]] = {"public_url": None}


@dataclass
class Trial:
    stack: Stack
    tenant: TenantClient
    receiver: Receiver
    workers: list[Child] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    """Prompts of all accepted generations, by generation id."""

    def create(self, label: str, *, count: int = 3, sandbox: str = QUICK) -> list[str]:
        """Create generations, each with a unique prompt. Return their ids."""
        return [self.create_one(f"{sandbox} {label} {len(self.prompts)}") for _ in range(count)]

    def create_one(self, prompt: str, *, key: str | None = None) -> str:
        body = {"prompt": prompt, "image_url": "https://v3b.fal.media/a.jpg", "duration": 4, "resolution": "480p"}
        body |= {"webhook_url": self.receiver.url, "end_user_id": f"of {prompt}"}
        answer = self.tenant.http.post(
            "/v1/generations", json=body, headers={} if key is None else {"idempotency-key": key}
        )
        assert answer.status_code == 202, answer.text
        name = str(answer.json()["id"])
        self.prompts[name] = prompt
        return name

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read lists, the budget and generations in the background, for the history."""
        with background_reader(self.tenant.http, [self.stack.api_key], self.tenant.history):
            yield

    def repair(self) -> None:
        """Undo what a failed test has left: dead and stopped workers."""
        self.workers = [worker for worker in self.workers if worker.process.poll() is None]
        for worker in self.workers:
            worker.process.send_signal(signal.SIGCONT)
        self.start_workers()

    def start_workers(self) -> None:
        """Start workers until there are two, so that one takes over at once, however slowly a new one starts."""
        while len(self.workers) < 2:
            self.stack.start_worker()
            self.workers.append(self.stack.children["worker"])

    def wait_for_killed_worker(self) -> None:
        """Wait until a worker has killed itself at a crash point."""
        give_up = time.monotonic() + 90
        while not (dead := [worker for worker in self.workers if worker.process.poll() is not None]):
            assert time.monotonic() < give_up, "no worker has crashed"
            time.sleep(0.02)
        self.workers = [worker for worker in self.workers if worker not in dead]
        assert [worker.process.returncode for worker in dead] == [-signal.SIGKILL]

    def submits(self, name: str) -> int:
        return len(self.tenant.submits(self.prompts[name]))

    def wait_until_unconfirmed(self, name: str) -> None:
        """Wait until the generation is unconfirmed. It keeps its hold and its slot."""
        g = self.tenant.wait_for(name, lambda g: g["status"] == "unconfirmed" or g["finished_at"] is not None)
        assert g["status"] == "unconfirmed", g
        today = self.tenant.http.get(f"/v1/end-users/of {self.prompts[name]}").json()["today"]
        slots = self.gauge("gateway_slots_used")
        if self.tenant.read(name)["status"] == "unconfirmed":  # on a slow machine it has ended meanwhile
            assert float(today["held"]) > 0
            assert slots >= 1

    def assert_ended_consistently(self, names: Sequence[str]) -> dict[str, Any]:
        """Assert that these generations end, with consistent submits, slots and money, and that the history is right.

        Return them by id.
        """
        ended = {name: self.tenant.ended(name) for name in names}
        for name, g in ended.items():
            if g["status"] == "succeeded":
                assert (self.submits(name), bool(g["output"]["video"]["url"])) == (1, True), g
            else:
                assert (g["status"], g["error"]["code"]) == ("failed", "submission_unconfirmed"), g
        self.tenant.assert_history(self.receiver)
        self._wait_until_zero("gateway_slots_used")
        self._wait_until_zero("gateway_unconfirmed")
        self._assert_audit_is_clean()
        return ended

    def _wait_until_zero(self, name: str) -> None:
        """Wait for a gauge, which shows a state up to a second old."""
        give_up = time.monotonic() + 60
        while self.gauge(name) != 0:
            assert time.monotonic() < give_up, name
            time.sleep(0.1)

    def _assert_audit_is_clean(self) -> None:
        token = self.stack.settings.admin_token
        assert token is not None
        operator = {"authorization": f"Bearer {token.get_secret_value()}"}
        audit = httpx.get(f"{self.stack.base_url}/admin/v1/audit", headers=operator).json()
        assert audit["clean"], audit

    def gauge(self, name: str) -> float:
        text = httpx.get(self.stack.metrics_url).text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))
