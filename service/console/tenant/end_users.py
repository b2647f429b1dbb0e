"""End users of the own tenant: find, block, unblock, erase. An id may have any characters, so it is in the query."""

from typing import Any, Final
from urllib.parse import quote

from service.api.http.cursors import decode_name
from service.console.confirm import Confirmation, confirmation_page
from service.console.lists import ROWS, next_target, text_of
from service.console.rendering import moment, money
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain.reason import LONGEST_REASON
from service.domain.tenant import Scope
from service.errors import NotFound
from service.usecases.tenants.end_users import EndUserEntry

end_users = ConsoleRoutes()
LIST: Final = ("/tenant/end-users", "End users")
_ONE: Final = "/tenant/end-user"
_BLOCKED: Final = [("", "all"), ("yes", "blocked"), ("no", "not blocked")]


@end_users.page(LIST[0], needs=Scope.READ)
async def list_end_users(visit: Visit) -> Page:
    page = await visit.runtime.tenants.end_users.page(
        visit.tenant,
        prefix=text_of(visit, "prefix") or "",
        blocked={"yes": True, "no": False}.get(visit.query.get("blocked", "")),
        limit=ROWS,
        after=decode_name(text_of(visit, "cursor")),
        brief=True,
    )
    context = {
        "end_users": page.items,
        "choices": _BLOCKED,
        "next": next_target(visit, LIST[0], page.after, ("prefix", "blocked")),
    }
    return Page("tenant/end_users.html", LIST[1], context)


@end_users.page(_ONE, needs=Scope.READ)
async def show_end_user(visit: Visit) -> Page:
    end_user_id = visit.query.get("id", "")
    found = await visit.runtime.tenants.end_users.get(visit.tenant, end_user_id)
    context = {
        "id": end_user_id,
        "end_user": found,
        "facts": _facts(found),
        "may_manage": visit.identity.may(Scope.MANAGE),
    }
    return Page("tenant/end_user.html", end_user_id or "End user", context, parents=(LIST,))


@end_users.action("/tenant/end-user/block", needs=Scope.MANAGE)
async def block_end_user(visit: Visit) -> Redirect:
    end_user_id, reason = _id(visit), visit.form.text("reason")[:LONGEST_REASON]
    await visit.runtime.tenants.end_users.block(visit.tenant, end_user_id, reason or None)
    return Redirect(_path(end_user_id), "The end user is blocked.")


@end_users.action("/tenant/end-user/unblock", needs=Scope.MANAGE)
async def unblock_end_user(visit: Visit) -> Redirect:
    end_user_id = _id(visit)
    await visit.runtime.tenants.end_users.unblock(visit.tenant, end_user_id)
    return Redirect(LIST[0], "The end user is no longer blocked.")


@end_users.page("/tenant/end-user/erase", needs=Scope.MANAGE)
async def confirm_erasure(visit: Visit) -> Page:
    end_user_id = visit.query.get("id", "")
    found = await visit.runtime.tenants.end_users.get(visit.tenant, end_user_id)
    confirmation = Confirmation(
        action="/tenant/end-user/erase",
        button="Erase",
        back=_path(end_user_id),
        effects=(
            "Prompts, outputs, stored videos, webhooks and the id of this end user are deleted. This cannot be undone.",
            "Files at fal stay, as long as the account at fal says. Sums of money stay under the pseudonym.",
        ),
        facts=_facts(found),
        hidden=(("id", end_user_id),),
        is_dangerous=True,
    )
    return confirmation_page("Erase an end user", confirmation, parents=(LIST, (_path(end_user_id), end_user_id)))


@end_users.action("/tenant/end-user/erase", needs=Scope.MANAGE)
async def erase_end_user(visit: Visit) -> Redirect:
    end_user_id = _id(visit)
    await visit.runtime.tenants.end_users.erase(visit.tenant, end_user_id)
    return Redirect(f"/tenant/erasure?id={quote(end_user_id, safe='')}", "The erasure has begun.")


@end_users.page("/tenant/erasure", needs=Scope.READ)
async def show_erasure(visit: Visit) -> Page:
    service = visit.runtime.tenants.end_users
    found = await service.erasure(visit.tenant, visit.query.get("id", ""))
    facts = [
        ("State", found.state),
        ("Generations", found.generations),
        ("Of these at fal", found.in_flight),
        ("Not erased yet", found.remaining),
        ("Webhook deliveries", found.deliveries),
        ("Stored videos", found.videos),
        ("Began", moment(found.started_at)),
        ("Finished", moment(found.finished_at)),
    ]
    return Page("tenant/erasure.html", "Erasure", {"facts": facts, "remains": service.remains(found)}, parents=(LIST,))


def _id(visit: Visit) -> str:
    """Return the id in the form as it was given: it may begin or end with spaces."""
    return next(iter(visit.form.all("id")), "")


def _path(end_user_id: str) -> str:
    if not end_user_id:
        raise NotFound("There is no such end user.")
    return f"{_ONE}?id={quote(end_user_id, safe='')}"


def _facts(found: EndUserEntry) -> list[tuple[str, Any]]:
    record = found.record
    facts: list[tuple[str, Any]] = [
        ("Pseudonym", record.pseudonym),
        ("Blocked since", "not blocked" if record.blocked_at is None else moment(record.blocked_at)),
        ("Stored generations", found.generations),
        ("Refused by fal's content policy", record.refusals),
        ("Held today", money(found.today.held)),
        ("Spent today", money(found.today.spent)),
        ("Spent this month", money(found.spent_this_month)),
        ("Last seen", moment(found.last_seen_at)),
    ]
    return [*facts, ("Reason of the block", record.block_reason)] if record.block_reason else facts
