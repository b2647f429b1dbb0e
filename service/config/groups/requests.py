"""Settings of requests: limits of bodies and images, preflight, allowed values, prices and the account's budget."""

from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator

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
    upload_timeout: Annotated[
        Seconds,
        Field(
            gt=timedelta(0),
            description="Time limit of an upload up to its response, and of the arrival of any other body.",
        ),
    ] = timedelta(seconds=120)
    preflight: Annotated[
        bool,
        Field(description="Probe the image URLs before the paid submit; a generation with an unusable one fails."),
    ] = True
    preflight_timeout: Annotated[
        Seconds,
        Field(gt=timedelta(0), le=timedelta(seconds=10), description="Time limit of one preflight probe, 10 at most."),
    ] = timedelta(seconds=4)
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
            description="Accepted values of `resolution`. fal added `1080p` and `4k` later: list them to allow them.",
        ),
    ] = ("480p", "720p")
    bitrate_modes: Annotated[
        tuple[Literal["standard", "high"], ...],
        Field(description="Accepted values of `bitrate_mode`; with none, the field is refused as unknown."),
    ] = ()
    rates: Annotated[
        dict[Literal["480p", "720p", "1080p", "4k"], Decimal],
        Field(description="Price in US dollars per 1,000 tokens, for each resolution."),
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

    @property
    def account_daily_budget(self) -> int | None:
        """In micro-USD."""
        return None if self.account_daily_budget_usd is None else int(self.account_daily_budget_usd * 1_000_000)
