"""Jobs of several tenants, created while faults hit a stack, and their final records."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from service.cli.dev.stack import Stack
from tests.support.histories.operations import History
from tests.support.histories.recorder import background_reader, recording_client
from tests.support.receiver import Receiver

#: Resolutions and durations differ, so that most jobs differ in their billed units.
_RESOLUTIONS: Final = ("480p", "720p")
_DURATIONS: Final = tuple(range(4, 16))
_PAUSE: Final = 0.25
#: The share of creates after which one of the earlier creates is sent again, with its idempotency key.
_REPEATS: Final = 0.3
#: The share of background reads that also cancel a generation.
_CANCELS: Final = 0.03
#: Longer than any fault. A create that is refused for longer ends the run.
_ACCEPTED_WITHIN: Final = 180.0


@dataclass(frozen=True)
class Owner:
    """A tenant: id, API key, webhook secret."""

    id: str
    key: str
    webhook_secret: str


@dataclass(frozen=True)
class Job:
    owner: Owner
    prompt: str
    body: dict[str, Any]


@dataclass
class Jobs:
    """Creates jobs in a thread, and repeats each create until it is accepted. ``accepted``: jobs by generation id."""

    stack: Stack
    receiver: Receiver
    rng: random.Random
    tenants: int
    run_seconds: float
    tight_budget: str | None = None
    """Budget in US dollars of the first tenant. The other tenants have none."""
    owners: list[Owner] = field(default_factory=list)
    accepted: dict[str, Job] = field(default_factory=dict)
    history: History = field(default_factory=History)
    refusals: int = 0
    """Creates that were not accepted, and were repeated with their idempotency key."""
    number: int = 0
    broken: Exception | None = None

    def open_tenants(self) -> None:
        with self._client(self.stack.describe()["admin_token"]) as admin:
            for n in range(self.tenants):
                body: dict[str, Any] = {"name": f"tenant {n}"}
                if n == 0 and self.tight_budget is not None:
                    body["limits"] = {"monthly_budget_usd": self.tight_budget}
                tenant = admin.post("/admin/v1/tenants", json=body).raise_for_status().json()
                key = admin.post(f"/admin/v1/tenants/{tenant['id']}/keys", json={}).raise_for_status().json()
                self.owners.append(Owner(tenant["id"], key["key"], tenant["webhook_secret"]))

    def begin(self, count: int, within: float) -> threading.Thread:
        """Create ``count`` jobs, evenly over ``within`` seconds."""
        thread = threading.Thread(target=self._create_quietly, args=(count, within), daemon=True)
        thread.start()
        return thread

    def _create_quietly(self, count: int, within: float) -> None:
        try:
            self._create(count, within)
        except Exception as error:  # noqa: BLE001  (the verdict raises it)
            self.broken = error

    def _create(self, count: int, within: float) -> None:
        began = time.monotonic()
        with self._client(None) as client:
            for n in range(count):
                time.sleep(max(0.0, began + within * n / count - time.monotonic()))
                name = None
                while name is None:
                    job = self._job()
                    name = self._created(client, job)
                self.accepted[name] = job
                if self.rng.random() < _REPEATS:  # the checker of the history compares the ids
                    self._created(client, self.rng.choice(list(self.accepted.values())))

    def _job(self) -> Job:
        self.number += 1
        rng, owner = self.rng, self.rng.choice(self.owners)
        seconds = self.run_seconds * rng.uniform(0.7, 1.3)
        prompt = f"sandbox:no-video sandbox:queue-seconds=0.2 sandbox:seconds={seconds:.2f} job {self.number}"
        body: dict[str, Any] = {
            "prompt": prompt,
            "image_url": "https://v3b.fal.media/a.jpg",
            "webhook_url": self.receiver.url,
        }
        body |= {"duration": rng.choice(_DURATIONS), "resolution": rng.choice(_RESOLUTIONS)}
        return Job(owner, prompt, body | {"end_user_id": f"customer {rng.randrange(3)}"})

    def _created(self, client: httpx.Client, job: Job) -> str | None:
        """Create a job; None: its tenant has no budget left."""
        headers = {"authorization": f"Bearer {job.owner.key}", "idempotency-key": job.prompt}
        give_up = time.monotonic() + _ACCEPTED_WITHIN
        while time.monotonic() < give_up:
            try:
                answer = client.post("/v1/generations", json=job.body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 202:
                return str(answer.json()["id"])
            if answer is not None and answer.status_code == 402 and job.owner is self.owners[0]:
                return None
            if answer is not None and answer.status_code not in (429, 503):
                raise RuntimeError(f"{answer.status_code} for a create: {answer.text}")
            self.refusals += 1
            time.sleep(_PAUSE)
        raise RuntimeError(f"no create was accepted within {_ACCEPTED_WITHIN:.0f} s")

    def read(self) -> dict[str, dict[str, Any]]:
        """Return every generation as its tenant reads it, by id."""
        found: dict[str, dict[str, Any]] = {}
        with self._client(None) as client:
            for owner in self.owners:
                headers, query = {"authorization": f"Bearer {owner.key}"}, {"limit": "100"}
                while True:
                    answer = client.get("/v1/generations", params=query, headers=headers)
                    page = answer.raise_for_status().json()
                    found |= {g["id"]: g for g in page["data"]}
                    if page["next_cursor"] is None:
                        break
                    query["cursor"] = page["next_cursor"]
        return found

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read and cancel generations in the background."""
        tokens = [owner.key for owner in self.owners]
        with self._client(None) as client, background_reader(client, tokens, self.history, cancels=_CANCELS):
            yield

    def _client(self, token: str | None) -> httpx.Client:
        return recording_client(self.stack.base_url, token, self.history)
