"""Tenants and their queues, and the actions that stop and start one tenant."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from service.api.http.cursors import encode_cursor
from service.console.confirm import Confirmation, confirmation_page
from service.console.lists import cursor_of
from service.console.oncall.tenant_pages import LIST, own_path, parents, tenant_of
from service.console.reason import reason_of
from service.console.rendering import moment
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.errors import NotFound
from service.usecases.tenants.tenants import Tenants

tenants = ConsoleRoutes()
_ON_A_PAGE: Final = 50  # one command reads all of them


@dataclass(frozen=True, slots=True)
class _Action:
    """An action on one tenant: its page, what it does, and the call."""

    title: str
    effects: tuple[str, ...]
    done: str
    call: Callable[[Tenants, str, str], Awaitable[Tenant]]


_ACTIONS: Final = {
    "pause": _Action(
        "Pause",
        (
            "No generation of this tenant is submitted to fal until an operator unpauses it. New ones wait.",
            "Submitted generations continue. The tenant reads the reason in GET /v1/me.",
        ),
        "is paused",
        lambda service, tenant_id, reason: service.pause(tenant_id, reason),
    ),
    "unpause": _Action(
        "Unpause",
        ("Queued generations of this tenant are submitted again. A suspension stays.",),
        "is no longer paused",
        lambda service, tenant_id, _: service.unpause(tenant_id),
    ),
    "suspend": _Action(
        "Suspend",
        (
            "All requests of this tenant are refused with status 403 until an operator ends the suspension.",
            "Accepted generations continue. The tenant reads the reason in the 403.",
        ),
        "is suspended",
        lambda service, tenant_id, reason: service.suspend(tenant_id, reason),
    ),
    "unsuspend": _Action(
        "End the suspension",
        ("Requests of this tenant are accepted again. A pause stays.",),
        "is no longer suspended",
        lambda service, tenant_id, _: service.unsuspend(tenant_id),
    ),
}


@tenants.page("/oncall/tenants", needs=Role.VIEWER)
async def show_tenants(visit: Visit) -> Page | Redirect:
    wanted = visit.query.get("id", "").strip()
    if ids.is_id(ids.TENANT, wanted):
        return Redirect(f"/oncall/tenants/{wanted}")
    after = cursor_of(visit, ids.TENANT)
    found = await visit.runtime.tenants.service.page(limit=_ON_A_PAGE + 1, after=after)
    shown = found[:_ON_A_PAGE]
    more = f"/oncall/tenants?cursor={encode_cursor(shown[-1].id)}" if len(found) > _ON_A_PAGE else None
    context = {"tenants": shown, "next": more, "wanted": wanted}
    return Page("oncall/tenants.html", LIST[1], context)


@tenants.page("/oncall/tenants/{tenant_id}", needs=Role.VIEWER)
async def show_tenant(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    rights = {"may_act": visit.may(Role.OPERATOR), "may_change": visit.may(Role.ADMIN)}
    context = {"tenant": tenant, "facts": await _facts(visit, tenant), **rights}
    return Page("oncall/tenant.html", tenant.name, context, parents=(LIST,))


@tenants.page("/oncall/tenants/{tenant_id}/{action}", needs=Role.OPERATOR)
async def confirm_tenant_action(visit: Visit) -> Page:
    tenant, action, name = await tenant_of(visit), _action(visit), visit.path_params["action"]
    own = own_path(tenant)
    confirmation = Confirmation(
        action=f"{own}/{name}",
        button=action.title,
        back=own,
        effects=action.effects,
        facts=[*await _facts(visit, tenant), *await _informed(visit, tenant, name)],
        is_dangerous=name == "suspend",
    )
    return confirmation_page(f"{action.title}: {tenant.name}", confirmation, parents=parents(tenant))


@tenants.action("/oncall/tenants/{tenant_id}/pause", needs=Role.OPERATOR)
async def pause_tenant(visit: Visit) -> Redirect:
    return await _act(visit, "pause")


@tenants.action("/oncall/tenants/{tenant_id}/unpause", needs=Role.OPERATOR)
async def unpause_tenant(visit: Visit) -> Redirect:
    return await _act(visit, "unpause")


@tenants.action("/oncall/tenants/{tenant_id}/suspend", needs=Role.OPERATOR)
async def suspend_tenant(visit: Visit) -> Redirect:
    return await _act(visit, "suspend")


@tenants.action("/oncall/tenants/{tenant_id}/unsuspend", needs=Role.OPERATOR)
async def unsuspend_tenant(visit: Visit) -> Redirect:
    return await _act(visit, "unsuspend")


async def _act(visit: Visit, name: str) -> Redirect:
    action, tenant_id = _ACTIONS[name], visit.path_params["tenant_id"]
    tenant = await action.call(visit.runtime.tenants.service, tenant_id, reason_of(visit))
    return Redirect(f"/oncall/tenants/{tenant_id}", f"{tenant.name} {action.done}.")


def _action(visit: Visit) -> _Action:
    action = _ACTIONS.get(visit.path_params["action"])
    if action is None:
        raise NotFound("There is no such page.")
    return action


async def _facts(visit: Visit, tenant: Tenant) -> list[tuple[str, Any]]:
    overview = await visit.runtime.tenants.overviews.read(tenant)
    counters = overview.counters
    return [
        ("Queued", counters.queued),
        ("At fal", counters.in_flight),
        ("Held back by", overview.hold or "nothing"),
        ("Paused", "no" if tenant.paused is None else _since(tenant.paused.since, tenant.paused.reason)),
        ("Suspended", _suspension(tenant)),
        ("Created today", counters.created_today),
    ]


async def _informed(visit: Visit, tenant: Tenant, action: str) -> list[tuple[str, Any]]:
    """Return who loses or regains access, and that no webhook is sent."""
    facts: list[tuple[str, Any]] = []
    if action in ("suspend", "unsuspend"):
        now = visit.runtime.clock()
        keys = [key for key, _ in await visit.runtime.tenants.api_keys.of_tenant(tenant.id) if key.is_valid(now)]
        issuers = await visit.runtime.tenants.trusted_issuers.list(tenant.id)
        title = "Loses access" if action == "suspend" else "Regains access"
        facts.append((title, f"{len(keys)} API keys and {len(issuers)} trusted issuers"))
    return [*facts, ("Informed", "no receiver of webhooks; the tenant reads its state in GET /v1/me")]


def _suspension(tenant: Tenant) -> str:
    if not tenant.suspended:
        return "no"
    if tenant.suspension is None:
        return "yes"
    return _since(tenant.suspension.since, tenant.suspension.reason)


def _since(at: datetime, reason: str | None) -> Markup:
    return Markup("since {}: {}").format(moment(at), reason or "no reason was given")
