"""Webhook endpoints of the own tenant with their health, and deliveries: test, enable, disable, replay."""

from typing import Any, Final

from service.console.bulk import target_of
from service.console.confirm import Confirmation, confirmation_page
from service.console.lists import ROWS, choice_of, cursor_of, next_target, options_of, searched_until, text_of
from service.console.rendering import moment
from service.console.routes import ConsoleRoutes
from service.console.tenant.bulk import PREVIEW
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.bulk import BulkKind
from service.domain.tenant import Scope
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryStatus
from service.domain.webhook_endpoint import Endpoint
from service.domain.webhook_endpoint_view import FailingView

webhooks = ConsoleRoutes()
ENDPOINTS: Final = ("/tenant/endpoints", "Webhook endpoints")
DELIVERIES: Final = ("/tenant/deliveries", "Deliveries")


@webhooks.page(ENDPOINTS[0], needs=Scope.READ)
async def list_endpoints(visit: Visit) -> Page:
    service = visit.runtime.webhooks.endpoints
    found = await service.list(visit.tenant)
    rows = list(zip(found, await service.failing(found), strict=True))
    return Page("tenant/endpoints.html", ENDPOINTS[1], {"rows": rows, "may_manage": visit.identity.may(Scope.MANAGE)})


@webhooks.page("/tenant/endpoints/{endpoint_id}", needs=Scope.READ)
async def show_endpoint(visit: Visit) -> Page:
    service = visit.runtime.webhooks.endpoints
    endpoint = await service.get(visit.tenant, visit.path_params["endpoint_id"])
    (failing,) = await service.failing([endpoint])
    wanted = DeliveryFilter(endpoint_id=endpoint.id)
    found = await visit.runtime.webhooks.deliveries.list(visit.tenant, wanted, limit=ROWS, after=None, most_read=ROWS)
    context = {
        "endpoint": endpoint,
        "facts": _facts(endpoint, failing),
        "deliveries": found.items,
        "may_manage": visit.identity.may(Scope.MANAGE),
    }
    return Page("tenant/endpoint.html", endpoint.url, context, parents=(ENDPOINTS,))


@webhooks.action("/tenant/endpoints/{endpoint_id}/test", needs=Scope.MANAGE)
async def send_test_event(visit: Visit) -> Redirect:
    delivery = await visit.runtime.webhooks.endpoints.test(visit.tenant, visit.path_params["endpoint_id"])
    return Redirect(f"{DELIVERIES[0]}/{delivery.id}", "A test event is being sent. Reload the page for its outcome.")


@webhooks.action("/tenant/endpoints/{endpoint_id}/enable", needs=Scope.MANAGE)
async def enable_endpoint(visit: Visit) -> Redirect:
    endpoint = await visit.runtime.webhooks.endpoints.enable(visit.tenant, visit.path_params["endpoint_id"])
    return Redirect(f"{ENDPOINTS[0]}/{endpoint.id}", "The endpoint is enabled.")


@webhooks.action("/tenant/endpoints/{endpoint_id}/disable", needs=Scope.MANAGE)
async def disable_endpoint(visit: Visit) -> Redirect:
    endpoint = await visit.runtime.webhooks.endpoints.disable(visit.tenant, visit.path_params["endpoint_id"])
    return Redirect(f"{ENDPOINTS[0]}/{endpoint.id}", "The endpoint is disabled.")


@webhooks.page("/tenant/endpoints/{endpoint_id}/replay", needs=Scope.MANAGE)
async def confirm_replay(visit: Visit) -> Page:
    endpoint = await visit.runtime.webhooks.endpoints.get(visit.tenant, visit.path_params["endpoint_id"])
    path = f"{ENDPOINTS[0]}/{endpoint.id}"
    confirmation = Confirmation(
        action=f"{path}/replay",
        button="Replay dead deliveries",
        back=path,
        effects=(
            "All dead deliveries of this endpoint are sent again, 500 with each click, the newest first.",
            "Each has the same id and body as before, and all attempts of the schedule.",
        ),
        facts=(("Endpoint", endpoint.url),),
    )
    return confirmation_page("Replay dead deliveries", confirmation, parents=(ENDPOINTS, (path, endpoint.url)))


