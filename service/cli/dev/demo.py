"""``seedance-gateway demo``: one photo becomes a video, made as a tenant would have it made, and told step by step."""

import os
import signal
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, Final

import httpx
import typer

from service.api.http.responses import PROBLEM_JSON
from service.cli.dev.child_processes import ChildFailed, free_port
from service.cli.dev.receiver import Receiver, WebhookFailed
from service.cli.dev.screen import Figure, Screen
from service.cli.dev.stack import Stack
from service.config.settings import PREFIX
from service.domain.generation_view import GenerationView, QueueView
from service.domain.status import PUBLIC_TERMINAL, PublicStatus
from service.observability import metrics

PHOTO: Final = "rocket.jpg"
PROMPT: Final = "The rocket lifts off in a cloud of fire; the camera follows it into the sky."
RESOLUTION: Final = "480p"
SECONDS: Final = 5

#: What the sandbox is made of; a plain installation of the gateway has none of it.
_SANDBOX_NEEDS: Final = ("sandbox", "av", "numpy", "PIL")
#: fal's minute of rendering takes 3.3 s, and its queue 2.7 s: a poll, due after 1 s and at the next beat, sees it.
_SANDBOX_SPEED: Final = 18.0
_SANDBOX_QUEUE_SECONDS: Final = 48
_LOOK_SECONDS: Final = 0.2
_VIDEO_WITHIN: Final = 90.0
_WEBHOOK_WITHIN: Final = 60.0
_CALL_WITHIN: Final = 30.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_WORDS: Final[Mapping[PublicStatus, str]] = {
    PublicStatus.QUEUED: "kept in Redis, waiting for a worker",
    PublicStatus.SUBMITTING: "a worker is sending it to fal",
    PublicStatus.UNCONFIRMED: "fal may have it; nothing is sent twice",
    PublicStatus.SUBMITTED: "fal has it",
    PublicStatus.IN_PROGRESS: "fal is making the video",
    PublicStatus.SUCCEEDED: "the video is ready",
}


_FIGURES: Final = (
    Figure(metrics.CREATED, "generations accepted", {}),
    Figure(metrics.REPLAYED, "repeats that made nothing new", {}),
    Figure(metrics.UPSTREAM_CALLS, "paid calls to fal (submit)", {"operation": "submit"}),
    Figure(metrics.COST, "spent, in millionths of a dollar", {}),
    Figure(metrics.WEBHOOK_ATTEMPTS, "webhooks delivered", {"outcome": "delivered"}),
)


class DemoFailed(Exception):
    """Something is not as it should be; the message is the one line that says what."""


def run(output: Path) -> None:
    """Leaves a video in this folder, and no process. Exits with 1 after one line that says what failed."""
    begun, screen, interrupts = time.monotonic(), Screen(), _Interrupts()
    try:
        _check_installation()
        _make_folder(output)
        with (
            _running_stack(screen, interrupts) as stack,
            Receiver(stack.webhook_secret) as receiver,
            _client(stack) as api,
        ):
            _Demo(screen, interrupts, stack, receiver, api, output).tell()
    except (DemoFailed, WebhookFailed, httpx.HTTPError, OSError) as error:
        screen.failed(str(error) or type(error).__name__)
        raise typer.Exit(1) from None
    screen.say(f"\nDone in {time.monotonic() - begun:.0f} s; every process has ended.")
    screen.say("To keep it all running and call it yourself: make up, or seedance-gateway up")


class _Interrupts:
    """The first Ctrl-C or SIGTERM ends the demo; no second one disturbs the ending.

    Every child is a fork, and Python swallows what a signal handler raises while a fork's hooks run: hence ``check``.
    """

    def __init__(self) -> None:
        self._heard = False
        for number in _SIGNALS:
            signal.signal(number, self._interrupt)

    def check(self) -> None:
        if self._heard:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, _do_nothing)  # not SIG_IGN: a child would inherit it and could not be ended

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self.ignore()
        self._heard = True
        raise KeyboardInterrupt


def _do_nothing(_signal: int, _frame: FrameType | None) -> None:
    pass


