"""Usage in responses: figures by day, model, error code and end user."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from service.domain.described import Date, Timestamp, described
from service.domain.figures import Figures
from service.domain.pricing import usd
from service.domain.usage import EndUserKind


@described
class FiguresView(TypedDict):
    created: int
    """Generations that were accepted in the period."""
    succeeded: int
    """Those of them that have succeeded."""
    failed: int
    """Those of them that have failed."""
    canceled: int
    """Those of them that were canceled."""
    refused: int
    """Creates that were refused in the period."""
    spent: str
    """US dollars spent on the generations of the period, as a decimal string."""
    held: str
    """US dollars that are held now for those that have not ended, as a decimal string."""


@described
class UsageModel(FiguresView):
    model: str | None
    """The model's id. `null`: what belongs to no model, like refused creates."""


@described
class UsageCode(FiguresView):
    code: str | None
    """An error code of failures and refusals. `null`: generations without an error."""


@described
class UsageDay(TypedDict):
    date: Date
    """The day (UTC), `2026-01-31`."""
    created: int
    """Generations accepted on this day."""
    spent: str
    """US dollars spent on generations that were accepted on this day, as a decimal string."""
    outcomes: dict[str, int]
    """Count by outcome: `succeeded`, `canceled` and `failed:` with the error code. Generations that have not ended
    are not in it.
    """
    refusals: dict[str, int]
    """Creates that were refused on this day, by error code. Those that could not be read are not counted."""


@described
class UsageEndUser(TypedDict):
    end_user_id: str | None
    """Your customer, as you named it. `null`: generations without an end user, or the end user was erased."""
    pseudonym: str
    """The id that fal receives instead."""
    spent: str
    """US dollars spent in the period, as a decimal string."""
    end_user: NotRequired[EndUserKind]
    """`named`; `none`: generations without an end user; `erased`: the name is deleted; `unnamed`: it has refused
    creates only, which store no name. With `by=end_user`.
    """
    created: NotRequired[int]
    """Generations that were accepted in the period. With `by=end_user`, as the following."""
    succeeded: NotRequired[int]
    """Those of them that have succeeded."""
    failed: NotRequired[int]
    """Those of them that have failed."""
    canceled: NotRequired[int]
    """Those of them that were canceled."""
    refused: NotRequired[int]
    """Creates that were refused in the period. Of the end users of a day, at most 256 pairs of end user and error code
    are counted.
    """
    held: NotRequired[str]
    """US dollars that are held now for generations that have not ended, as a decimal string."""
    refusals: NotRequired[dict[str, int]]
    """Refused creates by error code."""


@described
class UsageDraftsView(TypedDict):
    direct: str
    """US dollars that the videos of all drafts would have cost at `1080p` at once: the bill of each draft that
    succeeded, times the price at `1080p` by the price at its own resolution.
    """
    spent: str
    """US dollars spent on drafts and completions, failed ones included. It is a part of `spent` of the period."""
    saved: str
    """`direct` minus `spent`. It is negative if nearly all drafts were completed."""


@described
class UsageView(TypedDict):
    object: Literal["usage"]
    """Always `usage`."""
    currency: Literal["USD"]
    """Always `USD`."""
    start: Date
    """First day of the period (UTC)."""
    end: Date
    """Last day of the period (UTC), included."""
    spent: str
    """US dollars spent in the period, as a decimal string."""
    drafts: UsageDraftsView
    """What drafts and their completions cost, compared with direct creates at `1080p`."""
    days: list[UsageDay]
    """One entry for each day of the period, oldest first."""
    end_users: list[UsageEndUser]
    """The 1,000 end users with the highest spending in the period, highest first. Exact for one day, for one calendar
    month (also until today), and for every period whose days and whole months have up to 5,000 entries together: an
    entry is one end user in one of these lists. See `end_users_incomplete` for the others.
    """
    models: NotRequired[list[UsageModel]]
    """One entry for each model, the highest spending first. With `by=model`."""
    codes: NotRequired[list[UsageCode]]
    """One entry for each error code, of failures and refusals. With `by=code`."""
    end_users_incomplete: NotRequired[bool]
    """`true`: the period has more entries, and only the highest ones of each of its days and whole months were added
    up. End users can be missing, and sums can be too low. The sums of `days` and of `spent` are exact. For an exact
    list create a usage report. Absent if the list is exact.
    """


@described
class UsageEndUserList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[UsageEndUser]
    """End users, the highest spending first."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class UsageReportView(TypedDict):
    id: str
    """Id of the report, `usr_` and 26 characters."""
    object: Literal["usage_report"]
    """Always `usage_report`."""
    state: Literal["running", "done"]
    """`running`: workers compute the report. `done`: its list of end users can be read."""
    start: Date
    """First day of the period (UTC)."""
    end: Date
    """Last day of the period (UTC), included."""
    days: int
    """Days of the period."""
    days_done: int
    """Days that are in the list so far."""
    end_users: int
    """End users in the list so far."""
    created_at: Timestamp
    """When the report was created, RFC 3339 in UTC with milliseconds."""
    finished_at: Timestamp | None
    """When it was done. `null` while it runs."""


def figures_view(figures: Figures) -> FiguresView:
    return {
        "created": figures.created,
        "succeeded": figures.succeeded,
        "failed": figures.failed,
        "canceled": figures.canceled,
        "refused": figures.refused,
        "spent": usd(figures.spent),
        "held": usd(figures.held),
    }
