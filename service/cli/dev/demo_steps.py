"""The steps of the demo: what a tenant does with the HTTP API, in order, and the line that each step prints."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, Final

import httpx

from service.api.http.responses import PROBLEM_JSON
from service.cli.dev.demo_interrupts import DemoInterrupts
from service.cli.dev.receiver import Receiver
from service.cli.dev.screen import Figure, Screen
from service.cli.dev.stack import Stack
from service.domain.generation_view import GenerationView, QueueView
from service.domain.status import PUBLIC_TERMINAL, PublicStatus
from service.observability import metrics

PHOTO: Final = "rocket.jpg"
PROMPT: Final = "The rocket lifts off in a cloud of fire; the camera follows it into the sky."
RESOLUTION: Final = "480p"
SECONDS: Final = 5

_POLL_SECONDS: Final = 0.2
_VIDEO_SECONDS: Final = 90.0
_WEBHOOK_SECONDS: Final = 60.0
_CALL_SECONDS: Final = 30.0

_STATUS_TEXTS: Final[Mapping[PublicStatus, str]] = {
    PublicStatus.QUEUED: "stored in Redis, waits for a worker",
    PublicStatus.SUBMITTING: "a worker submits it to fal",
    PublicStatus.UNCONFIRMED: "fal may have accepted it; it is not sent again",
    PublicStatus.SUBMITTED: "fal has accepted it",
    PublicStatus.IN_PROGRESS: "fal renders the video",
    PublicStatus.SUCCEEDED: "the video is ready",
}
_FIGURES: Final = (
    Figure(metrics.CREATED, "generations accepted", {}),
    Figure(metrics.REPLAYED, "repeated creates with the same Idempotency-Key", {}),
    Figure(metrics.UPSTREAM_CALLS, "paid calls to fal (submit)", {"operation": "submit"}),
    Figure(metrics.COST, "settled costs, in millionths of a US dollar", {}),
    Figure(metrics.WEBHOOK_ATTEMPTS, "webhooks delivered", {"outcome": "delivered"}),
)


class DemoFailed(Exception):
    """A step failed; the message is one line with the cause."""


@dataclass(frozen=True, slots=True)
class DemoSteps:
    """The requests of a tenant, in order."""

    screen: Screen
    interrupts: DemoInterrupts
    stack: Stack
    receiver: Receiver
    api: httpx.Client
    output: Path

    def run(self) -> None:
        """Do all steps. Raises DemoFailed, WebhookFailed, ChildFailed, or what httpx raises."""
        create = self._create_request(self._upload())
        g = self._create(create)
        g = self._follow(g)
        self._await_webhook(g)
        self._download(g)
        self._show_cost(g)
        self._repeat_create(g, create)
        self.screen.figures(_FIGURES, self._metrics())

    def _upload(self) -> str:
        photo = (resources.files("sandbox") / "samples" / PHOTO).read_bytes()
        response = _checked(self.api.post("/v1/uploads", content=photo, headers={"content-type": "image/jpeg"}))
        self.screen.done(f"Uploaded {PHOTO}, {_size(len(photo))} (POST /v1/uploads)")
        url: str = response.json()["url"]
        return url

    def _create_request(self, image_url: str) -> dict[str, Any]:
        """Return body and Idempotency-Key, which together identify a repeated create."""
        body = {
            "prompt": PROMPT,
            "image_url": image_url,
            "resolution": RESOLUTION,
            "duration": SECONDS,
            "end_user_id": "customer-42",
            "metadata": {"campaign": "spring"},
            "webhook_url": self.receiver.url,
        }
        return {"json": body, "headers": {"idempotency-key": f"demo-{uuid.uuid4()}"}}

    def _create(self, create: dict[str, Any]) -> GenerationView:
        g: GenerationView = _checked(self.api.post("/v1/generations", **create)).json()
        self.screen.done(f"Created {g['id']} (POST /v1/generations)")
        self.screen.detail(f'"{PROMPT}"')
        self.screen.detail(f"{RESOLUTION}, {SECONDS} s, at most ${g['cost']['estimated']}")
        return g

    def _follow(self, g: GenerationView) -> GenerationView:
        """Poll until the generation has ended. Print each new status as a line, and the elapsed time meanwhile."""
        started, shown = time.monotonic(), ""
        with self.screen.working("Polling the generation (GET /v1/generations/{id})") as spinner:
            while True:
                elapsed = time.monotonic() - started
                if (text := _status_text(g)) != shown:
                    self._show_status(g, f"{elapsed:4.1f} s  {text}")
                    shown = text
                if g["status"] in PUBLIC_TERMINAL:
                    break
                self.interrupts.check()
                self._check_children()
                if elapsed > _VIDEO_SECONDS:
                    raise DemoFailed(f"No video after {elapsed:.0f} s; the generation is still {g['status']}.")
                spinner.update(f"{elapsed:4.1f} s  {text}")
                time.sleep(_POLL_SECONDS)
                g = _checked(self.api.get(f"/v1/generations/{g['id']}")).json()
        if g["status"] != PublicStatus.SUCCEEDED:
            raise DemoFailed(f"No video: {g['error']['message'] if g['error'] else g['status']}")
        return g

    def _show_status(self, g: GenerationView, text: str) -> None:
        if g["status"] in PUBLIC_TERMINAL and g["status"] != PublicStatus.SUCCEEDED:
            self.screen.failed(text)
        else:
            self.screen.done(text)

    def _check_children(self) -> None:
        for child in self.stack.children.values():
            child.check_running()

    def _await_webhook(self, g: GenerationView) -> None:
        with self.screen.working(f"Waiting for the webhook, {_WEBHOOK_SECONDS:.0f} s at most"):
            received = self.receiver.take(within=_WEBHOOK_SECONDS)
        if received.event["data"]["id"] != g["id"]:
            raise DemoFailed(f"The webhook is about {received.event['data']['id']} instead of {g['id']}.")
        late = (received.at - datetime.fromisoformat(str(g["finished_at"]))).total_seconds() * 1000
        kind = received.event["type"]
        self.screen.done(f"Received the webhook {kind} after {late:.0f} ms; its signature is valid")

    def _download(self, g: GenerationView) -> None:
        assert g["output"] is not None  # noqa: S101  (_follow returns nothing else)
        path = self.output / f"{g['id']}.mp4"
        partial = path.with_suffix(".part")
        try:
            with httpx.stream("GET", g["output"]["video"]["url"], timeout=_CALL_SECONDS, trust_env=False) as response:
                _checked(response)
                with partial.open("wb") as file:
                    file.writelines(response.iter_bytes())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        self.screen.done(f"Downloaded {path}")
        self.screen.detail(f"{_size(path.stat().st_size)}, {_describe_video(path)}")

    def _show_cost(self, g: GenerationView) -> None:
        cost = g["cost"]
        self.screen.done(f"Cost: ${cost['actual']} (estimate: ${cost['estimated']})")

    def _repeat_create(self, g: GenerationView, create: dict[str, Any]) -> None:
        response = _checked(self.api.post("/v1/generations", **create))
        if (again := response.json()["id"]) != g["id"]:
            raise DemoFailed(f"The same Idempotency-Key created a second generation, {again}, after {g['id']}.")
        self.screen.done("Repeated the create with the same Idempotency-Key: same id, no second generation")

    def _metrics(self) -> str:
        """Return the metrics of gateway and worker: each process counts its own events."""
        worker = f"http://127.0.0.1:{self.stack.settings.metrics_port}/metrics"
        return _checked(self.api.get(self.stack.metrics_url)).text + _checked(self.api.get(worker)).text


def _checked(response: httpx.Response) -> httpx.Response:
    """Return a successful response. Otherwise raise DemoFailed with its detail or the start of its body."""
    if response.is_success:
        return response
    text = response.read().decode(errors="replace")
    if response.headers.get("content-type") == PROBLEM_JSON:
        text = response.json()["detail"]
    raise DemoFailed(f"{response.request.method} {response.url.path} answered {response.status_code}: {text[:300]}")


def _status_text(g: GenerationView) -> str:
    return f"{g['status']}: {_STATUS_TEXTS.get(g['status'], 'ended without a video')}{_queue_text(g['queue'])}"


def _queue_text(queue: QueueView | None) -> str:
    match queue:
        case {"position": 0}:
            return ", next in the queue"
        case {"position": int(ahead)}:
            return f", {ahead} ahead in the queue"
    return ""


def _describe_video(path: Path) -> str:
    """Return size, duration and codecs, from decoding every frame."""
    import av  # noqa: PLC0415  (of the sandbox extra)

    with av.open(str(path)) as container:
        picture = container.streams.video[0]
        frames = sum(1 for _ in container.decode(picture))
        seconds = frames / float(picture.average_rate or 1)
        codecs = " + ".join(stream.codec_context.name for stream in container.streams)
        return f"{picture.width} x {picture.height} pixels, {seconds:.1f} s, {codecs}"


def _size(size: int) -> str:
    return f"{Decimal(size) / 1000:.0f} kB"


def connect(stack: Stack) -> httpx.Client:
    """Return a client of the stack's gateway with its API key."""
    headers = {"authorization": f"Bearer {stack.api_key}"}
    return httpx.Client(base_url=stack.base_url, headers=headers, timeout=_CALL_SECONDS, trust_env=False)