def _check_installation() -> None:
    if any(find_spec(name) is None for name in _SANDBOX_NEEDS):
        raise DemoFailed(
            "The demo needs the sandbox, fal's stand-in: pip install 'seedance-gateway[sandbox]' "
            "(in a clone of the repository: pip install -e '.[sandbox]')."
        )


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoFailed(f"The folder {output} cannot be made: {error.strerror}.") from None


@contextmanager
def _running_stack(screen: Screen, interrupts: _Interrupts) -> Iterator[Stack]:
    _forget_settings()
    stack = Stack(sandbox_speed=_SANDBOX_SPEED, overrides={"metrics_port": free_port()})
    try:
        screen.title()
        with screen.working("Starting Redis, sandbox, gateway, worker and beat"):
            begun = time.monotonic()
            stack.start()
        interrupts.check()
        screen.done(f"Started Redis, sandbox, gateway, worker and beat ({time.monotonic() - begun:.1f} s)")
        yield stack
    finally:
        interrupts.ignore()
        try:
            screen.say("\nEnding every process.")
        finally:
            stack.end()


def _forget_settings() -> None:
    """Children inherit our environment: the shell's own settings are not what is shown here."""
    for name in [name for name in os.environ if name.upper().startswith((PREFIX, "SANDBOX_"))]:
        del os.environ[name]
    os.environ["SANDBOX_QUEUE_SECONDS"] = str(_SANDBOX_QUEUE_SECONDS)


def _client(stack: Stack) -> httpx.Client:
    headers = {"authorization": f"Bearer {stack.api_key}"}
    return httpx.Client(base_url=stack.base_url, headers=headers, timeout=_CALL_WITHIN, trust_env=False)


