"""Plain functions with valid defaults; every keyword replaces one field."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from service.clock import MOST_SKEW
from service.config.settings import Settings
from service.domain import ids
from service.domain.actor import Actor, ActorKind
from service.domain.credential import hash_secret
from service.domain.failure import Failure
from service.domain.generation import Due, Generation, LogLine, Output, Video
from service.domain.operator import Operator, OperatorToken, Role, new_token_text
from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits, parse_create
from service.domain.signing import new_secret
from service.domain.status import Status
from service.domain.tenant import ApiKey, Tenant, new_key_text
from service.domain.trail import Entry, Outcome
from service.domain.webhook import Attempt, Delivery

NOW: Final = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
PROMPT: Final = "a cat drinks coffee in a rocket"
#: The discard port: nothing listens there, so an unintended call to fal fails at once.
NOWHERE: Final = "http://127.0.0.1:9"
SECRET_KEY: Final = "a3f1c09e5b7d2846e0914bd7c8f26a35917e04dcb86f3a52d1e97c405b8a6f23"
OTHER_SECRET_KEY: Final = "5d0b82e7fa4c196d3e8705cb92af61d48e3f7a150cd6b294f81e6d37a50c9b42"
ADMIN_TOKEN: Final = "a-test-admin-token-of-enough-length"
FAL_KEY: Final = "test-fal-key-id:test-fal-key-secret"
LOOPBACK: Final = ("127.0.0.0/8", "::1/128")


class Clock:
    """A clock that stands still until it is moved. Calling it returns the time.

    A clock created with a time other than the present acts as a machine whose clock is wrong by the difference, unless
    ``ahead`` is given; ``Clock()`` is right. A later move is time that passes for the whole deployment.
    """

    def __init__(self, now: datetime = NOW, *, ahead: timedelta | None = None) -> None:
        self.now = now
        if ahead is None:
            found = timedelta() if now is NOW else now - datetime.now(UTC)
            ahead = timedelta() if abs(found) <= MOST_SKEW else found
        self.ahead = ahead

    def against(self, _store_time: datetime) -> tuple[timedelta, timedelta]:
        """Return the correction, and how far it is ahead of the store's clock."""
        return -self.ahead, self.ahead

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        self.now += by
        return self.now


def settings(redis_url: str, **changes: Any) -> Settings:
    """Return settings that need no internet: fal is unreachable, webhooks may go to this machine.

    They are validated as arguments of ``Settings`` are. The environment and the files of secrets are not searched for
    the other 100 settings: that takes 7 ms, for each of thousands of tests.
    """
    own: dict[str, Any] = {
        "redis_url": redis_url,
        "fal_key": SecretStr(FAL_KEY),
        "fal_queue_url": f"{NOWHERE}/queue",
        "fal_rest_url": f"{NOWHERE}/rest",
        "fal_api_url": f"{NOWHERE}/api/v1",
        "fal_site_url": NOWHERE,
        "secret_key": SecretStr(SECRET_KEY),
        "admin_token": SecretStr(ADMIN_TOKEN),
        "webhook_allowed_networks": LOOPBACK,
        "preflight": False,  # the invented image URLs do not exist
        "shutdown_grace": timedelta(seconds=1),
    }
    made = Settings.__new__(Settings)
    BaseModel.__init__(made, **{**own, **changes})
    return made


def sandbox_settings(redis_url: str, sandbox_url: str, **changes: Any) -> Settings:
    """Return the same settings with the sandbox in fal's place."""
    fal = {
        "fal_queue_url": f"{sandbox_url}/queue",
        "fal_rest_url": f"{sandbox_url}/rest",
        "fal_api_url": f"{sandbox_url}/api/v1",
        "fal_site_url": sandbox_url,
    }
    return settings(redis_url, **{**fal, **changes})


#: A create with every field set to a value that is not its default.
FULL_BODY: dict[str, Any] = {
    "prompt": "a cat",
    "image_url": "https://example.com/a.png",
    "end_image_url": "https://example.com/b.png",
    "resolution": "1080p",
    "duration": "5",
    "aspect_ratio": "16:9",
    "generate_audio": False,
    "seed": 7,
    "bitrate_mode": "high",
    "end_user_id": "customer-7",
    "webhook_url": "https://example.com/hook",
    "metadata": {"a": "1", "b": "2"},
    "priority": 3,
    "max_cost_usd": "2.50",
    "expires_in": 600,
}


def create_body(**changes: Any) -> dict[str, Any]:
    """Return the JSON of ``POST /v1/generations``; a field changed to ``...`` is omitted."""
    body = {"prompt": PROMPT, "image_url": "https://example.com/cat.png", **changes}
    return {name: value for name, value in body.items() if value is not ...}


def create_request(**changes: Any) -> CreateGeneration:
    from pydantic_core import to_json

    return parse_create(to_json(create_body(**changes)), RequestLimits())


