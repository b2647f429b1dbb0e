"""End users and erasures, as tenants and operators see them."""

from typing import Literal

from typing_extensions import TypedDict

from service.domain.described import Timestamp, described
from service.domain.erasure import Erasure
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.remains import Remains
from service.store.tenants.end_user_lists import EndUserEntry


@described
class TodayView(TypedDict):
    held: str
    """Money in US dollars that is held for generations that have not ended, as a decimal string."""
    spent: str
    """Money in US dollars that was spent today (UTC), as a decimal string."""
    count: int
    """Generations accepted today (UTC)."""


@described
class EndUserView(TypedDict):
    id: str
    """Your customer, as you named it."""
    object: Literal["end_user"]
    """Always `end_user`."""
    pseudonym: str
    """The id that fal receives instead, `eu_` and 32 hexadecimal digits."""
    refusals: int
    """Generations that fal's content policy refused. Refusals by a budget or a limit do not count."""
    blocked_at: Timestamp | None
    """When you blocked the end user, RFC 3339 in UTC. `null`: not blocked."""
    block_reason: str | None
    """Why you blocked the end user, as you wrote. `null`: not blocked, no reason was given, or it was erased."""
    today: TodayView
    """Money and count of today (UTC)."""
    spent_this_month: str
    """US dollars spent on generations of this month (UTC), as a decimal string."""
    generations: int
    """Generations that are stored, which `GET /v1/generations?end_user_id=` lists."""
    last_seen_at: Timestamp | None
    """When the last generation was created, RFC 3339 in UTC with milliseconds. `null`: not known."""


@described
class EndUserEntryView(TypedDict):
    id: str | None
    """Your customer, as you named it. `null`: the end user was erased while blocked."""
    object: Literal["end_user"]
    """Always `end_user`."""
    pseudonym: str
    """The id that fal receives instead, `eu_` and 32 hexadecimal digits."""
    refusals: int
    """Generations that fal's content policy refused. Refusals by a budget or a limit do not count."""
    blocked_at: Timestamp | None
    """When the end user was blocked, RFC 3339 in UTC. `null`: not blocked."""
    block_reason: str | None
    """Why, as the caller or operator wrote. `null`: not blocked, no reason was given, or it was erased."""
    today: TodayView
    """Money and count of today (UTC)."""
    spent_this_month: str
    """US dollars spent on generations of this month (UTC), as a decimal string."""
    generations: int
    """Generations that are stored."""
    last_seen_at: Timestamp | None
    """When the last generation was created, RFC 3339 in UTC with milliseconds. `null`: not known."""


@described
class EndUserList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[EndUserEntryView]
    """End users, by id."""
    has_more: bool
    """Whether entries follow this page. A page may be short and not the last one."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


@described
class RemainsView(TypedDict):
    what: Literal["fal_files", "fal_history", "money", "in_flight", "block", "logs", "backups", "receivers"]
    """What an erasure does not delete."""
    detail: str
    """Where it is, and who can delete it."""
    until: Timestamp | None
    """When it is deleted at the latest, RFC 3339 in UTC with milliseconds. `null`: no end is known."""


@described
class ErasedView(TypedDict):
    object: Literal["erasure"]
    """Always `erasure`."""
    end_user_id: str
    """The end user, as you named it."""
    state: Literal["running", "done"]
    """`running`: workers continue the erasure. `done`: nothing is left."""
    generations: int
    """Generations erased so far."""
    in_flight: int
    """Of these: generations that were at fal. Their records are purged when they end."""
    remaining: int
    """Generations that are not erased yet."""
    deliveries: int
    """Webhook deliveries erased so far, with their bodies."""
    videos: int
    """Videos deleted from the gateway's video store so far."""
    remains: list[RemainsView]
    """What an erasure does not delete, and for how long it stays."""
    started_at: Timestamp
    """When the erasure began, RFC 3339 in UTC with milliseconds."""
    finished_at: Timestamp | None
    """When it was done. `null` while it runs."""


def end_user_view(end_user_id: str, found: EndUserEntry) -> EndUserView:
    return {**end_user_entry_view(found), "id": end_user_id}


def end_user_entry_view(found: EndUserEntry) -> EndUserEntryView:
    return {
        "id": found.record.end_user_id,
        "object": "end_user",
        "pseudonym": found.record.pseudonym,
        "refusals": found.record.refusals,
        "blocked_at": found.record.blocked_at,
        "block_reason": found.record.block_reason,
        "today": {"held": usd(found.today.held), "spent": usd(found.today.spent), "count": found.today.count},
        "spent_this_month": usd(found.spent_this_month),
        "generations": found.generations,
        "last_seen_at": None if found.last_seen_at is None else rfc3339(found.last_seen_at),
    }


def erasure_view(end_user_id: str, found: Erasure, remains: list[Remains]) -> ErasedView:
    return {
        "object": "erasure",
        "end_user_id": end_user_id,
        "state": found.state,
        "generations": found.generations,
        "in_flight": found.in_flight,
        "remaining": found.remaining,
        "deliveries": found.deliveries,
        "videos": found.videos,
        "remains": [
            {
                "what": each.what,
                "detail": each.detail,
                "until": None if each.until is None else rfc3339(each.until),
            }
            for each in remains
        ],
        "started_at": rfc3339(found.started_at),
        "finished_at": None if found.finished_at is None else rfc3339(found.finished_at),
    }
