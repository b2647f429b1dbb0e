"""The examples of each schema. A guard test validates every example."""

from typing import Any, Final

from service.api import example_costs
from service.api.openapi import values as v
from service.api.openapi.dialect_examples import DIALECT_EXAMPLES
from service.api.openapi.operator_examples import OPERATOR_EXAMPLES

_PAGE: Final = {"has_more": False, "next_cursor": None}

#: By the name of the schema: examples of it, by their own names.
_BY_SCHEMA: Final[dict[str, dict[str, Any]]] = {
    # request bodies
    "CreateGeneration": {"new_generation": v.NEW_GENERATION},
    "CompleteGeneration": {"codec": {"codec": "H265"}, "everything_else": {"metadata": {"order": "42"}}},
    "VideoInput": {"video_input": v.VIDEO_INPUT},
    "EndpointBody": {"new_endpoint": v.NEW_ENDPOINT},
    "EndpointChange": {"enable": {"enabled": True}, "filter": {"events": ["generation.failed"]}},
    "SecretRotation": {"secret_rotation": {"overlap_seconds": 86_400}},
    "ReplayBody": {"replay": {"status": "dead", "created_after": v.CREATED}},
    "NewTenant": {
        "new_tenant": {"name": "acme", "limits": {"monthly_budget_usd": "1000", "concurrent_generations": 4}}
    },
    "TenantChange": {"tenant_change": {"limits": {"requests_per_minute": 600, "monthly_budget_usd": None}}},
    "NewIssuer": {
        "kubernetes": {
            "name": "orders in the cluster eu-1",
            "issuer": "https://kubernetes.default.svc.cluster.local",
            "audience": "seedance-gateway",
            "subject": "system:serviceaccount:shop:orders",
            "jwks_url": "https://kubernetes.default.svc/openid/v1/jwks",
        },
        "spiffe": {
            "issuer": "spiffe://example.org",
            "audience": "seedance-gateway",
            "subject": "spiffe://example.org/ns/shop/sa/*",
            "jwks_url": "https://oidc.spire.example.org/keys",
            "scopes": ["read"],
        },
    },
    "NewApiKey": {"new_api_key": {"name": "orders", "scopes": ["generate", "read"]}},
    "Rotation": {"rotation": {"overlap_seconds": 3600}},
    "Reason": {"reason": {"reason": "investigating fal's errors"}},
    "ResolutionBody": {
        "adopted": {"fal_request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b", "reason": "found in fal's dashboard"},
        "never_happened": {"never_happened": True, "reason": "fal's support says so"},
    },
    "Dismissal": {"dismissal": {"before": v.SUBMITTED, "reason": "fal's edge answered 502 and took nothing"}},
    "Revival": {"revival": {"reason": "fal reported its video after the deadline"}},
    "Adjustment": {
        "adjust_generation": {
            "generation_id": v.GENERATION_ID,
            "amount_usd": "-0.30",
            "expected_usd": example_costs.SHORT,
            "operator": "jane",
            "reason": "fal credited it",
        },
        "adjust_day": {
            "tenant_id": v.TENANT_ID,
            "end_user": v.PSEUDONYM,
            "day": "2026-01-31",
            "amount_usd": "0.25",
            "expected_usd": example_costs.TWO_SHORT,
            "operator": "jane",
            "reason": "on fal's bill of January",
        },
    },
    "BulkPreviewBody": {
        "preview_cancel": {"kind": "cancel", "filter": {"tenant_id": v.TENANT_ID, "status": "queued"}},
        "preview_dismiss": {"kind": "dismiss", "filter": {"submitted_before": v.SUBMITTED}},
        "preview_replay": {"kind": "replay", "filter": {"tenant_id": v.TENANT_ID, "status": "dead"}},
    },
    "NewBulkJob": {
        "new_bulk_job": {
            "kind": "cancel",
            "filter": {"tenant_id": v.TENANT_ID, "status": "queued"},
            "reason": "the tenant floods the queue",
            "previewed_at": v.SUBMITTED,
            "expected": 1412,
            "more": True,
        }
    },
    "ActReason": {"act_reason": {"reason": "the cause is removed"}},
    "TenantReason": {"tenant_reason": {"reason": "too many complaints"}},
    "SuspensionReason": {"suspension_reason": {"reason": "unpaid invoice"}},
    "BlockReason": {"block_reason": {"reason": "abuse"}},
    "NewUsageReport": {"new_usage_report": {"start": "2025-10-01", "end": "2026-01-30"}},
    "UploadRequest": {"upload_request": {"content_type": "image/png", "file_name": "rocket.png"}},
    "FalCallback": {
        "fal_callback": {
            "request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
            "gateway_request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
            "status": "OK",
            "payload": v.FAL_OUTPUT,
        }
    },
    # responses to tenants
    "GenerationView": {"queued": v.GENERATION, "succeeded": v.SUCCEEDED, "failed": v.FAILED, "draft": v.DRAFT},
    "GenerationList": {
        "generations": {
            "object": "list",
            "data": [v.SUCCEEDED],
            "has_more": True,
            "next_cursor": v.CURSOR,
        }
    },
    "EstimateView": {"estimate": v.ESTIMATE, "estimate_of_draft": v.DRAFT_ESTIMATE},
    "OpenAIVideoRequest": {
        "video_of_image": {
            "model": v.GENERATION["model"],
            "prompt": v.GENERATION["input"]["prompt"],
            "input_reference": {"image_url": v.GENERATION["input"]["image_url"]},
            "seconds": "5",
            "size": "1280x720",
        }
    },
    "OpenAIVideo": {"video": v.OPENAI_VIDEO},
    "OpenAIVideoList": {
        "videos": {
            "object": "list",
            "data": [v.OPENAI_VIDEO],
            "has_more": False,
            "first_id": v.GENERATION_ID,
            "last_id": v.GENERATION_ID,
        }
    },
    "OpenAIDeleted": {"canceled": {"id": v.GENERATION_ID, "object": "video.deleted", "deleted": True}},
    "OpenRouterCall": {
        "family_with_first_frame": {
            "model": "bytedance/seedance-2.0",
            "prompt": v.GENERATION["input"]["prompt"],
            "duration": 5,
            "resolution": "480p",
            "frame_images": [
                {
                    "type": "image_url",
                    "image_url": {"url": v.GENERATION["input"]["image_url"]},
                    "frame_type": "first_frame",
                }
            ],
        }
    },
    "OpenRouterSubmitted": {"job_submitted": {**v.OPENROUTER_JOB, "status": "pending"}},
    "OpenRouterJob": {
        "job_completed": {
            **v.OPENROUTER_JOB,
            "status": "completed",
            "generation_id": v.GENERATION_ID,
            "unsigned_urls": [f"{v.OPENROUTER_JOB['polling_url']}/content?index=0"],
            "usage": {"cost": 0.70308, "is_byok": False},
        }
    },
    "OpenRouterModels": {
        "openrouter_models": {
            "data": [
                {
                    "id": "bytedance/seedance-2.0",
                    "canonical_slug": "bytedance/seedance-2.0",
                    "name": "Seedance 2.0",
                    "description": "Seedance 2.0: image-to-video.",
                    "created": 0,
                    "supported_resolutions": ["480p", "720p"],
                    "supported_aspect_ratios": ["16:9", "9:16"],
                    "supported_durations": [4, 5],
                    "supported_sizes": ["854x480", "480x854", "1280x720", "720x1280"],
                    "supported_frame_images": ["first_frame", "last_frame"],
                    "generate_audio": True,
                    "seed": True,
                    "pricing_skus": {"video_tokens": "0.000014", "duration_seconds_720p": "0.3034"},
                    "allowed_passthrough_parameters": ["max_cost_usd", "metadata", "priority", "expires_in"],
                    "creativity": None,
                    "upscale_factor": None,
                }
            ]
        }
    },
    "StreamTicketView": {
        "stream_ticket": {
            "object": "stream_ticket",
            "url": "https://gateway.example/v1/generations/gen_06h082rm5c1v9y3x7t2k8d6q4w/events?ticket=sgt_…",
            "ticket": "sgt_…",
            "expires_at": "2026-01-31T09:31:00.000Z",
        }
    },
    "UploadView": {
        "upload": {
            "id": "upl_06h082rm5c1v9y3x7t2k8d6q4w",
            "object": "upload",
            "url": "https://v3b.fal.media/files/b/0a9e/image.jpg",
            "content_type": "image/jpeg",
            "size": 204_800,
            "width": 1280,
            "height": 720,
        }
    },
    "MeView": {"me": v.ME},
    "ModelList": {"models": {"object": "list", "data": [v.MODEL], **_PAGE}},
    "ModelDetailView": {"model": {**v.MODEL, "input_schema": v.INPUT_SCHEMA}},
    "EndUserView": {"end_user": v.END_USER},
    "EndUserList": {"end_users": {"object": "list", "data": [v.END_USER], **_PAGE}},
    "ErasedView": {
        "erasure": {
            "object": "erasure",
            "end_user_id": "customer-7",
            "state": "done",
            "generations": 3,
            "in_flight": 0,
            "remaining": 0,
            "deliveries": 24,
            "videos": 9,
            "remains": [
                {
                    "what": "money",
                    "detail": "Sums of money, usage and the ledger, under the pseudonym.",
                    "until": "2027-03-07T09:32:14.512Z",
                }
            ],
            "started_at": "2026-01-31T09:30:00.000Z",
            "finished_at": "2026-01-31T09:30:00.120Z",
        }
    },
    "UsageView": {"usage": v.USAGE},
    "AccountUsageView": {"account_usage": v.ACCOUNT_USAGE},
    "BudgetList": {"budgets": {"object": "list", "data": [v.BUDGET_USE]}},
    "UsageEndUserList": {"usage_end_users": {"object": "list", "data": v.USAGE["end_users"], **_PAGE}},
    "UsageReportView": {"usage_report": v.USAGE_REPORT},
    "EndpointView": {"endpoint": v.ENDPOINT},
    "NewEndpointView": {"created_endpoint": {**v.ENDPOINT, "secret": v.SECRET, "public_key": None}},
    "EndpointList": {"endpoints": {"object": "list", "data": [v.ENDPOINT]}},
    "SecretsView": {
        "secrets": {"object": "webhook_secret", "secret": v.SECRET, "public_key": None, "keys": [v.SIGNING_KEY]}
    },
    "PublicKeysView": {
        "public_keys": {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "use": "sig",
                    "kid": "11qYAYKxCrfVS_7T",
                    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                }
            ],
            "public_keys": ["whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
        }
    },
    "DeliveryView": {"delivery": v.DELIVERY},
    "DeliveryDetailView": {"delivery_detail": v.DELIVERY_DETAIL},
    "DeliveryList": {"deliveries": {"object": "list", "data": [v.DELIVERY], **_PAGE}},
    "ReplayView": {"replayed": {"object": "replay", "replayed": 12, "skipped": 1, **_PAGE}},
    # responses to operators
    **OPERATOR_EXAMPLES,
    "CallbackView": {"callback_taken": {"status": "ok"}},
    "HealthView": {"alive": {"status": "ok"}},
    "ReadinessView": {
        "ready": {
            "status": "ready",
            "checks": {"redis": "ok", "eviction": "ok", "clock": "ok"},
            "dispatch": {"state": "open", "draining": False},
        }
    },
    **DIALECT_EXAMPLES,
}

COMPONENTS: Final[dict[str, Any]] = {
    name: {"value": value} for group in _BY_SCHEMA.values() for name, value in group.items()
}


def attach(operation: dict[str, Any]) -> None:
    """Refer to the examples of the schemas of the body and the responses."""
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in (content for body in bodies for content in body.get("content", {}).values()):
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if (known := _BY_SCHEMA.get(name)) and "examples" not in content:
            content["examples"] = {each: {"$ref": f"#/components/examples/{each}"} for each in known}
