"""Bodies and views of tenants and keys: money in US dollars, times in seconds; null: no limit."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from service.domain.budgets import Standing
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.request import AnyDuration, OptionalMoney, Resolution, Url
from service.domain.tenant import ApiKey, Limits, Scope, Tenant

_LONGEST_RETENTION: Final = 10 * 365 * 24 * 3600
_LONGEST_OVERLAP: Final = 30 * 24 * 3600

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
_Count = Annotated[int, Field(ge=0, le=10_000_000)]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_range", "is beyond the calendar") from None


class LimitsBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    requests_per_minute: Annotated[int | None, Field(ge=1, le=60_000_000)] = None
    burst: Annotated[int | None, Field(ge=1, le=1_000_000, description="Calls that may come at once.")] = None
    queued_generations: _Count | None = None
    concurrent_generations: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    weight: Annotated[int, Field(ge=1, le=1000, description="Its share of the slots beside others.")] = 1
    resolutions: Annotated[list[Resolution] | None, Field(min_length=1)] = None
    durations: Annotated[list[AnyDuration] | None, Field(min_length=1)] = None
    monthly_budget_usd: OptionalMoney = None
    end_user_daily_budget_usd: OptionalMoney = None
    end_user_daily_count: _Count | None = None
    retention_seconds: Annotated[int | None, Field(ge=60, le=_LONGEST_RETENTION)] = None
    webhook_url: Annotated[Url | None, Field(description="For requests that name none.")] = None

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
        for name in ("resolutions", "durations"):
            if changes.get(name) is not None:
                changes[name] = tuple(changes[name])
        return replace(limits, **changes)


class NewTenant(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    require_end_user: Annotated[bool, Field(description="Refuse requests without `end_user_id`.")] = False
    limits: LimitsBody = Field(default_factory=LimitsBody)


class TenantChange(BaseModel):
    """Members that are absent stay as they are."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name | None = None
    require_end_user: bool | None = None
    limits: LimitsBody | None = None

    def applied_to(self, tenant: Tenant) -> Tenant:
        return replace(
            tenant,
            name=tenant.name if self.name is None else self.name,
            require_end_user=tenant.require_end_user if self.require_end_user is None else self.require_end_user,
            limits=tenant.limits if self.limits is None else self.limits.applied_to(tenant.limits),
        )


class NewApiKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)] = ""
    scopes: Annotated[list[Scope], Field(min_length=1)] = list(Scope)
    expires_at: Annotated[AwareDatetime, Field(strict=True), AfterValidator(_in_utc)] | None = None


class Rotation(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    overlap_seconds: Annotated[int, Field(ge=0, le=_LONGEST_OVERLAP, description="How long the old key works on.")] = (
        24 * 3600
    )


WEBHOOK_POINTER: Final = "/limits/webhook_url"
NEW_TENANT: Final = TypeAdapter(NewTenant)
TENANT_CHANGE: Final = TypeAdapter(TenantChange)
NEW_API_KEY: Final = TypeAdapter(NewApiKey)
ROTATION: Final = TypeAdapter(Rotation)


class LimitsView(TypedDict):
    requests_per_minute: int | None
    burst: int | None
    queued_generations: int | None
    concurrent_generations: int | None
    weight: int
    resolutions: list[str] | None
    durations: list[str] | None
    monthly_budget_usd: str | None
    end_user_daily_budget_usd: str | None
    end_user_daily_count: int | None
    retention_seconds: int | None
    webhook_url: str | None


class MonthView(TypedDict):
    """What this month's budget stands at; ``over`` when less is allowed than is held and spent already."""

    held: str
    spent: str
    over: bool


class PauseView(TypedDict):
    reason: str
    since: str


class TenantView(TypedDict):
    id: str
    object: Literal["tenant"]
    name: str
    suspended: bool
    paused: PauseView | None
    require_end_user: bool
    limits: LimitsView
    month: MonthView | None
    version: int
    created_at: str
    webhook_secret: str | None


class TenantList(TypedDict):
    object: Literal["list"]
    data: list[TenantView]
    has_more: bool
    next_cursor: str | None


class ApiKeyView(TypedDict):
    id: str
    object: Literal["api_key"]
    tenant_id: str
    name: str
    scopes: list[str]
    key: str | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class ApiKeyList(TypedDict):
    object: Literal["list"]
    data: list[ApiKeyView]


def tenant_view(tenant: Tenant, *, month: MonthView | None = None, secret: bool = False) -> TenantView:
    return {
        "id": tenant.id,
        "object": "tenant",
        "name": tenant.name,
        "suspended": tenant.suspended,
        "paused": _pause(tenant),
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


def _pause(tenant: Tenant) -> PauseView | None:
    if tenant.paused is None:
        return None
    return {"reason": tenant.paused.reason, "since": rfc3339(tenant.paused.since)}


def limits_view(limits: Limits) -> LimitsView:
    return {
        "requests_per_minute": limits.requests_per_minute,
        "burst": limits.burst,
        "queued_generations": limits.queued_generations,
        "concurrent_generations": limits.concurrent_generations,
        "weight": limits.weight,
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
