"""All settings, from ``GATEWAY_*`` variables. A process reads them once, at its start; importing creates none."""

import json
import re
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.config.types import (
    BaseUrl,
    BrokerUrl,
    HostSuffix,
    Key,
    RedisUrl,
    Seconds,
    SentToken,
    Token,
    Wait,
    hard_to_guess,
)

PREFIX: Final = "GATEWAY_"


class Settings(BaseSettings):
    """Settings of the gateway and the workers. Times are seconds (``30``) or ISO 8601 durations (``PT30S``)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    redis_url: Annotated[
        RedisUrl,
        Field(
            repr=False,
            description="The store. `redis://`, `rediss://`, `sentinel://h:p,h:p/service/db` or `sentinels://` (TLS); "
            "append-only file on, no eviction.",
        ),
    ] = "redis://127.0.0.1:6379/0"
    # A worker that waits for Redis must still give its sign of life: with more it would be restarted for nothing.
    redis_timeout: Annotated[
        float, Field(ge=0.1, le=10, description="Seconds one exchange with Redis may take; 10 at most.")
    ] = 5.0
    redis_ca_file: Annotated[
        Path | None,
        Field(description="PEM file of the authorities that may sign Redis' certificate (TLS); unset: the system's."),
    ] = None
    redis_wait_replicas: Annotated[
        int,
        Field(
            ge=0,
            description="Replicas that must have a write before it is answered; with too few: 503. With replicas, set "
            "half the number of nodes, rounded down.",
        ),
    ] = 0
    redis_memory_limit: Annotated[
        int | None,
        Field(
            ge=1,
            description="Bytes that Redis may use, where it has no `maxmemory` of its own to show; unset: the memory "
            "of its machine.",
        ),
    ] = None
    redis_create_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of that limit from which on creates are refused (503 `store_full`): the rest is for "
            "what was accepted.",
        ),
    ] = 0.85
    broker_url: Annotated[
        BrokerUrl | None,
        Field(
            repr=False,
            description="Celery's broker, when it is not the store. Messages are hints: losing them loses nothing.",
        ),
    ] = None

    fal_key: Annotated[Key, Field(description="The account's fal key, `<id>:<secret>`.")]
    fal_queue_url: Annotated[BaseUrl, Field(description="fal's queue.")] = "https://queue.fal.run"
    fal_rest_url: Annotated[BaseUrl, Field(description="fal's REST surface: uploads.")] = "https://rest.fal.ai"
    fal_api_url: Annotated[BaseUrl, Field(description="fal's platform API: billing events.")] = "https://api.fal.ai/v1"
    fal_admin_key: Annotated[
        Key | None,
        Field(
            description="Reads billing events, to find the request ids of unconfirmed submits; unset: disabled.",
        ),
    ] = None
    fal_model: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9-]+/[a-z0-9.-]+(/[a-z0-9.-]+)+$",
            description="The endpoint id every generation is sent to.",
        ),
    ] = "bytedance/seedance-2.0/image-to-video"
    fal_timeout: Annotated[
        Seconds, Field(gt=timedelta(0), description="How long one exchange with fal may take, connect to last byte.")
    ] = timedelta(seconds=30)

    public_url: Annotated[
        BaseUrl | None,
        Field(
            description="Where fal reaches this gateway, for callbacks, and fal's clients do; unset: no callbacks are "
            "asked for, polls do it all, and `/fal` is off."
        ),
    ] = None

    secret_key: Annotated[
        Token, Field(description="Seals tenants' secrets at rest. Several, comma-separated: the first seals, all open.")
    ]
    admin_token: Annotated[
        SentToken | None, Field(description="Opens `/admin/v1`; unset, those routes answer 404.")
    ] = None

    max_body_bytes: Annotated[int, Field(ge=1024, description="Largest JSON body.")] = 128 * 1024
    max_upload_bytes: Annotated[int, Field(ge=1, description="Largest uploaded image; fal takes 30 MB.")] = 30_000_000
    max_inline_bytes: Annotated[
        int, Field(ge=1024, description="Largest body of a create whose images are data URIs; held in memory.")
    ] = 8_000_000
    max_image_pixels: Annotated[
        int, Field(ge=1, description="Most pixels of an image, checked in its header before it is decoded.")
    ] = 40_000_000
    upload_timeout: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="How long an upload may take until it is answered, and any other body to arrive.",
        ),
    ] = timedelta(seconds=120)
    preflight: Annotated[bool, Field(description="Look at `image_url` before the paid submit.")] = True
    preflight_timeout: Annotated[
        Seconds,
        Field(gt=timedelta(0), le=timedelta(seconds=10), description="Time limit of one preflight probe."),
    ] = timedelta(seconds=4)
    preflight_bytes: Annotated[int, Field(ge=1024, description="Most that it reads of an image.")] = 65_536
    preflight_allowed_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Field(description="Non-public networks that preflight may connect to, as CIDRs."),
    ] = ()
    max_prompt_characters: Annotated[int, Field(ge=1, description="Longest prompt.")] = 4000
    resolutions: Annotated[
        tuple[Literal["480p", "720p", "1080p", "4k"], ...],
        Field(
            min_length=1, description="Resolutions taken. fal added `1080p` and `4k` later: list them to allow them."
        ),
    ] = ("480p", "720p")
    bitrate_modes: Annotated[
        tuple[Literal["standard", "high"], ...],
        Field(description="Values of `bitrate_mode` taken; with none the field is unknown."),
    ] = ()
    rates: Annotated[
        dict[Literal["480p", "720p", "1080p", "4k"], Decimal],
        Field(description="US dollars per 1,000 tokens, by resolution."),
    ] = {"480p": Decimal("0.014"), "720p": Decimal("0.014"), "1080p": Decimal("0.014"), "4k": Decimal("0.008")}

    account_daily_budget_usd: Annotated[
        Decimal | None,
        Field(gt=0, description="Most the whole account may spend a day (UTC), in US dollars; unset: no limit."),
    ] = None

    resend_window: Annotated[
        Seconds,
        Field(
            ge=timedelta(0),
            description="How long a lost answer of a fal submit can be had by sending the same POST again; 0: never.",
        ),
    ] = timedelta(seconds=120)
    cors_origins: Annotated[
        tuple[str, ...],
        Field(description="Origins whose pages may call `/fal`, like `https://app.example`; `*` for all."),
    ] = ()

    upstream_concurrency: Annotated[int, Field(ge=1, description="Most concurrent generations at fal.")] = 40
    submit_failures: Annotated[
        int,
        Field(
            ge=1,
            description="Distinct generations whose submits may fail, without an accepted one between, before dispatch "
            "is held: of one tenant that tenant's, of several everybody's.",
        ),
    ] = 5
    submit_refusals: Annotated[
        int,
        Field(
            ge=1,
            description="Times that fal may refuse one generation while it accepts others, before that one fails: "
            "`upstream_unavailable`.",
        ),
    ] = 8
    unconfirmed_slots_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of the slots that unconfirmed generations take at most, and that submits take whose "
            "outcome is not known yet (8 at least).",
        ),
    ] = 0.25
    submit_probe: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Once fal fails or locks the account: wait before one generation tries again; doubles.",
        ),
    ] = timedelta(seconds=15)
    submit_probe_longest: Annotated[
        Seconds, Field(gt=timedelta(0), description="Longest wait between two such tries.")
    ] = timedelta(seconds=300)
    queue_expiry: Annotated[
        Seconds,
        Field(gt=timedelta(0), description="How long a generation may wait in our queue unless it says `expires_in`."),
    ] = timedelta(hours=24)
    upstream_deadline: Annotated[
        Seconds,
        Field(gt=timedelta(0), description="After this long at fal without an end: `failed(upstream_timeout)`."),
    ] = timedelta(hours=2)
    unconfirmed_deadline: Annotated[
        Seconds,
        Field(gt=timedelta(0), description="After this long with an unknown submit: `failed(submission_unconfirmed)`."),
    ] = timedelta(hours=24)
    unconfirmed_slot: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="How long an unknown submit keeps its slot: as long as fal could be running it.",
        ),
    ] = timedelta(minutes=6)
    reconcile_every: Annotated[
        Seconds,
        Field(
            gt=timedelta(0), description="Wait between two searches for an unconfirmed submit; needs `FAL_ADMIN_KEY`."
        ),
    ] = timedelta(seconds=60)
    poll_shortest: Annotated[
        Seconds, Field(gt=timedelta(0), description="Shortest wait between two polls of one job.")
    ] = timedelta(seconds=1)
    poll_longest: Annotated[
        Seconds, Field(gt=timedelta(0), description="Longest wait between two polls of one job.")
    ] = timedelta(seconds=15)
    polls_per_second: Annotated[
        float, Field(gt=0, description="Polls per second for all jobs together; past it the waits grow.")
    ] = 400.0

    webhook_schedule: Annotated[
        tuple[Wait, ...],
        Field(
            min_length=1,
            description="Waits before each attempt of a delivery, the first of 0; +-20 % jitter. After the last: dead.",
        ),
    ] = tuple(timedelta(seconds=s) for s in (0, 5, 300, 1800, 7200, 18000, 36000, 36000))
    webhook_timeout: Annotated[
        Seconds, Field(gt=timedelta(0), description="How long one attempt may take in total.")
    ] = timedelta(seconds=15)
    webhook_concurrency: Annotated[
        int, Field(ge=1, description="Concurrent delivery attempts in one worker process.")
    ] = 1000
    webhook_receiver_concurrency: Annotated[
        int, Field(ge=1, description="Concurrent delivery attempts to one receiver, over all workers.")
    ] = 100
    webhook_tenant_concurrency: Annotated[
        int, Field(ge=1, description="Concurrent delivery attempts of one tenant, over all workers.")
    ] = 300
    webhook_failing_concurrency: Annotated[
        int,
        Field(
            ge=1,
            description="Concurrent delivery attempts to a receiver that has recently only failed, until one succeeds.",
        ),
    ] = 10
    webhook_disable_after: Annotated[
        Seconds,
        Field(
            gt=timedelta(days=1), description="Endpoints that only fail for so long are disabled; warned at 50/70/90 %."
        ),
    ] = timedelta(days=5)
    webhook_allowed_hosts: Annotated[
        tuple[HostSuffix, ...],
        Field(
            description="Hosts that webhooks may go to wherever they resolve, with all below them; plain http too. "
            "Never to metadata services."
        ),
    ] = ()
    webhook_allowed_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Field(description="Non-public networks that webhooks may go to, as CIDRs; inside them plain http is fine too."),
    ] = ()

    media_url: Annotated[
        str | None,
        Field(
            pattern=r"^(s3|gs)://[^/]+(/.*)?$|^file:///.+$",
            description="Store for copies of videos: `s3://bucket/prefix`, `gs://…`, `file:///…`; unset: none.",
        ),
    ] = None
    media_timeout: Annotated[
        Seconds,
        Field(gt=timedelta(0), le=timedelta(seconds=100), description="How long one try to copy a video may take."),
    ] = timedelta(seconds=90)
    media_redirect: Annotated[
        bool,
        Field(description="Answer `…/video` with a signed URL where the store can sign; else with the bytes."),
    ] = True
    fal_media_hosts: Annotated[
        tuple[str, ...],
        Field(description="Hosts of fal's files, with all below them: copied over https without a probe."),
    ] = ("fal.media",)
    waiting_calls: Annotated[
        int,
        Field(
            ge=1,
            description="Calls of one tenant that may wait for a generation at one gateway process; one more gets 429, "
            "or with `Prefer: wait` its answer at once.",
        ),
    ] = 1000
    event_streams: Annotated[
        int, Field(ge=1, description="Open event streams of one tenant in one gateway process.")
    ] = 100
    event_heartbeat: Annotated[
        Seconds, Field(gt=timedelta(0), description="After this long without an event, a stream carries a comment.")
    ] = timedelta(seconds=15)
    event_stream_longest: Annotated[
        Seconds,
        Field(gt=timedelta(0), description="A stream ends after this long; its reader comes back for what is new."),
    ] = timedelta(minutes=30)

    retention: Annotated[
        Seconds,
        Field(
            gt=timedelta(0), description="How long ended generations, their idempotency keys and deliveries are stored."
        ),
    ] = timedelta(days=30)
    shutdown_grace: Annotated[
        Seconds,
        Field(
            ge=timedelta(0),
            description="Time for a stopping process to finish its work; submits get `FAL_TIMEOUT` in addition.",
        ),
    ] = timedelta(seconds=20)
    metrics_host: Annotated[
        str, Field(description="Address of a worker's or beat's own `/metrics` and `/healthz`.")
    ] = "127.0.0.1"
    metrics_port: Annotated[
        int, Field(ge=0, le=65535, description="Port of a worker's or beat's own `/metrics` and `/healthz`; 0: none.")
    ] = 0
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least severe line written.")
    ] = "INFO"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Field(description="`json`, `console` for people, or `auto`: `console` on a terminal, otherwise `json`."),
    ] = "auto"

    @field_validator("secret_key")
    @classmethod
    def _every_key_is_hard_to_guess(cls, value: SecretStr) -> SecretStr:
        for key in value.get_secret_value().split(","):
            hard_to_guess(SecretStr(key.strip()))
        return value

    @field_validator("webhook_schedule")
    @classmethod
    def _first_attempt_is_made_at_once(cls, value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if value[0]:
            raise ValueError("must begin with 0: the first attempt is made at once")
        return value

    @field_validator("rates")
    @classmethod
    def _rates_are_whole(cls, value: dict[str, Decimal]) -> dict[str, Decimal]:
        if missing := {"480p", "720p", "1080p", "4k"} - value.keys():
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        if any(not rate.is_finite() or rate <= 0 for rate in value.values()):
            raise ValueError("must be above 0")
        return value

    @property
    def account_daily_budget(self) -> int | None:
        """In micro-USD."""
        return None if self.account_daily_budget_usd is None else int(self.account_daily_budget_usd * 1_000_000)

    @property
    def submit_grace(self) -> timedelta:
        """How long a stopping process waits for a submit: cut off, its outcome would be unknown."""
        return self.fal_timeout + self.shutdown_grace

    def secret_keys(self) -> list[str]:
        return [key.strip() for key in self.secret_key.get_secret_value().split(",") if key.strip()]

    def secrets(self) -> set[str]:
        """Values to redact from logs: keys, whole and in halves, tokens, and the passwords of Redis and broker."""
        values = (getattr(self, name) for name in type(self).model_fields)
        whole = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
        parts = {part.strip() for value in whole for part in re.split("[,:]", value)}
        return (whole | parts | _passwords(self.redis_url) | _passwords(self.broker_url or "")) - {""}

    def environment(self) -> dict[str, str]:
        """The variables another process needs to run with these settings (secrets included: never log it)."""
        return {
            PREFIX + name.upper(): _as_text(getattr(self, name))
            for name in sorted(self.model_fields_set)
            if getattr(self, name) is not None
        }


def _passwords(url: str) -> set[str]:
    """As it is written in the URL, and as it is meant."""
    logins = (part.rpartition("@")[0] for part in urlsplit(url).netloc.split(","))
    written = {login.partition(":")[2] for login in logins}
    return written | {unquote(password) for password in written}


def _as_text(value: Any) -> str:
    from pydantic import TypeAdapter  # noqa: PLC0415  (only `up` and tests ask)

    if isinstance(value, SecretStr):
        return value.get_secret_value()
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    return plain if isinstance(plain, str) else json.dumps(plain)  # a duration's text wants no quotes
