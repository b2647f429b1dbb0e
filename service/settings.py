"""Every setting, from ``GATEWAY_*`` variables; one class, no instance: whoever starts a process reads it once."""

import json
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, PlainSerializer, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "GATEWAY_"
_WELL_KNOWN: Final = frozenset({"secret", "changeme", "change-me", "password", "admin", "test", "sk-1234"})
_SHORTEST_TOKEN: Final = 16


def _hard_to_guess(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text.lower() in _WELL_KNOWN or len(text) < _SHORTEST_TOKEN:
        raise ValueError(f"must be a random secret of at least {_SHORTEST_TOKEN} characters")
    return value


def _bare(value: str) -> str:
    return str(HttpUrl(value)).rstrip("/")


def _number_of_seconds(value: Any) -> Any:
    """In the environment everything is text, and pydantic takes a number in text for no duration."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Token = Annotated[SecretStr, AfterValidator(_hard_to_guess)]
BaseUrl = Annotated[str, AfterValidator(_bare)]
Seconds = Annotated[
    timedelta, BeforeValidator(_number_of_seconds), PlainSerializer(lambda value: value.total_seconds())
]


class Settings(BaseSettings):
    """Settings of the gateway and the workers. Times are seconds (``30``) or ISO 8601 durations (``PT30S``)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    redis_url: Annotated[
        str, Field(repr=False, description="The store. `redis://` or `rediss://`; append-only file on, no eviction.")
    ] = "redis://127.0.0.1:6379/0"
    redis_timeout: Annotated[float, Field(gt=0, description="Seconds one exchange with Redis may take.")] = 5.0
    broker_url: Annotated[
        str | None,
        Field(
            repr=False,
            description="Celery's broker, when it is not the store. Messages are hints: losing them loses nothing.",
        ),
    ] = None

    fal_key: Annotated[SecretStr, Field(min_length=1, description="The account's fal key, `<id>:<secret>`.")]
    fal_queue_url: Annotated[BaseUrl, Field(description="fal's queue.")] = "https://queue.fal.run"
    fal_rest_url: Annotated[BaseUrl, Field(description="fal's REST surface: uploads.")] = "https://rest.fal.ai"
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
        Field(description="Where fal reaches this gateway, for callbacks; unset: none are asked for, polls do it all."),
    ] = None

    secret_key: Annotated[
        Token, Field(description="Seals tenants' secrets at rest. Several, comma-separated: the first seals, all open.")
    ]
    admin_token: Annotated[Token | None, Field(description="Opens `/admin/v1`; unset, those routes answer 404.")] = None

    max_body_bytes: Annotated[int, Field(ge=1024, description="Largest JSON body.")] = 128 * 1024
    max_upload_bytes: Annotated[int, Field(ge=1, description="Largest uploaded image; fal takes 30 MB.")] = 30_000_000
    max_inline_bytes: Annotated[
        int, Field(ge=1024, description="Largest body of a create whose images are data URIs; held in memory.")
    ] = 8_000_000
    max_image_pixels: Annotated[
        int, Field(ge=1, description="Most pixels an image may have; judged by its header, before it is decoded.")
    ] = 40_000_000
    upload_timeout: Annotated[
        Seconds, Field(gt=timedelta(0), description="How long an upload may take, from its first byte to its answer.")
    ] = timedelta(seconds=120)
    preflight: Annotated[bool, Field(description="Look at `image_url` before the paid submit.")] = True
    preflight_timeout: Annotated[
        Seconds,
        Field(gt=timedelta(0), le=timedelta(seconds=10), description="How long that look may take, at most."),
    ] = timedelta(seconds=4)
    preflight_bytes: Annotated[int, Field(ge=1024, description="Most that it reads of an image.")] = 65_536
    preflight_allowed_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Field(description="Non-public networks that it may look into, as CIDRs."),
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

    upstream_concurrency: Annotated[
        int, Field(ge=1, description="How many generations fal may have of us at a time.")
    ] = 40
    submit_failures: Annotated[
        int, Field(ge=1, description="Submits in a row that may fail before dispatch is held.")
    ] = 5
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
        tuple[Seconds, ...],
        Field(
            min_length=1, description="Waits before each attempt of a delivery; +-20 % jitter. After the last: dead."
        ),
    ] = tuple(timedelta(seconds=s) for s in (0, 5, 300, 1800, 7200, 18000, 36000, 36000))
    webhook_timeout: Annotated[
        Seconds, Field(gt=timedelta(0), description="How long one attempt may take in total.")
    ] = timedelta(seconds=15)
    webhook_concurrency: Annotated[
        int, Field(ge=1, description="Attempts under way at a time in one worker process.")
    ] = 500
    webhook_allowed_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Field(description="Non-public networks that webhooks may go to, as CIDRs; inside them plain http is fine too."),
    ] = ()

    media_url: Annotated[
        str | None,
        Field(
            pattern=r"^(s3|gs)://[^/]+(/.*)?$|^file:///.+$",
            description="Where videos are kept: `s3://bucket/prefix`, `gs://…`, `file:///…`; unset: fal's URLs it is.",
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
        Field(description="Hosts of fal's files, with all below them: copied from over https, not looked at first."),
    ] = ("fal.media",)

    retention: Annotated[
        Seconds,
        Field(gt=timedelta(0), description="How long an ended generation, its key and its deliveries are kept."),
    ] = timedelta(days=30)
    shutdown_grace: Annotated[
        Seconds, Field(ge=timedelta(0), description="How long a stopping process finishes what it has begun.")
    ] = timedelta(seconds=20)
    metrics_host: Annotated[str, Field(description="Address of a worker's own `/metrics`.")] = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65535, description="A worker's own `/metrics`; 0: none.")] = 0
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least severe line written.")
    ] = "INFO"

    @field_validator("secret_key")
    @classmethod
    def _every_key_is_hard_to_guess(cls, value: SecretStr) -> SecretStr:
        for key in value.get_secret_value().split(","):
            _hard_to_guess(SecretStr(key.strip()))
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

    def secret_keys(self) -> list[str]:
        return [key.strip() for key in self.secret_key.get_secret_value().split(",") if key.strip()]

    def environment(self) -> dict[str, str]:
        """The variables another process needs to run with these settings (secrets included: never log it)."""
        return {
            PREFIX + name.upper(): _as_text(getattr(self, name))
            for name in sorted(self.model_fields_set)
            if getattr(self, name) is not None
        }


def _as_text(value: Any) -> str:
    from pydantic import TypeAdapter  # noqa: PLC0415  (only `up` and tests ask)

    if isinstance(value, SecretStr):
        return value.get_secret_value()
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    return plain if isinstance(plain, str) else json.dumps(plain)  # a duration's text wants no quotes
