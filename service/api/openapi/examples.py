"""The examples of each schema. A guard test validates every example."""

from typing import Any, Final

from service.api import example_costs
from service.api.openapi import values as v
from service.api.openapi.operator_examples import OPERATOR_EXAMPLES

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
_VERCEL_JOB: Final = {
    "generationId": v.GENERATION_ID,
    "asyncJob": {"jobId": v.GENERATION_ID},
    "model": "bytedance/seedance-2.0/image-to-video",
    "estimatedCost": "0.708939",
}
_OPERATORS: Final = {
    **v.IN_PROGRESS,
    "tenant_id": v.TENANT_ID,
    "version": 4,
    "confirmed_at": v.SUBMITTED,
    "submits_refused": 0,
    "polls_troubled": 0,
    "erased": False,
}
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
    "OperatorsGenerationView": {"operators_generation": _OPERATORS},
    "GenerationDetailsView": {
        "generation_details": {
            **_OPERATORS,
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
    "CallbackView": {"callback_taken": {"status": "ok"}},
    "HealthView": {"alive": {"status": "ok"}},
    "ReadinessView": {
        "ready": {
            "status": "ready",
            "checks": {"redis": "ok", "eviction": "ok", "clock": "ok"},
            "dispatch": {"state": "open", "draining": False},
        }
    },
    # calls of the AI SDK
    "VercelCall": {
        "vercel_call": {
            "prompt": "The rocket takes off",
            "n": 1,
            "resolution": "1280x720",
            "duration": 5,
            "image": {"type": "url", "url": "https://v3b.fal.media/files/b/0a9e/image.jpg"},
            "providerOptions": {"gateway": {"user": "customer-7"}},
        }
    },
    "VercelStatusCall": {"vercel_status_call": {"operation": {"id": v.GENERATION_ID}}},
    "VercelStarted": {
        "vercel_started": {
            "operation": {"id": v.GENERATION_ID},
            "warnings": [],
            "providerMetadata": {"gateway": {**_VERCEL_JOB, "status": "queued", "cost": None}},
        }
    },
    "VercelStatus": {
        "vercel_pending": {
            "status": "pending",
            "providerMetadata": {"gateway": {**_VERCEL_JOB, "status": "in_progress", "cost": None}},
        },
        "vercel_completed": {
            "status": "completed",
            "videos": [
                {
                    "type": "url",
                    "url": "https://v3b.fal.media/files/b/0a9e/video.mp4",
                    "mediaType": "video/mp4",
                }
            ],
            "providerMetadata": {
                "gateway": {**_VERCEL_JOB, "status": "succeeded", "cost": "0.708939"},
                "fal": {"seed": 7, "requestId": "764cabcf-b745-4b3e-ae38-1200304cf45b"},
            },
        },
    },
    "VercelModels": {
        "vercel_models": {
            "models": [
                {
                    "id": "bytedance/seedance-2.0/image-to-video",
                    "name": "Seedance 2.0, image to video",
                    "description": "seedance-2.0, image-to-video",
                    "specification": {
                        "specificationVersion": "v4",
                        "provider": "seedance-gateway",
                        "modelId": "bytedance/seedance-2.0/image-to-video",
                    },
                    "modelType": "video",
                }
            ]
        }
    },
    # responses to fal's clients
    "FalSubmitted": {"fal_submitted": {"status": "IN_QUEUE", **v.FAL_LINKS, "queue_position": 0}},
    "FalStatus": {
        "fal_queued": {"status": "IN_QUEUE", **v.FAL_LINKS, "logs": None, "queue_position": 0},
        "fal_completed": {
            "status": "COMPLETED",
            **v.FAL_LINKS,
            "logs": None,
            "metrics": {"inference_time": 130.5},
        },
    },
    "FalOutput": {"fal_output": v.FAL_OUTPUT},
    "FalCancelled": {"fal_canceled": {"status": "CANCELLATION_REQUESTED"}},
    "FalUpload": {
        "fal_upload": {
            "upload_url": "https://gateway.example/fal/upload?ticket=…",
            "file_url": "https://v3b.fal.media/files/b/0a9e/image.png",
        }
    },
    "FalCdnToken": {
        "fal_cdn_token": {
            "token": "sgt_…",
            "token_type": "Bearer",
            "base_url": "https://gateway.example/fal/rest",
            "expires_at": "2026-01-31T09:45:00+00:00",
        }
    },
    "FalCdnFile": {"fal_cdn_file": {"access_url": "https://v3b.fal.media/files/b/0a9e/image.png"}},
    "FalNothing": {"fal_stored": {}},
    "FalKeySet": {
        "fal_keys": {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "use": "sig",
                    "alg": "EdDSA",
                    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                }
            ]
        }
    },
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
