"""Bodies and views of tenants."""

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from service.api.admin.limits_schemas import LimitsBody, LimitsView, limits_view
from service.domain.budgets import Standing
from service.domain.described import Timestamp, describe, described
from service.domain.field_types import DisplayName
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.tenant import Tenant


class NewTenant(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra=describe)

    name: DisplayName
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

    name: DisplayName | None = None
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


WEBHOOK_POINTER: Final = "/limits/webhook_url"
NEW_TENANT: Final = TypeAdapter(NewTenant)
TENANT_CHANGE: Final = TypeAdapter(TenantChange)


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
