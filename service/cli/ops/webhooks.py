"""``deliveries`` and ``endpoints``: the use cases and views of ``/admin/v1``."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from service.api.admin.webhook_schemas import (
    OperatorDeliveryView,
    OperatorEndpointView,
    operator_delivery_detail,
    operator_delivery_view,
    operator_endpoint_view,
    receiver_view,
)
from service.cli.ops.arguments import Reason, TenantId, act_reason
from service.cli.ops.session import Command, with_runtime
from service.cli.output import Columns, JsonOption, show, show_list
from service.domain.operator import Role
from service.domain.webhook import DeliveryFilter, DeliveryStatus, EventType
from service.store.webhooks.receivers import FailingReceiver

if TYPE_CHECKING:
    from service.runtime import Runtime

deliveries = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List, read and replay webhook deliveries of all tenants."
)
endpoints = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List webhook endpoints that fail; enable, disable and test them.",
)

_DeliveryId = Annotated[str, typer.Argument(help="The delivery's id, msg_…")]
_EndpointId = Annotated[str, typer.Argument(help="The endpoint's id, whe_…")]
#: Deliveries that one exchange reads.
_PAGE: Final = 100
_DELIVERY_COLUMNS: Final[Columns] = {
    "id": lambda view: view["id"],
    "tenant": lambda view: view["tenant_id"],
    "event": lambda view: view["event"],
    "status": lambda view: view["status"],
    "attempts": lambda view: view["attempt_count"],
    "last answer": lambda view: _answer(view["last_attempt"]),
    "url": lambda view: view["url"],
    "created": lambda view: view["created_at"],
}
_ENDPOINT_COLUMNS: Final[Columns] = {
    "id": lambda view: view["id"],
    "url": lambda view: view["url"],
    "enabled": lambda view: "yes" if view["enabled"] else f"no: {view['disabled']['reason']}",
    "failing since": lambda view: view["failing"] and view["failing"]["since"],
    "failed attempts": lambda view: view["failing"] and view["failing"]["attempts"],
}
_RECEIVER_COLUMNS: Final[Columns] = {
    "tenant": lambda view: view["tenant_name"] or view["tenant_id"],
    "endpoint": lambda view: view["endpoint_id"],
    "url": lambda view: view["url"],
    "failing since": lambda view: view["since"],
    "failed attempts": lambda view: view["attempts"],
    "pending": lambda view: view["pending"],
    "last answer": lambda view: _answer(view["last_attempt"]),
}


@deliveries.command("list")
def list_deliveries(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant. Needed unless --status dead.")] = None,
    status: Annotated[DeliveryStatus, typer.Option(help="Only with this status.")] = DeliveryStatus.DEAD,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
    generation: Annotated[str | None, typer.Option(help="Only of this generation.")] = None,
    event: Annotated[EventType | None, typer.Option(help="Only of this event type.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most deliveries that are listed.")] = 100,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List deliveries, newest first; by default the dead letters of all tenants."""
    wanted = DeliveryFilter(status=status, endpoint_id=endpoint, generation_id=generation, event=event)

    async def read(runtime: "Runtime") -> list[OperatorDeliveryView]:
        found: list[OperatorDeliveryView] = []
        after: str | None = None
        while len(found) < limit:
            page = await runtime.webhooks.all_deliveries.page(
                wanted, tenant_id=tenant, limit=min(_PAGE, limit - len(found)), after=after
            )
            found += map(operator_delivery_view, page.items)
            if (after := page.after) is None:
                break
        return found

    show_list(with_runtime(read), _DELIVERY_COLUMNS, as_json=as_json)


@deliveries.command("show")
def show_delivery(delivery_id: _DeliveryId) -> None:
    """Print a delivery with its attempts."""
    show(operator_delivery_detail(with_runtime(lambda runtime: runtime.webhooks.all_deliveries.get(delivery_id))))


