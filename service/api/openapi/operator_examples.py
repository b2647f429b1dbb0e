"""Examples of what operators read about webhooks."""

from typing import Any, Final

from service.api.openapi import values as v

_FAILED: Final = {**v.ATTEMPT, "status": 500, "answer": "database is down"}
_DEAD: Final = {**v.DELIVERY, "status": "dead", "attempt_count": 8, "last_attempt": _FAILED, "tenant_id": v.TENANT_ID}
_ENDPOINT: Final = {
    **v.ENDPOINT,
    "failing": {"since": v.CREATED, "attempts": 12, "percent": 0},
    "tenant_id": v.TENANT_ID,
}
_RECEIVER: Final = {
    "object": "failing_receiver",
    "tenant_id": v.TENANT_ID,
    "tenant_name": "orders",
    "endpoint_id": v.ENDPOINT_ID,
    "enabled": True,
    "url": v.HOOK,
    "since": v.CREATED,
    "last_failure_at": v.FINISHED,
    "attempts": 12,
    "pending": 3,
    "last_attempt": _FAILED,
}
#: By schema, then by name.
OPERATOR_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "OperatorDeliveryView": {"operator_delivery": _DEAD},
    "OperatorDeliveryDetailView": {"operator_delivery_detail": {**_DEAD, "attempts": [_FAILED]}},
    "OperatorDeliveryList": {
        "operator_deliveries": {"object": "list", "data": [_DEAD], "has_more": False, "next_cursor": None}
    },
    "OperatorEndpointView": {"operator_endpoint": _ENDPOINT},
    "OperatorEndpointList": {"operator_endpoints": {"object": "list", "data": [_ENDPOINT]}},
    "FailingReceiverList": {"failing_receivers": {"object": "list", "data": [_RECEIVER], "count": 1}},
}
