"""Views of the caller: its tenant, its key, its limits and what is left of them."""

from typing import Literal

from typing_extensions import TypedDict

from service.api.admin.limits_schemas import LimitsView, limits_view
from service.api.admin.tenant_schemas import PauseView, SuspensionView, pause_view, suspension_view
from service.domain.described import Timestamp, described
from service.domain.dispatch_gate import HOLD_TEXTS, HoldReason
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.tenant import ApiKey, Tenant
from service.store.tenants.rates import RateLimitResult
from service.usecases.tenants.caller import Caller, Identity
from service.usecases.tenants.overview import Overview


@described
class MyTenantView(TypedDict):
    id: str
    """Id of your tenant, `ten_` and 26 characters."""
    name: str
    """Name of your tenant."""
    require_end_user: bool
    """Whether creates without `end_user_id` are refused with 422."""
    suspended: bool
    """Whether an operator suspended your tenant: all other requests are refused with 403."""
    suspension: SuspensionView | None
    """Reason and begin of the suspension, as the operator wrote. `null`: not suspended."""
    paused: PauseView | None
    """Reason and begin of a pause of your tenant, as the operator wrote: its generations stay queued. `null`: not
    paused.
    """


@described
class MyKeyView(TypedDict):
    id: str
    """Id of the key of this request: the part between its underscores. It is not secret. For a token:
    `jwt:<trusted issuer>:<hash of its subject>`.
    """
    name: str
    """Name of the key. For a token: its subject."""
    scopes: list[str]
    """What the key may do: `generate`, `read`, `manage`."""
    created_at: Timestamp
    """When it, or the trusted issuer of a token, was created, RFC 3339 in UTC with milliseconds."""
    expires_at: Timestamp | None
    """When it stops working. `null`: never."""


@described
class MyIdentityView(TypedDict):
    trusted_issuer_id: str
    """Id of the trusted issuer of your tenant that accepts the token."""
    issuer: str
    """The issuer, or the trust domain of SPIFFE."""
    subject: str
    """`sub` of the token."""
    audience: str
    """The audience for which it was accepted."""
    expires_at: Timestamp
    """`exp` of the token, RFC 3339 in UTC with milliseconds."""


@described
class MyRateView(TypedDict):
    requests_per_minute: int
    """Requests a minute that all keys of your tenant may make together."""
    burst: int
    """Requests that may arrive at once."""
    left: int
    """Requests that may arrive at once now, after this one."""


@described
class MyMonthView(TypedDict):
    limit: str | None
    """Budget of this calendar month (UTC) in US dollars, as a decimal string. `null`: no limit."""
    spent: str
    """Settled costs of this month in US dollars, as a decimal string."""
    held: str
    """Money in US dollars that is held for generations that have not ended, as a decimal string."""
    left: str | None
    """What new generations may hold, in US dollars, as a decimal string. `null`: no limit. The budget of the whole
    account can refuse a create earlier.
    """
    resets_at: Timestamp
    """When the next month begins, RFC 3339 in UTC with milliseconds."""


@described
class MyDayView(TypedDict):
    created: int
    """Generations created today (UTC), canceled ones included. `limits.daily_generations` limits it."""
    new_end_users: int
    """End users named for the first time today. `limits.daily_new_end_users` limits it."""
    spent: str
    """US dollars spent on generations that were created today, as a decimal string."""
    resets_at: Timestamp
    """When the next day begins, RFC 3339 in UTC with milliseconds."""


@described
class MyCountsView(TypedDict):
    queued: int
    """Generations that are queued. `limits.queued_generations` limits it."""
    in_flight: int
    """Generations that are at fal or on their way. `limits.concurrent_generations` limits it."""
    stored_deliveries: int
    """Stored webhook deliveries. `limits.stored_deliveries` limits it."""


@described
class MyDispatchView(TypedDict):
    held: bool
    """`true`: none of your queued generations is submitted. `false`: they are submitted as slots become free."""
    hold_reason: HoldReason | None
    """Why none is submitted, as in `queue.hold_reason` of a generation. `null`: not held."""
    detail: str | None
    """The reason as a sentence for people. `null`: not held."""


@described
class MeView(TypedDict):
    object: Literal["me"]
    """Always `me`."""
    tenant: MyTenantView
    """Your tenant."""
    api_key: MyKeyView
    """The key of this request. For a token (JWT): what the token may do, in the same form."""
    identity: MyIdentityView | None
    """Who sent the token of this request. `null`: it has an API key."""
    limits: LimitsView
    """Limits of your tenant, as the operators set them."""
    rate: MyRateView | None
    """Limit of requests. `null`: no limit, or not known at the moment."""
    month: MyMonthView
    """Money of this month (UTC)."""
    today: MyDayView
    """Counts and spending of today (UTC)."""
    counts: MyCountsView
    """What there is at the moment."""
    dispatch: MyDispatchView
    """Whether your generations are submitted, and if not, why."""


def me_view(caller: Caller, overview: Overview, rate: RateLimitResult | None) -> MeView:
    counters, tenant = overview.counters, caller.tenant
    return {
        "object": "me",
        "tenant": _tenant(tenant),
        "api_key": _key(caller.key),
        "identity": None if caller.identity is None else _identity(caller.identity),
        "limits": limits_view(tenant.limits),
        "rate": None if rate is None else _rate(rate),
        "month": _month(tenant, overview),
        "today": {
            "created": counters.created_today,
            "new_end_users": counters.new_end_users_today,
            "spent": usd(counters.spent_today),
            "resets_at": rfc3339(overview.day_ends_at),
        },
        "counts": {
            "queued": counters.queued,
            "in_flight": counters.in_flight,
            "stored_deliveries": counters.stored_deliveries,
        },
        "dispatch": {
            "held": overview.hold is not None,
            "hold_reason": overview.hold,
            "detail": None if overview.hold is None else HOLD_TEXTS[overview.hold],
        },
    }


def _tenant(tenant: Tenant) -> MyTenantView:
    return {
        "id": tenant.id,
        "name": tenant.name,
        "require_end_user": tenant.require_end_user,
        "suspended": tenant.suspended,
        "suspension": suspension_view(tenant),
        "paused": pause_view(tenant),
    }


def _key(key: ApiKey) -> MyKeyView:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": [scope.value for scope in key.scopes],
        "created_at": rfc3339(key.created_at),
        "expires_at": None if key.expires_at is None else rfc3339(key.expires_at),
    }


def _identity(identity: Identity) -> MyIdentityView:
    return {
        "trusted_issuer_id": identity.issuer_id,
        "issuer": identity.issuer,
        "subject": identity.subject,
        "audience": identity.audience,
        "expires_at": rfc3339(identity.expires_at),
    }


def _rate(rate: RateLimitResult) -> MyRateView:
    return {"requests_per_minute": rate.per_minute, "burst": rate.burst, "left": rate.left}


def _month(tenant: Tenant, overview: Overview) -> MyMonthView:
    month, limit = overview.counters.month, tenant.limits.monthly_budget
    return {
        "limit": None if limit is None else usd(limit),
        "spent": usd(month.spent),
        "held": usd(month.held),
        "left": None if limit is None else usd(month.available(limit)),
        "resets_at": rfc3339(overview.month_ends_at),
    }
