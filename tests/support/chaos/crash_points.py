"""A stack in trouble, and what must hold of everything it has ever accepted."""

import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from service.cli.dev.child_processes import Child
from service.cli.dev.stack import Stack
from tests.e2e.conftest import TenantClient
from tests.support.receiver import Receiver

#: Long enough at fal to be seen there, short enough for many.
QUICK: Final = "sandbox:no-video sandbox:seconds=0.2"

#: Of a stack to which fal cannot report: polls do it all.
POLLING: Final[dict[str, Any]] = {"public_url": None}


@dataclass
class Trial:
    stack: Stack
    tenant: TenantClient
    receiver: Receiver
    workers: list[Child] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    """Of every generation that was ever accepted here."""

    def create(self, words: str, *, count: int = 3, sandbox: str = QUICK) -> list[str]:
        """Generations, each with a prompt that no other has."""
        return [self.created(f"{sandbox} {words} {len(self.prompts)}") for _ in range(count)]

    def created(self, prompt: str, *, key: str | None = None) -> str:
        body = {"prompt": prompt, "image_url": "https://v3b.fal.media/a.jpg", "duration": 4, "resolution": "480p"}
        body |= {"webhook_url": self.receiver.url, "end_user_id": f"of {prompt}"}
        answer = self.tenant.http.post(
            "/v1/generations", json=body, headers={} if key is None else {"idempotency-key": key}
        )
        assert answer.status_code == 202, answer.text
        name = str(answer.json()["id"])
        self.prompts[name] = prompt
        return name

    def staff(self) -> None:
        """Two workers, so that what one leaves behind is looked after at once, however long a new one takes."""
        while len(self.workers) < 2:
            self.stack.start_worker()
            self.workers.append(self.stack.children["worker"])

    def lost_a_worker(self) -> None:
        """By its own hand; returns once it is gone."""
        give_up = time.monotonic() + 90
        while not (dead := [worker for worker in self.workers if worker.process.poll() is not None]):
            assert time.monotonic() < give_up, "all live"
            time.sleep(0.02)
        self.workers = [worker for worker in self.workers if worker not in dead]
        assert [worker.process.returncode for worker in dead] == [-signal.SIGKILL]

    def submits(self, name: str) -> int:
        return len(self.tenant.submits(self.prompts[name]))

    def becomes_unconfirmed(self, name: str) -> None:
        """And keeps its hold and its slot."""
        g = self.tenant.wait_for(name, lambda g: g["status"] == "unconfirmed" or g["finished_at"] is not None)
        assert g["status"] == "unconfirmed", g
        today = self.tenant.http.get(f"/v1/end-users/of {self.prompts[name]}").json()["today"]
        assert float(today["held"]) > 0
        assert self.gauge("gateway_slots_used") >= 1

    def prove(self, names: Sequence[str]) -> dict[str, Any]:
        """That these end, and that all is in order then: submits, events, slots and money. The generations."""
        ended = {name: self.tenant.ended(name) for name in names}
        for name, g in ended.items():
            submits = self.submits(name)
            if g["status"] == "succeeded":
                assert (submits, bool(g["output"]["video"]["url"])) == (1, True), g
            else:
                assert submits <= 1, g
                assert (g["status"], g["error"]["code"]) == ("failed", "submission_unconfirmed"), g
        self._each_was_told_of_once()
        self._becomes_zero("gateway_slots_used")
        self._becomes_zero("gateway_unconfirmed")
        self._the_books_are_clean()
        return ended

    def _becomes_zero(self, name: str) -> None:
        """A gauge shows what was there a moment ago."""
        give_up = time.monotonic() + 60
        while self.gauge(name) != 0:
            assert time.monotonic() < give_up, name
            time.sleep(0.1)

    def _each_was_told_of_once(self) -> None:
        """However often it was sent: one event is one webhook-id."""
        secret = self.stack.webhook_secret
        self.receiver.wait_for(lambda came: {e.verified(secret)["data"]["id"] for e in came} >= {*self.prompts})
        events = defaultdict(set)
        for event in self.receiver.received:
            events[event.verified(secret)["data"]["id"]].add(event.headers["webhook-id"])
        assert {name: len(told) for name, told in events.items()} == dict.fromkeys(self.prompts, 1)

    def _the_books_are_clean(self) -> None:
        token = self.stack.settings.admin_token
        assert token is not None
        operator = {"authorization": f"Bearer {token.get_secret_value()}"}
        audit = httpx.get(f"{self.stack.base_url}/admin/v1/audit", headers=operator).json()
        assert audit["clean"], audit

    def gauge(self, name: str) -> float:
        text = httpx.get(f"{self.stack.base_url}/metrics").text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))
