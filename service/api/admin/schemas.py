"""Bodies and views of tenants and keys: money in US dollars, times in seconds; null: no limit."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from service.domain.budgets import Standing
from service.domain.described import Timestamp, describe, described
from service.domain.generation_view import rfc3339
from service.domain.models.model import ENDPOINT_ID
from service.domain.pricing import usd
from service.domain.request import AnyDuration, OptionalMoney, Resolution, Url
from service.domain.tenant import ApiKey, Limits, Scope, Tenant
from service.domain.timestamps import Moment
from service.domain.webhook_endpoint import MOST_ENDPOINTS

_LONGEST_RETENTION: Final = 10 * 365 * 24 * 3600
_LONGEST_OVERLAP: Final = 30 * 24 * 3600

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
ModelId = Annotated[str, StringConstraints(pattern=ENDPOINT_ID, max_length=200)]
_Count = Annotated[int, Field(ge=0, le=10_000_000)]


def in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_range", "is beyond the calendar") from None


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


class NewTenant(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    name: Name
    """Name for people, 1 to 100 characters."""
    require_end_user: Annotated[
        bool, Field(description="Refuse creates without `end_user_id` (422). Default `false`.")
    ] = False
    limits: LimitsBody = Field(default_factory=LimitsBody)
    """Limits of the tenant. Absent members: the deployment's default (settings `GATEWAY_DEFAULT_*`), or no limit where
    there is none.
    """


class TenantChange(BaseModel):
    """Changes of a tenant: absent fields stay unchanged."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    name: Name | None = None
    """New name, 1 to 100 characters. Absent: unchanged."""
    require_end_user: bool | None = None
    """Refuse creates without `end_user_id`. Absent: unchanged."""
    limits: LimitsBody | None = None
    """Limits to change. Absent members stay as they are; `null` removes a limit."""

    def applied_to(self, tenant: Tenant) -> Tenant:
        return replace(
            tenant,
            name=tenant.name if self.name is None else self.name,
            require_end_user=tenant.require_end_user if self.require_end_user is None else self.require_end_user,
            limits=tenant.limits if self.limits is None else self.limits.applied_to(tenant.limits),
        )


class NewApiKey(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=describe)

    name: Annotated[str, Field(max_length=100)] = ""
    """Name for people, 100 characters at most. Default: empty."""
    scopes: Annotated[list[Scope], Field(min_length=1)] = list(Scope)
    """What the key may do: `generate` creates, cancels and uploads, `read` reads, `manage` changes webhooks, secrets
    and end users. Default: all three.
    """
    expires_at: Annotated[Moment, AfterValidator(in_utc)] | None = None
    """When the key stops working (RFC 3339 with an offset). Default `null`: never."""


class Rotation(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    overlap_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=_LONGEST_OVERLAP,
            description="Seconds for which the old key still works, 0 to 2592000. Default 86400, one day.",
        ),
    ] = 24 * 3600


WEBHOOK_POINTER: Final = "/limits/webhook_url"
NEW_TENANT: Final = TypeAdapter(NewTenant)
TENANT_CHANGE: Final = TypeAdapter(TenantChange)
NEW_API_KEY: Final = TypeAdapter(NewApiKey)
ROTATION: Final = TypeAdapter(Rotation)


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


@described
class MonthView(TypedDict):
    held: str
    """Money in US dollars that is held for generations that have not ended, as a decimal string."""
    spent: str
    """Money in US dollars that was spent this month (UTC), as a decimal string."""
    over: bool
    """Whether held and spent money exceed the budget, because the budget was lowered. New generations are refused."""


@described
class PauseView(TypedDict):
    reason: str
    """Why, as the operator wrote."""
    since: Timestamp
    """When the pause began, RFC 3339 in UTC with milliseconds."""


@described
class SuspensionView(TypedDict):
    reason: str | None
    """Why, as the operator wrote. `null`: no reason was given."""
    since: Timestamp
    """When the suspension began, RFC 3339 in UTC with milliseconds."""


