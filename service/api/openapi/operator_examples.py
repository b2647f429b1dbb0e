"""Examples of what operators read."""

from typing import Any, Final

from service.api import example_costs
from service.api.openapi import values as v

_PAGE: Final = {"has_more": False, "next_cursor": None}
_BULK_JOB: Final = {
    "id": "blk_06h082scz25ryjeftj3rgxs6f8",
    "object": "bulk_job",
    "kind": "cancel",
    "filter": {"tenant_id": v.TENANT_ID, "status": "queued"},
    "state": "running",
    "stopping": False,
    "reason": "the tenant floods the queue",
    "actor": "Ada",
    "previewed_at": v.SUBMITTED,
    "matched": 1412,
    "done": 850,
    "skipped": 0,
    "failed": 0,
    "note": None,
    "started_at": v.SUBMITTED,
    "finished_at": None,
}
_GENERATION: Final = {
    **v.IN_PROGRESS,
    "tenant_id": v.TENANT_ID,
    "version": 4,
    "confirmed_at": v.SUBMITTED,
    "submits_refused": 0,
    "polls_troubled": 0,
    "erased": False,
}
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
    "TenantView": {"tenant": v.TENANT},
    "TenantList": {"tenants": {"object": "list", "data": [v.TENANT], **_PAGE}},
    "ApiKeyView": {"api_key": v.API_KEY},
    "IssuerView": {"trusted_issuer": v.ISSUER},
    "IssuerList": {"trusted_issuers": {"object": "list", "data": [v.ISSUER]}},
    "ApiKeyList": {"api_keys": {"object": "list", "data": [v.API_KEY]}},
    "TraceView": {
        "trace": {
            "object": "end_user_trace",
            "tenant_id": v.TENANT_ID,
            "pseudonym": v.PSEUDONYM,
            "end_user_id": "customer-7",
            "refusals": 0,
            "blocked_at": None,
            "block_reason": None,
        }
    },
    "DispatchView": {
        "dispatch_paused": {
            "object": "dispatch",
            "state": "paused",
            "reason": "investigating fal's errors",
            "since": v.CREATED,
            "retry_at": None,
            "draining": False,
            "drain_reason": None,
            "paused_tenants": 0,
            "held_tenants": 0,
            "failed_generations": 0,
            "failed_tenants": 0,
            "submits_at_once": 10,
        }
    },
    "OperatorsGenerationView": {"operators_generation": _GENERATION},
    "GenerationDetailsView": {
        "generation_details": {
            **_GENERATION,
            "tenant_name": "acme",
            "end_user": v.PSEUDONYM,
            "held": example_costs.SHORT,
            "timeline": [{"at": v.CREATED, "event": "created"}, {"at": v.SUBMITTED, "event": "submit_began"}],
            "ledger": [
                {"at": v.CREATED, "kind": "hold", "held": example_costs.SHORT, "spent": "0.000000", "reason": None}
            ],
            "deliveries": [],
        }
    },
    "GenerationRows": {
        "generation_rows": {
            "object": "list",
            "data": [
                {
                    "id": v.GENERATION_ID,
                    "object": "generation_summary",
                    "tenant_id": v.TENANT_ID,
                    "tenant_name": "acme",
                    "end_user": v.PSEUDONYM,
                    "status": "submitted",
                    "error_code": None,
                    "model": v.GENERATION["model"],
                    "created_at": v.CREATED,
                    "submitted_at": v.SUBMITTED,
                    "started_at": None,
                    "finished_at": None,
                    "cancel_requested_at": None,
                    "held": example_costs.SHORT,
                    "settled": None,
                    "fal_request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
                    "attempts": 1,
                }
            ],
            **_PAGE,
        }
    },
    "BulkPreviewView": {
        "bulk_preview": {
            "object": "bulk_preview",
            "kind": "cancel",
            "previewed_at": v.SUBMITTED,
            "matched": 1412,
            "more": True,
            "counted": 1000,
            "oldest": v.CREATED,
            "newest": v.SUBMITTED,
            "currency": "USD",
            "released": "4576.975000",
            "billable": "0.000000",
            "tenants": [{"id": v.TENANT_ID, "items": 1000}],
            "tenant_count": 1,
            "endpoints": [],
            "end_user_count": 3,
        }
    },
    "BulkJobView": {"bulk_job": _BULK_JOB},
    "BulkJobList": {"bulk_jobs": {"object": "list", "data": [_BULK_JOB], "has_more": False, "next_cursor": None}},
    "AdjustmentView": {
        "adjustment": {
            "object": "adjustment",
            "generation_id": v.GENERATION_ID,
            "tenant_id": v.TENANT_ID,
            "end_user": v.PSEUDONYM,
            "day": "2026-01-31",
            "currency": "USD",
            "amount": "-0.300000",
            "cost": example_costs.CREDITED,
        }
    },
    "UnconfirmedList": {
        "unconfirmed": {
            "object": "list",
            "data": [
                {
                    "id": v.GENERATION_ID,
                    "object": "unconfirmed",
                    "tenant_id": v.TENANT_ID,
                    "since": v.SUBMITTED,
                    "deadline": "2026-02-01T09:30:00.210Z",
                    "estimated_cost": example_costs.SHORT,
                    "cancel_requested_at": None,
                }
            ],
            "count": 1,
        }
    },
    "DismissedView": {"dismissed": {"object": "dismissed", "dismissed": 12, "left": 0}},
    "PaidAndLostList": {
        "paid_and_lost": {
            "object": "list",
            "data": [
                {
                    "id": v.GENERATION_ID,
                    "object": "paid_and_lost",
                    "tenant_id": v.TENANT_ID,
                    "since": v.SUBMITTED,
                    "code": "upstream_timeout",
                    "actual_cost": example_costs.SHORT,
                }
            ],
            "count": 1,
        }
    },
    "AuditView": {
        "audit": {
            "object": "audit",
            "state": "done",
            "progress": None,
            "started_at": "2026-01-31T09:30:00.000Z",
            "finished_at": "2026-01-31T09:30:01.200Z",
            "clean": True,
            "windows": 12,
            "entries": 340,
            "slots": 2,
            "difference_count": 0,
            "differences": [],
        }
    },
}