@dataclass(frozen=True, slots=True)
class _Demo:
    """What a tenant does, in order."""

    screen: Screen
    interrupts: _Interrupts
    stack: Stack
    receiver: Receiver
    api: httpx.Client
    output: Path

    def tell(self) -> None:
        order = self._order(self._upload())
        g = self._create(order)
        g = self._follow(g)
        self._await_webhook(g)
        self._download(g)
        self._tell_cost(g)
        self._replay(g, order)
        self.screen.figures(_FIGURES, self._metrics())

    def _upload(self) -> str:
        photo = (resources.files("sandbox") / "samples" / PHOTO).read_bytes()
        answer = _good(self.api.post("/v1/uploads", content=photo, headers={"content-type": "image/jpeg"}))
        self.screen.done(f"Uploaded {PHOTO}, {_size(len(photo))} (POST /v1/uploads)")
        url: str = answer.json()["url"]
        return url

    def _order(self, image_url: str) -> dict[str, Any]:
        """Everything that makes the same create the same: body and Idempotency-Key."""
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

    def _create(self, order: dict[str, Any]) -> GenerationView:
        g: GenerationView = _good(self.api.post("/v1/generations", **order)).json()
        self.screen.done(f"Created {g['id']} (POST /v1/generations)")
        self.screen.detail(f'"{PROMPT}"')
        self.screen.detail(f"{RESOLUTION}, {SECONDS} s, at most ${g['cost']['estimated']}")
        return g

    def _follow(self, g: GenerationView) -> GenerationView:
        """Look until it has ended; each new state is a line, and between them the clock runs."""
        begun, told = time.monotonic(), ""
        with self.screen.working("Following it (GET /v1/generations/{id})") as spinner:
            while True:
                elapsed = time.monotonic() - begun
                if (words := _words(g)) != told:
                    self._tell_state(g, f"{elapsed:4.1f} s  {words}")
                    told = words
                if g["status"] in PUBLIC_TERMINAL:
                    break
                self.interrupts.check()
                self._check_children()
                if elapsed > _VIDEO_WITHIN:
                    raise DemoFailed(f"No video after {elapsed:.0f} s; the generation is still {g['status']}.")
                spinner.update(f"{elapsed:4.1f} s  {words}")
                time.sleep(_LOOK_SECONDS)
                g = _good(self.api.get(f"/v1/generations/{g['id']}")).json()
        if g["status"] != PublicStatus.SUCCEEDED:
            raise DemoFailed(f"No video: {g['error']['message'] if g['error'] else g['status']}")
        return g

    def _tell_state(self, g: GenerationView, words: str) -> None:
        if g["status"] in PUBLIC_TERMINAL and g["status"] != PublicStatus.SUCCEEDED:
            self.screen.failed(words)
        else:
            self.screen.done(words)

    def _check_children(self) -> None:
        for child in self.stack.children.values():
            if child.process.poll() is not None:
                raise ChildFailed(f"{child.name} ended with {child.process.returncode}:\n{child.story()}")

    def _await_webhook(self, g: GenerationView) -> None:
        with self.screen.working(f"Waiting for the webhook, {_WEBHOOK_WITHIN:.0f} s at most"):
            received = self.receiver.take(within=_WEBHOOK_WITHIN)
        if received.event["data"]["id"] != g["id"]:
            raise DemoFailed(f"The webhook tells of {received.event['data']['id']} instead of {g['id']}.")
        late = (received.at - datetime.fromisoformat(str(g["finished_at"]))).total_seconds() * 1000
        kind = received.event["type"]
        self.screen.done(f"Received the webhook {kind} after {late:.0f} ms: its signature is good")

    def _download(self, g: GenerationView) -> None:
        assert g["output"] is not None  # noqa: S101  (_follow returns nothing else)
        path = self.output / f"{g['id']}.mp4"
        partial = path.with_suffix(".part")
        try:
            with httpx.stream("GET", g["output"]["video"]["url"], timeout=_CALL_WITHIN, trust_env=False) as answer:
                _good(answer)
                with partial.open("wb") as file:
                    file.writelines(answer.iter_bytes())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        self.screen.done(f"Downloaded {path}")
        self.screen.detail(f"{_size(path.stat().st_size)}, {_video(path)}")

    def _tell_cost(self, g: GenerationView) -> None:
        cost = g["cost"]
        self.screen.done(f"Cost: ${cost['actual']} (estimated beforehand: ${cost['estimated']})")

    def _replay(self, g: GenerationView, order: dict[str, Any]) -> None:
        answer = _good(self.api.post("/v1/generations", **order))
        if (again := answer.json()["id"]) != g["id"]:
            raise DemoFailed(f"The same Idempotency-Key made a second generation, {again} beside {g['id']}.")
        self.screen.done("Sent the create again, same Idempotency-Key: same id, nothing new was made")

    def _metrics(self) -> str:
        """The gateway's and the worker's: each process counts what it does itself."""
        worker = f"http://127.0.0.1:{self.stack.settings.metrics_port}/metrics"
        return _good(self.api.get("/metrics")).text + _good(self.api.get(worker)).text


def _good(response: httpx.Response) -> httpx.Response:
    """Raises DemoFailed with what a problem document says, or with the start of any other answer."""
    if response.is_success:
        return response
    text = response.read().decode(errors="replace")
    if response.headers.get("content-type") == PROBLEM_JSON:
        text = response.json()["detail"]
    raise DemoFailed(f"{response.request.method} {response.url.path} answered {response.status_code}: {text[:300]}")


def _words(g: GenerationView) -> str:
    return f"{g['status']}: {_WORDS.get(g['status'], 'it ended without a video')}{_place(g['queue'])}"


def _place(queue: QueueView | None) -> str:
    match queue:
        case {"position": 0}:
            return ", next in its queue"
        case {"position": int(ahead)}:
            return f", {ahead} ahead in its queue"
    return ""


def _video(path: Path) -> str:
    """What it really holds, decoded to its last frame."""
    import av  # noqa: PLC0415  (of the sandbox extra)

    with av.open(str(path)) as container:
        picture = container.streams.video[0]
        frames = sum(1 for _ in container.decode(picture))
        seconds = frames / float(picture.average_rate or 1)
        codecs = " + ".join(stream.codec_context.name for stream in container.streams)
        return f"{picture.width} x {picture.height} pixels, {seconds:.1f} s, {codecs}"


def _size(size: int) -> str:
    return f"{Decimal(size) / 1000:.0f} kB"
