"""Jobs of several tenants, created while faults hit a stack, and their final records."""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from service.cli.dev.stack import Stack
from tests.support.receiver import Receiver

#: Resolutions and durations differ, so that most jobs differ in their billed units.
_RESOLUTIONS: Final = ("480p", "720p")
_DURATIONS: Final = tuple(range(4, 16))
_PAUSE: Final = 0.25


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
    owners: list[Owner] = field(default_factory=list)
    accepted: dict[str, Job] = field(default_factory=dict)
    refusals: int = 0
    """Creates that were not accepted, and were repeated with their idempotency key."""
    number: int = 0
    broken: Exception | None = None

    def open_tenants(self) -> None:
        with self._client(self.stack.describe()["admin_token"]) as admin:
            for n in range(self.tenants):
                tenant = admin.post("/admin/v1/tenants", json={"name": f"tenant {n}"}).raise_for_status().json()
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
                job = self._job()
                self.accepted[self._created(client, job)] = job

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

    def _created(self, client: httpx.Client, job: Job) -> str:
        headers = {"authorization": f"Bearer {job.owner.key}", "idempotency-key": job.prompt}
        while True:
            try:
                answer = client.post("/v1/generations", json=job.body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 202:
                return str(answer.json()["id"])
            if answer is not None and answer.status_code not in (429, 503):
                raise RuntimeError(f"{answer.status_code} for a create: {answer.text}")
            self.refusals += 1
            time.sleep(_PAUSE)

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

    def _client(self, token: str | None) -> httpx.Client:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.stack.base_url, headers=headers, timeout=30, trust_env=False)
