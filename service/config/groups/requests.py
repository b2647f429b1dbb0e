"""Settings of requests: limits of bodies and images, preflight, allowed values, prices and the account's budget."""

from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from service.config.types import Seconds


class RequestSettings(BaseModel):
    max_body_bytes: Annotated[int, Field(ge=1024, description="Largest JSON body, in bytes.")] = 128 * 1024
    max_upload_bytes: Annotated[
        int, Field(ge=1, description="Largest uploaded image, in bytes; fal accepts 30 MB.")
    ] = 30_000_000
    max_inline_bytes: Annotated[
        int,
        Field(
            ge=1024, description="Largest body of a create with images as data URIs, in bytes; it is held in memory."
        ),
    ] = 8_000_000
    max_image_pixels: Annotated[
        int, Field(ge=1, description="Most pixels of an image; checked in its header, before it is decoded.")
    ] = 40_000_000
    max_prompt_characters: Annotated[int, Field(ge=1, description="Longest prompt, in characters.")] = 4000
    max_fal_prompt_characters: Annotated[
        int,
        Field(
            ge=1,
            description="Longest prompt below `/fal`, in characters, if it is more than "
            "`GATEWAY_MAX_PROMPT_CHARACTERS`: fal decides on long prompts.",
        ),
    ] = 20_000
    upload_timeout: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Time limit of an upload up to its response, and of the arrival of any other body.",
        ),
    ] = timedelta(seconds=120)
    body_least_rate: Annotated[
        int,
        Field(ge=1, description="Bytes per second of a body that must arrive at least, in every 10 seconds; else 408."),
    ] = 10_000
    body_memory: Annotated[
        int,
        Field(
            ge=1024,
            description="Most bytes of bodies that one gateway process holds in memory while they arrive and are "
            "processed. A further one gets 503.",
        ),
    ] = 192_000_000
    body_tenant_memory: Annotated[
        int,
        Field(
            ge=1024, description="As `GATEWAY_BODY_MEMORY`, of one tenant. A further body gets 429 `too_many_bytes`."
        ),
    ] = 64_000_000
    upload_disk: Annotated[
        int,
        Field(
            ge=1,
            description="Most bytes of uploads that one gateway process holds on disk (`TMPDIR`), with at least 1 MiB "
            "for each. A further one gets 503.",
        ),
    ] = 1_024_000_000
    upload_tenant_disk: Annotated[
        int,
        Field(
            ge=1,
            description="As `GATEWAY_UPLOAD_DISK`, of one tenant. A further upload gets 429 `too_many_bytes`. No video "
            "can be larger.",
        ),
    ] = 256_000_000
    preflight: Annotated[
        bool,
        Field(description="Probe the image URLs before the paid submit; a generation with an unusable one fails."),
    ] = True
    preflight_timeout: Annotated[
        Seconds,
        Field(gt=timedelta(0), le=timedelta(seconds=10), description="Time limit of one preflight probe, 10 at most."),
    ] = timedelta(seconds=4)
    preflight_files_timeout: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            le=timedelta(seconds=60),
            description="Time limit of fetching and measuring all videos and audio files of a generation before its "
            "submit, 60 at most. What is not measured by then is left to fal.",
        ),
    ] = timedelta(seconds=10)
    preflight_bytes: Annotated[
        int, Field(ge=1024, description="Most bytes of an image that a preflight probe reads.")
    ] = 65_536
    preflight_allowed_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Field(description="Non-public networks that preflight may connect to, as CIDRs."),
    ] = ()
    resolutions: Annotated[
        tuple[Literal["480p", "720p", "1080p", "4k"], ...],
        Field(
            min_length=1,
            description="Accepted values of `resolution`, of each model those that it has. fal added `1080p` and `4k` "
            "later: list them to allow them.",
        ),
    ] = ("480p", "720p")
    bitrate_modes: Annotated[
        tuple[Literal["standard", "high"], ...],
        Field(description="Accepted values of `bitrate_mode`; with none, the field is refused as unknown."),
    ] = ()
    rates: Annotated[
        dict[Literal["480p", "720p", "1080p", "4k"], Decimal],
        Field(
            description="Price of `GATEWAY_FAL_MODEL` in US dollars per 1,000 tokens, for each resolution, if your "
            "account has its own. Prices of other models: `GATEWAY_MODELS_FILE`."
        ),
    ] = {"480p": Decimal("0.014"), "720p": Decimal("0.014"), "1080p": Decimal("0.014"), "4k": Decimal("0.008")}
    account_daily_budget_usd: Annotated[
        Decimal | None,
        Field(
            gt=0, description="Most that the account may hold and spend in a day (UTC), in US dollars; unset: no limit."
        ),
    ] = None

    @field_validator("rates")
    @classmethod
    def _rates_are_complete(cls, value: dict[str, Decimal]) -> dict[str, Decimal]:
        if missing := {"480p", "720p", "1080p", "4k"} - value.keys():
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        if any(not rate.is_finite() or rate <= 0 for rate in value.values()):
            raise ValueError("must be above 0")
        return value

    @model_validator(mode="after")
    def _one_request_fits(self) -> Self:
        """Refuse bounds below the largest request, which could then never be sent."""
        bounds = (
            ("body_tenant_memory", self.body_tenant_memory, self.max_create_bytes),
            ("body_memory", self.body_memory, self.body_tenant_memory),
            ("upload_tenant_disk", self.upload_tenant_disk, self.max_upload_bytes),
            ("upload_disk", self.upload_disk, self.upload_tenant_disk),
        )
        for name, value, least in bounds:
            if value < least:
                raise ValueError(f"{name} must be at least {least}")
        return self

    @property
    def max_create_bytes(self) -> int:
        """Most bytes of a create, which may contain images."""
        return max(self.max_body_bytes, self.max_inline_bytes)

    @property
    def account_daily_budget(self) -> int | None:
        """In micro-USD."""
        return None if self.account_daily_budget_usd is None else int(self.account_daily_budget_usd * 1_000_000)
