"""Settings of the limits that a new tenant starts with. A change applies to tenants that are created later."""

from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

NONE: Final = "none"


def _or_none(value: Any) -> Any:
    """Variables are text; ``none`` is the value for no limit."""
    return None if isinstance(value, str) and value.strip().lower() == NONE else value


_OrNone = BeforeValidator(_or_none)
Count = Annotated[Annotated[int, Field(ge=0, le=10_000_000)] | None, _OrNone]
Positive = Annotated[Annotated[int, Field(ge=1, le=10_000_000)] | None, _OrNone]
Amount = Annotated[Annotated[Decimal, Field(gt=0, le=1_000_000)] | None, _OrNone]


class DefaultLimitSettings(BaseModel):
    default_requests_per_minute: Annotated[
        Positive, Field(description="HTTP requests a minute of a new tenant; `none`: no limit.")
    ] = None
    default_queued_generations: Annotated[
        Count, Field(description="Queued generations of a new tenant; `none`: no limit.")
    ] = 1_000
    default_concurrent_generations: Annotated[
        Positive, Field(description="Generations of a new tenant at fal at once; `none`: no limit.")
    ] = None
    default_daily_generations: Annotated[
        Count,
        Field(
            description="Generations that a new tenant may create in a day (UTC), canceled ones included; `none`: no "
            "limit."
        ),
    ] = 10_000
    default_daily_new_end_users: Annotated[
        Count,
        Field(
            description="End users that a new tenant may name for the first time in a day (UTC); `none`: no limit. The "
            "name and the daily money of each are stored for 400 days."
        ),
    ] = 1_000
    default_stored_deliveries: Annotated[
        Count,
        Field(
            description="Stored webhook deliveries of a new tenant, from which its creates and test events are "
            "refused; `none`: no limit. Deliveries are stored as long as their generation."
        ),
    ] = 100_000
    default_undelivered_tests: Annotated[
        Count, Field(description="Undelivered test events of a new tenant; `none`: no limit.")
    ] = 20
    default_webhook_endpoints: Annotated[
        Annotated[Annotated[int, Field(ge=0, le=20)] | None, _OrNone],
        Field(description="Webhook endpoints of a new tenant, 20 at most; `none`: 20."),
    ] = 20
    default_monthly_budget_usd: Annotated[
        Amount, Field(description="Budget of a new tenant for a calendar month (UTC), in US dollars; `none`: no limit.")
    ] = None
    default_end_user_daily_budget_usd: Annotated[
        Amount,
        Field(description="Budget of each end user of a new tenant for a day (UTC), in US dollars; `none`: no limit."),
    ] = None
    default_end_user_daily_count: Annotated[
        Count, Field(description="Generations of each end user of a new tenant in a day (UTC); `none`: no limit.")
    ] = None