@webhooks.action("/tenant/endpoints/{endpoint_id}/replay", needs=Scope.MANAGE)
async def replay_deliveries(visit: Visit) -> Redirect:
    endpoint_id = visit.path_params["endpoint_id"]
    wanted = DeliveryFilter(status=DeliveryStatus.DEAD, endpoint_id=endpoint_id)
    done = await visit.runtime.webhooks.deliveries.replay(visit.tenant, wanted, after=None)
    more = " More are dead: replay again." if done.after is not None else ""
    return Redirect(f"{ENDPOINTS[0]}/{endpoint_id}", f"{done.replayed} deliveries are sent again.{more}")


@webhooks.page(DELIVERIES[0], needs=Scope.READ)
async def list_deliveries(visit: Visit) -> Page:
    wanted = DeliveryFilter(
        status=choice_of(visit, "status", DeliveryStatus),
        endpoint_id=text_of(visit, "endpoint_id"),
        generation_id=text_of(visit, "generation_id"),
    )
    page = await visit.runtime.webhooks.deliveries.list(
        visit.tenant, wanted, limit=ROWS, after=cursor_of(visit, ids.DELIVERY), most_read=ROWS
    )
    names = ("status", "endpoint_id", "generation_id")
    context = {
        "deliveries": page.items,
        "statuses": options_of(DeliveryStatus),
        "next": next_target(visit, DELIVERIES[0], page.after, names),
        "may_manage": visit.identity.may(Scope.MANAGE),
        "all_target": None
        if wanted.status is DeliveryStatus.PENDING  # they are sent anyway
        else target_of(visit, PREVIEW, BulkKind.REPLAY, names),
        "until": searched_until(page.after, found=len(page.items)),
    }
    return Page("tenant/deliveries.html", DELIVERIES[1], context)


@webhooks.page("/tenant/deliveries/{delivery_id}", needs=Scope.READ)
async def show_delivery(visit: Visit) -> Page:
    found = await visit.runtime.webhooks.deliveries.get(visit.tenant, visit.path_params["delivery_id"])
    context = {"delivery": found, "facts": _delivery_facts(found), "may_manage": visit.identity.may(Scope.MANAGE)}
    return Page("tenant/delivery.html", found.id, context, parents=(DELIVERIES,))


@webhooks.action("/tenant/deliveries/{delivery_id}/redeliver", needs=Scope.MANAGE)
async def redeliver_event(visit: Visit) -> Redirect:
    found = await visit.runtime.webhooks.deliveries.redeliver(visit.tenant, visit.path_params["delivery_id"])
    return Redirect(f"{DELIVERIES[0]}/{found.id}", "The delivery is sent again.")


def _facts(endpoint: Endpoint, failing: FailingView | None) -> list[tuple[str, Any]]:
    disabled = endpoint.disabled
    facts: list[tuple[str, Any]] = [
        ("Id", endpoint.id),
        ("State", "enabled" if disabled is None else f"disabled: {disabled.reason}"),
        ("Description", endpoint.description or "–"),
        ("Events", ", ".join(endpoint.events)),
        ("Headers", ", ".join(sorted(endpoint.headers)) or "–"),
        ("Created", moment(endpoint.created_at)),
    ]
    if failing is not None:
        facts.append(("Fails since", moment(failing["since"])))
        facts.append(("Failed attempts", failing["attempts"]))
        facts.append(("Elapsed of the time until it is disabled", f"{failing['percent']} %"))
    return facts


def _delivery_facts(delivery: Delivery) -> list[tuple[str, Any]]:
    return [
        ("Event", delivery.event),
        ("Status", delivery.status.value),
        ("URL", delivery.url or "the endpoint is deleted"),
        ("Generation", delivery.generation_id or "–"),
        ("Endpoint", delivery.endpoint_id or "–"),
        ("Attempts", delivery.total_attempts),
        ("Next attempt", moment(delivery.next_attempt_at)),
        ("Created", moment(delivery.created_at)),
    ]