def tenant(**changes: Any) -> Tenant:
    created_at = changes.pop("created_at", NOW)
    made = Tenant(
        id=ids.new(ids.TENANT, created_at),
        name="acme",
        webhook_secret=new_secret(),
        pseudonym_key=secrets.token_hex(32),
        created_at=created_at,
    )
    return replace(made, **changes)


def api_key(tenant_id: str, **changes: Any) -> tuple[ApiKey, str]:
    """Return the record and the text of the key."""
    parts, text = new_key_text()
    made = ApiKey(id=parts.id, tenant_id=tenant_id, secret_hash=hash_secret(parts.secret), created_at=NOW)
    return replace(made, **changes), text


def operator(**changes: Any) -> Operator:
    made = Operator(id=ids.new(ids.OPERATOR, NOW), name="Ada", role=Role.OPERATOR, created_at=NOW)
    return replace(made, **changes)


def operator_token(operator_id: str, **changes: Any) -> tuple[OperatorToken, str]:
    """Return the record and the text of the token."""
    parts, text = new_token_text()
    made = OperatorToken(id=parts.id, operator_id=operator_id, secret_hash=hash_secret(parts.secret), created_at=NOW)
    return replace(made, **changes), text


def actor(**changes: Any) -> Actor:
    return replace(Actor(kind=ActorKind.OPERATOR, id="opr_1", name="Ada", role=Role.OPERATOR), **changes)


def trail_entry(**changes: Any) -> Entry:
    made = Entry(at=NOW, actor=actor(), action="pause_dispatch", reason="maintenance", outcome=Outcome.DONE)
    return replace(made, **changes)


def generation(**changes: Any) -> Generation:
    """Return a new, queued generation of a separate tenant; see ``in_status`` for a later status."""
    created_at = changes.pop("created_at", NOW)
    request = create_request()
    made = Generation(
        id=ids.new(ids.GENERATION, created_at),
        tenant_id=ids.new(ids.TENANT, created_at),
        model="bytedance/seedance-2.0/image-to-video",
        input=request.video(),
        fingerprint=request.fingerprint(),
        estimated_cost=4_576_975,
        callback_token=secrets.token_urlsafe(24),
        created_at=created_at,
        expires_at=created_at + timedelta(hours=24),
        end_user_id="customer-7",
        end_user="eu_" + secrets.token_hex(16),
    )
    return replace(made, **changes)


def in_status(status: Status, **changes: Any) -> Generation:
    """Return a generation in this status, with every field that belongs to it."""
    fresh = generation(**changes)
    now = fresh.created_at + timedelta(seconds=1)
    if status is Status.QUEUED:
        return fresh
    submitting = fresh.submitting(now)
    submitted = submitting.submitted(changes.get("request_id", request_id()))
    return {
        Status.SUBMITTING: submitting,
        Status.UNCONFIRMED: submitting.unconfirmed(),
        Status.SUBMITTED: submitted,
        Status.IN_PROGRESS: submitted.started(now),
        Status.COPYING: submitted.copying_started(output(), 1_512_000, now),
        Status.SUCCEEDED: submitted.started(now).succeeded(output(), 1_512_000, now),
        Status.FAILED: submitted.started(now).failed(failure(), 0, now),
        Status.CANCELED: fresh.canceled(0, now),
    }[status]


def request_id() -> str:
    """Return an id in fal's format: a UUID."""
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def output(**changes: Any) -> Output:
    video = Video("https://v3b.fal.media/files/b/0a9e/video.mp4", "video/mp4", "video.mp4", 3_415_926)
    return replace(Output(video, seed=1_234_567), **changes)


def failure(**changes: Any) -> Failure:
    return replace(Failure("content_policy", "The picture may show a real person."), **changes)


def log_line(message: str = "step 1", **changes: Any) -> LogLine:
    return replace(LogLine(message, "INFO", "2026-01-31T09:30:00.000Z"), **changes)


def due(moment: datetime = NOW, **changes: Any) -> Due:
    """Due for dispatch now and for the sweep in a day: the due entries of a new generation."""
    return replace(Due(dispatch=moment, sweep=moment + timedelta(days=1)), **changes)


def attempt(**changes: Any) -> Attempt:
    return replace(Attempt(at=NOW, latency_ms=12, status=500, answer="oops"), **changes)


def delivery(**changes: Any) -> Delivery:
    created_at = changes.pop("created_at", NOW)
    made = Delivery(
        id=ids.new(ids.DELIVERY, created_at),
        tenant_id=ids.new(ids.TENANT, created_at),
        generation_id=ids.new(ids.GENERATION, created_at),
        event="generation.succeeded",
        url="http://127.0.0.1:9/hook",
        body='{"type":"generation.succeeded"}',
        created_at=created_at,
    )
    return replace(made, **changes)


async def connected() -> None:
    """Raise nothing: the client of a request waits for its response."""
