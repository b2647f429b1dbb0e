"""Webhook deliveries of all tenants, dead letters first of all, and the receivers that only fail."""

import re
from typing import Any, Final

from service.api.http.cursors import decode_text
from service.console.bulk import target_of
from service.console.confirm import Confirmation, confirmation_page
from service.console.lists import choice_of, cursor_of, next_target, options_of, searched_until, text_of
from service.console.oncall.bulk import PREVIEW
from service.console.reason import reason_of
from service.console.rendering import moment
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.bulk import BulkKind
from service.domain.operator import Role
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryStatus
from service.domain.webhook_endpoint import ReceiverPosition
from service.usecases.webhooks.recipients import Recipients

deliveries = ConsoleRoutes()
LIST: Final = ("/oncall/deliveries", "Deliveries")
#: Each row is a delivery and, in lists over all tenants, the URL of its endpoint.
_ROWS: Final = 12
_RECEIVERS_PATH: Final = "/oncall/receivers"
#: Each is three commands: its health, its endpoint, and the number of its pending deliveries.
_RECEIVERS: Final = 6
_POSITION: Final = re.compile(r"[0-9]{1,15}:ten_[0-9A-Za-z]{26}:[0-9A-Za-z_]{1,100}")
_FILTERS: Final = ("tenant_id", "status", "endpoint_id", "generation_id")


@deliveries.page(LIST[0], needs=Role.VIEWER)
async def list_all_deliveries(visit: Visit) -> Page:
    tenant_id, generation_id = text_of(visit, "tenant_id"), text_of(visit, "generation_id")
    status = choice_of(visit, "status", DeliveryStatus)
    if tenant_id is None and generation_id is None:
        status = DeliveryStatus.DEAD  # of all tenants, only dead letters have an index
    wanted = DeliveryFilter(status=status, endpoint_id=text_of(visit, "endpoint_id"), generation_id=generation_id)
    page = await visit.runtime.webhooks.all_deliveries.page(
        wanted, tenant_id=tenant_id, limit=_ROWS, after=cursor_of(visit, ids.DELIVERY), most_read=_ROWS
    )
    context = {
        "deliveries": page.items,
        "statuses": options_of(DeliveryStatus),
        "next": next_target(visit, LIST[0], page.after, _FILTERS),
        "until": searched_until(page.after, found=len(page.items), rows=_ROWS),
        "may_act": visit.may(Role.OPERATOR),
        "all_target": _all_target(visit, status),
    }
    return Page("oncall/deliveries.html", LIST[1], context)


@deliveries.page(_RECEIVERS_PATH, needs=Role.VIEWER)
async def list_failing_receivers(visit: Visit) -> Page:
    cursor = text_of(visit, "cursor")
    found, count = await visit.runtime.webhooks.all_deliveries.failing_receivers(
        minutes=0, limit=_RECEIVERS, after=None if cursor is None else _position(cursor), brief=True
    )
    after = None
    if len(found) == _RECEIVERS:
        after = f"{ids.milliseconds(found[-1].failures.since)}:{found[-1].queue_name}"
    context = {"receivers": found, "number": count, "next": next_target(visit, _RECEIVERS_PATH, after, ())}
    return Page("oncall/receivers.html", "Failing receivers", context)


def _position(cursor: str) -> ReceiverPosition:
    """Return the receiver after which the page begins. Raises Invalid."""
    since, _, name = decode_text(cursor, lambda text: _POSITION.fullmatch(text) is not None).partition(":")
    return ReceiverPosition(name, ids.from_milliseconds(int(since)))


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