@deliveries.command("replay")
def replay_delivery(delivery_id: _DeliveryId, reason: Reason) -> None:
    """Send a delivery again, with all attempts of the schedule."""
    act = Command(action="replay_delivery", role=Role.OPERATOR, target=delivery_id, reason=act_reason(reason))
    replayed = with_runtime(lambda runtime: runtime.webhooks.all_deliveries.replay(delivery_id), act=act)
    show(operator_delivery_detail(replayed))


@endpoints.command("failing")
def list_failing(
    minutes: Annotated[int, typer.Option(min=0, max=14_400, help="Only those that fail for this long.")] = 60,
    limit: Annotated[int, typer.Option(min=1, max=200, help="The most receivers that are listed.")] = 100,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List the receivers of all tenants that only fail, those that fail longest first."""

    async def read(runtime: "Runtime") -> tuple[list[FailingReceiver], int]:
        return await runtime.webhooks.all_deliveries.failing_receivers(minutes=minutes, limit=limit)

    found, count = with_runtime(read)
    show_list(map(receiver_view, found), _RECEIVER_COLUMNS, as_json=as_json)
    if count > len(found):
        typer.echo(f"{count} in all; those that fail longest are shown.", err=True)


@endpoints.command("list")
def list_endpoints(tenant_id: TenantId, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the webhook endpoints of a tenant with their failures."""

    async def read(runtime: "Runtime") -> list[OperatorEndpointView]:
        found = await runtime.webhooks.endpoints.list(await runtime.tenants.service.get(tenant_id))
        failing = await runtime.webhooks.endpoints.failing(found)
        return [operator_endpoint_view(*pair) for pair in zip(found, failing, strict=True)]

    show_list(with_runtime(read), _ENDPOINT_COLUMNS, as_json=as_json)


@endpoints.command("enable")
def enable_endpoint(tenant_id: TenantId, endpoint_id: _EndpointId, reason: Reason) -> None:
    """Send events to an endpoint again; its failures are reset."""
    act = _act("enable_endpoint", tenant_id, endpoint_id, reason)

    async def enable(runtime: "Runtime") -> OperatorEndpointView:
        tenant = await runtime.tenants.service.get(tenant_id)
        return operator_endpoint_view(await runtime.webhooks.endpoints.enable(tenant, endpoint_id), None)

    show(with_runtime(enable, act=act))


@endpoints.command("disable")
def disable_endpoint(tenant_id: TenantId, endpoint_id: _EndpointId, reason: Reason) -> None:
    """Send no more events to an endpoint; its deliveries become dead letters."""
    act = _act("disable_endpoint", tenant_id, endpoint_id, reason)

    async def disable(runtime: "Runtime") -> OperatorEndpointView:
        tenant = await runtime.tenants.service.get(tenant_id)
        return operator_endpoint_view(await runtime.webhooks.endpoints.disable(tenant, endpoint_id), None)

    show(with_runtime(disable, act=act))


@endpoints.command("test")
def send_test_event(tenant_id: TenantId, endpoint_id: _EndpointId, reason: Reason) -> None:
    """Send a test event and print its delivery; `deliveries show` has the outcome."""
    act = _act("send_test_event_of_tenant", tenant_id, endpoint_id, reason)

    async def test(runtime: "Runtime") -> OperatorDeliveryView:
        tenant = await runtime.tenants.service.get(tenant_id)
        return operator_delivery_view(await runtime.webhooks.endpoints.test(tenant, endpoint_id))

    show(with_runtime(test, act=act))


def _act(action: str, tenant_id: str, endpoint_id: str, reason: str) -> Command:
    why = act_reason(reason)
    return Command(action=action, role=Role.OPERATOR, target=endpoint_id, tenant_id=tenant_id, reason=why)


def _answer(attempt: dict[str, object] | None) -> object:
    return attempt and (attempt["error"] or f"{attempt['status']} {attempt['answer']}"[:60])
