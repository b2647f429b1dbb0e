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
_OPERATOR_ID: Final = "opr_06h082scz25r9m3k7v1x4q8w2t"
_OPERATOR: Final = {
    "id": _OPERATOR_ID,
    "object": "operator",
    "name": "Ada",
    "role": "admin",
    "disabled_at": None,
    "version": 1,
    "created_at": v.CREATED,
}
_TOKEN: Final = {
    "id": "06h082scz25r",
    "object": "operator_token",
    "operator_id": _OPERATOR_ID,
    "name": "laptop",
    "token": None,
    "created_at": v.CREATED,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": None,
}
_ENTRY: Final = {
    "object": "trail_entry",
    "number": 4711,
    "at": v.CREATED,
    "recorded_at": v.CREATED,
    "actor": {
        "kind": "operator",
        "id": _OPERATOR_ID,
        "name": "Ada",
        "role": "admin",
        "token_id": None,
        "address": None,
    },
    "action": "suspend_tenant",
    "target": v.TENANT_ID,
    "tenant_id": v.TENANT_ID,
    "outcome": "done",
    "error": None,
    "reason": "A loop creates generations.",
    "changes": {"suspended": [False, True]},
    "facts": {},
    "request_id": None,
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
#: By schema, then by name.
OPERATOR_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "NewOperator": {"new_operator": {"name": "Ada", "role": "operator"}},
    "OperatorChange": {"new_role": {"role": "admin"}},
    "NewOperatorToken": {"new_operator_token": {"name": "laptop", "expires_at": v.FINISHED}},
    "OperatorView": {"operator": _OPERATOR},
    "OperatorList": {"operators": {"object": "list", "data": [_OPERATOR], "has_more": False, "next_cursor": None}},
    "OperatorTokenView": {"operator_token": _TOKEN},
    "OperatorTokenList": {"operator_tokens": {"object": "list", "data": [_TOKEN]}},
    "OperatorSelfView": {
        "operator_self": {
            "object": "me",
            "kind": "operator",
            "id": _OPERATOR_ID,
            "name": "Ada",
            "role": "admin",
            "token_id": "06h082scz25r",
            "token_expires_at": None,
        }
    },
    "TrailList": {"trail": {"object": "list", "data": [_ENTRY], "has_more": False, "next_cursor": None}},
    "OperatorDeliveryView": {"operator_delivery": _DEAD},
    "OperatorDeliveryDetailView": {"operator_delivery_detail": {**_DEAD, "attempts": [_FAILED]}},
    "OperatorDeliveryList": {
        "operator_deliveries": {"object": "list", "data": [_DEAD], "has_more": False, "next_cursor": None}
    },
    "OperatorEndpointView": {"operator_endpoint": _ENDPOINT},
    "OperatorEndpointList": {"operator_endpoints": {"object": "list", "data": [_ENDPOINT]}},
    "FailingReceiverList": {"failing_receivers": {"object": "list", "data": [_RECEIVER], "count": 1}},
}