@described
class TenantView(TypedDict):
    id: str
    """Id of the tenant, `ten_` and 26 characters."""
    object: Literal["tenant"]
    """Always `tenant`."""
    name: str
    """Name of the tenant."""
    suspended: bool
    """Whether all its requests are refused with 403, except `GET /v1/me`."""
    suspension: SuspensionView | None
    """Reason and begin of the suspension. `null`: not suspended, or by an older release."""
    paused: PauseView | None
    """Reason and begin of a pause: its generations are not dispatched. `null`: not paused."""
    require_end_user: bool
    """Whether creates without `end_user_id` are refused with 422."""
    limits: LimitsView
    """Limits of the tenant."""
    month: MonthView | None
    """Money of this month (UTC). `null` in lists and in responses of writes that do not read it; read the tenant."""
    version: int
    """Counts changes; the `ETag` for `If-Match`."""
    created_at: Timestamp
    """When it was created, RFC 3339 in UTC with milliseconds."""
    webhook_secret: str | None
    """Secret that signs webhooks to a `webhook_url`. Only the response of the create shows it, later `null`."""


@described
class TenantList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[TenantView]
    """Tenants by id, oldest first."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class ApiKeyView(TypedDict):
    id: str
    """Id of the key: the part between its underscores. It is not secret."""
    object: Literal["api_key"]
    """Always `api_key`."""
    tenant_id: str
    """The tenant that the key belongs to."""
    name: str
    """Name of the key."""
    scopes: list[str]
    """What the key may do: `generate`, `read`, `manage`."""
    key: str | None
    """The whole key, `sgk_…`. Only the response of the create or the rotation shows it, later `null`."""
    created_at: Timestamp
    """When it was created, RFC 3339 in UTC with milliseconds."""
    expires_at: Timestamp | None
    """When it stops working. `null`: never."""
    revoked_at: Timestamp | None
    """When it was revoked. `null`: not revoked."""
    last_used_at: Timestamp | None
    """When it was last used, to the minute, RFC 3339 in UTC. `null`: never, or not in this response."""


@described
class ApiKeyList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[ApiKeyView]
    """All keys of the tenant, revoked and expired ones included."""


def tenant_view(tenant: Tenant, *, month: MonthView | None = None, secret: bool = False) -> TenantView:
    return {
        "id": tenant.id,
        "object": "tenant",
        "name": tenant.name,
        "suspended": tenant.suspended,
        "suspension": suspension_view(tenant),
        "paused": pause_view(tenant),
        "require_end_user": tenant.require_end_user,
        "limits": limits_view(tenant.limits),
        "month": month,
        "version": tenant.version,
        "created_at": rfc3339(tenant.created_at),
        "webhook_secret": tenant.webhook_secret if secret else None,
    }


def month_view(tenant: Tenant, standing: Standing) -> MonthView:
    budget = tenant.limits.monthly_budget
    over = budget is not None and standing.held + standing.spent > budget
    return {"held": usd(standing.held), "spent": usd(standing.spent), "over": over}


def suspension_view(tenant: Tenant) -> SuspensionView | None:
    if tenant.suspension is None:
        return None
    return {"reason": tenant.suspension.reason, "since": rfc3339(tenant.suspension.since)}


def pause_view(tenant: Tenant) -> PauseView | None:
    if tenant.paused is None:
        return None
    return {"reason": tenant.paused.reason, "since": rfc3339(tenant.paused.since)}


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


def key_view(key: ApiKey, *, text: str | None = None, last_used_at: str | None = None) -> ApiKeyView:
    return {
        "id": key.id,
        "object": "api_key",
        "tenant_id": key.tenant_id,
        "name": key.name,
        "scopes": [scope.value for scope in key.scopes],
        "key": text,
        "created_at": rfc3339(key.created_at),
        "expires_at": _moment(key.expires_at),
        "revoked_at": _moment(key.revoked_at),
        "last_used_at": last_used_at,
    }


def _list(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _usd(micro: int | None) -> str | None:
    return None if micro is None else usd(micro)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
