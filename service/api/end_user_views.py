"""End users and erasures, as tenants and operators see them."""

from service.api.schemas import EndUserEntryView, EndUserView, ErasedView
from service.domain.erasure import Erasure
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.domain.remains import Remains
from service.store.tenants.end_user_lists import EndUserEntry


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
