"""Limits of a tenant in bodies and views: money in US dollars, times in seconds; null: no limit."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from service.domain.described import describe, described
from service.domain.field_types import AnyDuration, OptionalMoney, Resolution, Url
from service.domain.models.model import ENDPOINT_ID
from service.domain.pricing import usd
from service.domain.tenant import Limits
from service.domain.webhook_endpoint import MOST_ENDPOINTS

_LONGEST_RETENTION: Final = 10 * 365 * 24 * 3600
ModelId = Annotated[str, StringConstraints(pattern=ENDPOINT_ID, max_length=200)]
_Count = Annotated[int, Field(ge=0, le=10_000_000)]


class LimitsBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    requests_per_minute: Annotated[int | None, Field(ge=1, le=60_000_000)] = None
    """HTTP requests a minute; more are refused with 429. `null`: no limit."""
    burst: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000,
            description="Requests that may arrive at once. Default `null`: a tenth of `requests_per_minute`.",
        ),
    ] = None
    queued_generations: _Count | None = None
    """Generations that may be queued; more are refused with 429. `null`: no limit."""
    daily_generations: _Count | None = None
    """Generations created in a day (UTC), canceled ones included; more are refused with 429. `null`: no limit."""
    daily_new_end_users: _Count | None = None
    """End users named for the first time in a day (UTC); creates for more are refused with 429. `null`: no limit."""
    stored_deliveries: _Count | None = None
    """Stored webhook deliveries, the delivered ones included. From this number on creates and test events are refused
    with 429; the events of accepted generations are still stored and sent. `null`: no limit.
    """
    undelivered_tests: _Count | None = None
    """Test events that may be undelivered; more are refused with 429. `null`: no limit."""
    webhook_endpoints: Annotated[int | None, Field(ge=0, le=MOST_ENDPOINTS)] = None
    """Webhook endpoints, 0 to 20; more are refused with 409. `null`: 20."""
    concurrent_generations: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Generations that may be at fal at once; more stay queued. `null`: no limit."""
    weight: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Share of fal's slots relative to other tenants with queued work, 1 to 1000. Default 1.",
        ),
    ] = 1
    models: Annotated[list[ModelId] | None, Field(min_length=1)] = None
    """Ids of the models that may be requested; others are refused with 403. Default `null`: all of the deployment."""
    references: _Count | None = None
    """Reference files (`image_urls`, `video_urls`, `audio_urls`) of one generation; a create with more is refused with
    403, with `0` every reference. `null`: as many as the model allows.
    """
    resolutions: Annotated[list[Resolution] | None, Field(min_length=1)] = None
    """Resolutions that may be requested; others are refused with 422. Default `null`: all of the deployment."""
    durations: Annotated[list[AnyDuration] | None, Field(min_length=1)] = None
    """Durations that may be requested; others are refused with 422. Default `null`: all."""
    monthly_budget_usd: OptionalMoney = None
    """Budget of a calendar month (UTC) in US dollars; beyond it creates are refused with 402. `null`: no limit."""
    end_user_daily_budget_usd: OptionalMoney = None
    """Budget of one end user and day (UTC) in US dollars; beyond it creates are refused with 402. `null`: no limit."""
    end_user_daily_count: _Count | None = None
    """Generations of one end user and day (UTC), canceled ones included; more are refused with 429. `null`: no
    limit.
    """
    retention_seconds: Annotated[int | None, Field(ge=60, le=_LONGEST_RETENTION)] = None
    """Seconds for which ended generations are kept, then their records and videos are deleted. Default `null`: the
    deployment's retention.
    """
    webhook_url: Annotated[
        Url | None,
        Field(description="URL that receives the event of the end if the request names none. Default `null`: none."),
    ] = None

    def applied_to(self, limits: Limits) -> Limits:
        """These limits with the members that were given."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        renamed = {
            "monthly_budget_usd": "monthly_budget",
            "end_user_daily_budget_usd": "end_user_daily_budget",
        }
        changes: dict[str, Any] = {renamed.get(name, name): value for name, value in given.items()}
        if "retention_seconds" in changes:
            seconds = changes.pop("retention_seconds")
            changes["retention"] = None if seconds is None else timedelta(seconds=seconds)
        for name in ("models", "resolutions", "durations"):
            if changes.get(name) is not None:
                changes[name] = tuple(changes[name])
        return replace(limits, **changes)


@described
class LimitsView(TypedDict):
    requests_per_minute: int | None
    """HTTP requests a minute. `null`: no limit."""
    burst: int | None
    """Requests that may arrive at once. `null`: a tenth of `requests_per_minute`."""
    queued_generations: int | None
    """Generations that may be queued. `null`: no limit."""
    daily_generations: int | None
    """Generations created in a day (UTC), canceled ones included. `null`: no limit."""
    daily_new_end_users: int | None
    """End users named for the first time in a day (UTC). `null`: no limit."""
    stored_deliveries: int | None
    """Stored webhook deliveries from which creates and test events are refused. `null`: no limit."""
    undelivered_tests: int | None
    """Test events that may be undelivered. `null`: no limit."""
    webhook_endpoints: int | None
    """Webhook endpoints. `null`: 20."""
    concurrent_generations: int | None
    """Generations that may be at fal at once. `null`: no limit."""
    weight: int
    """Share of fal's slots relative to other tenants with queued work, 1 to 1000."""
    models: list[str] | None
    """Ids of the models that the tenant may request. `null`: all of the deployment."""
    references: int | None
    """Reference files of one generation; `0`: none. `null`: as many as the model allows."""
    resolutions: list[str] | None
    """Resolutions that the tenant may request. `null`: all of the deployment."""
    durations: list[str] | None
    """Durations that the tenant may request. `null`: all."""
    monthly_budget_usd: str | None
    """Budget of a calendar month (UTC) in US dollars, as a decimal string. `null`: no limit."""
    end_user_daily_budget_usd: str | None
    """Budget of one end user and day (UTC) in US dollars, as a decimal string. `null`: no limit."""
    end_user_daily_count: int | None
    """Generations of one end user and day (UTC). `null`: no limit."""
    retention_seconds: int | None
    """Seconds for which ended generations are kept. `null`: the deployment's retention."""
    webhook_url: str | None
    """URL for generations whose request names none. `null`: none."""


def limits_view(limits: Limits) -> LimitsView:
    return {
        "requests_per_minute": limits.requests_per_minute,
        "burst": limits.burst,
        "queued_generations": limits.queued_generations,
        "daily_generations": limits.daily_generations,
        "daily_new_end_users": limits.daily_new_end_users,
        "stored_deliveries": limits.stored_deliveries,
        "undelivered_tests": limits.undelivered_tests,
        "webhook_endpoints": limits.webhook_endpoints,
        "concurrent_generations": limits.concurrent_generations,
        "weight": limits.weight,
        "models": _list(limits.models),
        "references": limits.references,
        "resolutions": _list(limits.resolutions),
        "durations": _list(limits.durations),
        "monthly_budget_usd": _usd(limits.monthly_budget),
        "end_user_daily_budget_usd": _usd(limits.end_user_daily_budget),
        "end_user_daily_count": limits.end_user_daily_count,
        "retention_seconds": None if limits.retention is None else int(limits.retention.total_seconds()),
        "webhook_url": limits.webhook_url,
    }


def _list(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _usd(micro: int | None) -> str | None:
    return None if micro is None else usd(micro)
