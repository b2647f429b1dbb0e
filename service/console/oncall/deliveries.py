"""Webhook deliveries of all tenants, dead letters first of all, and the receivers that only fail."""

from typing import Any, Final

from service.console.bulk import target_of
from service.console.confirm import Confirmation, confirmation_page
from service.console.lists import choice_of, cursor_of, next_target, options_of, text_of
from service.console.oncall.bulk import PREVIEW
from service.console.reason import reason_of
from service.console.rendering import moment
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.bulk import BulkKind
from service.domain.operator import Role
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryStatus
from service.usecases.webhooks.recipients import Recipients

deliveries = ConsoleRoutes()
LIST: Final = ("/oncall/deliveries", "Deliveries")
_LIMIT: Final = 20
_RECEIVERS: Final = 20
_FILTERS: Final = ("tenant_id", "status", "endpoint_id", "generation_id")


@deliveries.page(LIST[0], needs=Role.VIEWER)
async def list_all_deliveries(visit: Visit) -> Page:
    tenant_id, generation_id = text_of(visit, "tenant_id"), text_of(visit, "generation_id")
    status = choice_of(visit, "status", DeliveryStatus)
    if tenant_id is None and generation_id is None:
        status = DeliveryStatus.DEAD  # of all tenants, only dead letters have an index
    wanted = DeliveryFilter(status=status, endpoint_id=text_of(visit, "endpoint_id"), generation_id=generation_id)
    page = await visit.runtime.webhooks.all_deliveries.page(
        wanted, tenant_id=tenant_id, limit=_LIMIT, after=cursor_of(visit, ids.DELIVERY)
    )
    context = {
        "deliveries": page.items,
        "statuses": options_of(DeliveryStatus),
        "next": next_target(visit, LIST[0], page.after, _FILTERS),
        "may_act": visit.may(Role.OPERATOR),
        "all_target": _all_target(visit, status),
    }
    return Page("oncall/deliveries.html", LIST[1], context)


@deliveries.page("/oncall/receivers", needs=Role.VIEWER)
async def list_failing_receivers(visit: Visit) -> Page:
    found, count = await visit.runtime.webhooks.all_deliveries.failing_receivers(minutes=0, limit=_RECEIVERS)
    return Page("oncall/receivers.html", "Failing receivers", {"receivers": found, "number": count})


@deliveries.page("/oncall/deliveries/{delivery_id}", needs=Role.VIEWER)
async def show_any_delivery(visit: Visit) -> Page:
    found = await visit.runtime.webhooks.all_deliveries.get(visit.path_params["delivery_id"])
    context = {"delivery": found, "facts": _facts(found), "may_act": visit.may(Role.OPERATOR)}
    return Page("oncall/delivery.html", found.id, context, parents=(LIST,))


@deliveries.page("/oncall/deliveries/{delivery_id}/replay", needs=Role.OPERATOR)
async def confirm_replay_of_delivery(visit: Visit) -> Page:
    found = await visit.runtime.webhooks.all_deliveries.get(visit.path_params["delivery_id"])
    own = f"{LIST[0]}/{found.id}"
    confirmation = Confirmation(
        action=f"{own}/replay",
        button="Send it again",
        back=own,
        effects=("The receiver gets the same id and body again, with all attempts of the schedule.",),
        facts=[*_facts(found), ("Informed", Recipients([found.url] if found.url else []).summary)],
    )
    return confirmation_page("Replay a delivery", confirmation, parents=(LIST, (own, found.id)))


@deliveries.action("/oncall/deliveries/{delivery_id}/replay", needs=Role.OPERATOR)
async def replay_delivery(visit: Visit) -> Redirect:
    reason_of(visit)
    found = await visit.runtime.webhooks.all_deliveries.replay(visit.path_params["delivery_id"])
    return Redirect(f"{LIST[0]}/{found.id}", "The delivery is sent again.")


def _all_target(visit: Visit, status: DeliveryStatus | None) -> str | None:
    """Return the path of a preview of the replay of all that match; None: those that are pending are sent anyway."""
    if status is DeliveryStatus.PENDING:
        return None
    fixed = {} if status is None else {"status": status.value}
    return target_of(visit, PREVIEW, BulkKind.REPLAY, _FILTERS, **fixed)


def _facts(delivery: Delivery) -> list[tuple[str, Any]]:
    return [
        ("Status", delivery.status.value),
        ("Event", delivery.event),
        ("Receiver", delivery.url or "the endpoint is deleted"),
        ("Tenant", delivery.tenant_id),
        ("Generation", delivery.generation_id or "–"),
        ("Endpoint", delivery.endpoint_id or "–"),
        ("Attempts", delivery.total_attempts),
        ("Next attempt", moment(delivery.next_attempt_at)),
        ("Created", moment(delivery.created_at)),
    ]
