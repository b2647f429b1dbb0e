"""Example values of the OpenAPI document. All describe one generation of the tenant acme for its customer-7.

The request works as it is, also against ``seedance-gateway up``: its image is a data URI of 154 bytes.
"""

from typing import Any, Final

from service.api import example_costs
from service.api.admin.issuer_schemas import IssuerView
from service.api.admin.key_schemas import ApiKeyView
from service.api.admin.limits_schemas import LimitsView
from service.api.admin.tenant_schemas import TenantView
from service.api.admin.usage_views import AccountUsageView, BudgetView
from service.api.dialects.openai.view import OpenAIVideo
from service.api.end_user_views import EndUserView
from service.api.schemas import EstimateView
from service.api.v1.delivery_schemas import AttemptView, DeliveryDetailView, DeliveryView
from service.api.v1.me_schemas import MeView
from service.api.v1.models import ModelView
from service.api.v1.usage_schemas import FiguresView, UsageReportView, UsageView, figures_view
from service.api.v1.webhook_endpoint_schemas import SigningKeyView
from service.domain.figures import NOTHING
from service.domain.generation_view import GenerationView, VideoView
from service.domain.status import PublicStatus
from service.domain.webhook import ENDS, DeliveryStatus
from service.domain.webhook_endpoint_view import EndpointView

GENERATION_ID: Final = "gen_06h082scz25ryjeftj3rgxs6f8"
TENANT_ID: Final = "ten_06h082q4e8x4s0m6y0m5z3g2vc"
ENDPOINT_ID: Final = "whe_06h082r9ck2dq6mqp1x9b4w7z8"
DELIVERY_ID: Final = "msg_06h082tbvq7f3g8n5c1d2e9k40"
CURSOR: Final = "Z2VuXzA2aDA4MnNjejI1cnlqZWZ0ajNyZ3hzNmY4"
PSEUDONYM: Final = "eu_7d0c5c4f3b2a19080706050403020100"
CREATED: Final = "2026-01-31T09:30:00.000Z"
SUBMITTED: Final = "2026-01-31T09:30:00.210Z"
FINISHED: Final = "2026-01-31T09:32:14.512Z"
#: 640 x 360 pixels: sky and ground.
PICTURE: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAoAAAAFoAQMAAAD9/NgSAAAABlBMVEVuquZaeEZHaPILAAAAT0lEQVR42u3MMQEA"
    "AAwCIPuX3kroBwFIAAAAAAAAAAAAAAAAAAAAAAAAgJkrEwqFQqFQKBQKhUKhUCgUCoVCoVAoFAqFQqFQKBQKhULh"
    "NHwXXFysUmjWYgAAAABJRU5ErkJggg=="
)
IMAGE: Final = "https://v3b.fal.media/files/b/0a9e/image.png"
HOOK: Final = "https://acme.example/hooks/video"
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  (the one in Standard Webhooks' own documents)

_VIDEO: Final[VideoView] = {
    "url": "https://v3b.fal.media/files/b/0a9e/video.mp4",
    "content_type": "video/mp4",
    "file_name": "video.mp4",
    "file_size": 3415926,
}
VIDEO_INPUT: Final[dict[str, Any]] = {
    "prompt": "Clouds drift across the sky.",
    "image_url": PICTURE,
    "resolution": "480p",
    "duration": "5",
}
NEW_GENERATION: Final[dict[str, Any]] = {
    **VIDEO_INPUT,
    "end_user_id": "customer-7",
    "metadata": {"order": "4711"},
    "max_cost_usd": "1.00",
}
GENERATION: Final[GenerationView] = {
    "id": GENERATION_ID,
    "object": "generation",
    "status": PublicStatus.QUEUED,
    "model": "bytedance/seedance-2.0/image-to-video",
    "input": {
        **VIDEO_INPUT,
        "image_url": IMAGE,
        "aspect_ratio": "auto",
        "generate_audio": True,
    },
    "end_user_id": "customer-7",
    "metadata": {"order": "4711"},
    "webhook_url": None,
    "priority": 0,
    "queue": {"position": 0, "estimated_start_seconds": 0.5, "hold_reason": None},
    "cost": {"currency": "USD", "estimated": example_costs.SHORT, "actual": None},
    "draft": None,
    "completes": None,
    "output": None,
    "error": None,
    "logs": [],
    "fal_request_id": None,
    "created_at": CREATED,
    "submitted_at": None,
    "started_at": None,
    "finished_at": None,
    "cancel_requested_at": None,
    "expires_at": "2026-01-31T10:30:00.000Z",
}
OPENAI_VIDEO: Final[OpenAIVideo] = {
    "id": GENERATION_ID,
    "object": "video",
    "model": GENERATION["model"],
    "status": "queued",
    "progress": 0,
    "created_at": 1_769_851_800,
    "completed_at": None,
    "expires_at": None,
    "seconds": "5",
    "size": "1280x720",
    "prompt": GENERATION["input"]["prompt"],
    "error": None,
    "remixed_from_video_id": None,
    "cost": {"currency": "USD", "estimated": example_costs.SHORT, "actual": None},
}
OPENROUTER_JOB: Final = {
    "id": GENERATION_ID,
    "polling_url": f"https://gateway.example/openrouter/api/v1/videos/{GENERATION_ID}",
}
IN_PROGRESS: Final[GenerationView] = {
    **GENERATION,
    "status": PublicStatus.IN_PROGRESS,
    "queue": None,
    "fal_request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
    "submitted_at": SUBMITTED,
    "started_at": "2026-01-31T09:30:04.000Z",
}
SUCCEEDED: Final[GenerationView] = {
    **IN_PROGRESS,
    "status": PublicStatus.SUCCEEDED,
    "cost": {"currency": "USD", "estimated": example_costs.SHORT, "actual": example_costs.SHORT},
    "output": {
        "video": _VIDEO,
        "seed": 1234567,
    },
    "logs": [{"message": "step 1", "level": "INFO", "timestamp": "2026-01-31T09:30:05.000Z"}],
    "finished_at": FINISHED,
}
DRAFT: Final[GenerationView] = {
    **SUCCEEDED,
    "model": "bytedance/seedance-2.5/image-to-video",
    "input": {**SUCCEEDED["input"], "codec": "auto", "draft": True},
    "cost": {"currency": "USD", "estimated": "1.102500", "actual": "1.083582"},
    "draft": {"completable_until": "2026-02-07T09:31:02.000Z"},
}
FAILED: Final[GenerationView] = {
    **IN_PROGRESS,
    "status": PublicStatus.FAILED,
    "cost": {"currency": "USD", "estimated": example_costs.SHORT, "actual": "0.000000"},
    "error": {
        "code": "content_policy",
        "message": "The picture may show a real person.",
        "retryable": False,
        "detail": None,
    },
    "finished_at": FINISHED,
}
CANCELED: Final[GenerationView] = {
    **GENERATION,
    "status": PublicStatus.CANCELED,
    "queue": None,
    "cost": {"currency": "USD", "estimated": example_costs.SHORT, "actual": "0.000000"},
    "finished_at": FINISHED,
}
MODEL: Final[ModelView] = {
    "id": "bytedance/seedance-2.0/image-to-video",
    "object": "model",
    "title": "Seedance 2.0, image to video",
    "family": "seedance-2.0",
    "kind": "image-to-video",
    "default": True,
    "legacy": False,
    "aliases": [],
    "resolutions": ["480p", "720p"],
    "durations": ["auto", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"],
    "longest_seconds": 15,
    "prices": [
        {
            "resolution": "480p",
            "unit_usd": "0.014",
            "unit_tokens": 1000,
            "second_usd": None,
            "held_second_usd": "0.142081",
        },
        {
            "resolution": "720p",
            "unit_usd": "0.014",
            "unit_tokens": 1000,
            "second_usd": "0.3034",
            "held_second_usd": "0.307476",
        },
    ],
}
#: A part of the schema.
INPUT_SCHEMA: Final = {
    "type": "object",
    "properties": {"generate_audio": {"type": "boolean", "default": True}},
    "required": ["prompt", "image_url"],
    "additionalProperties": False,
}
ENDPOINT: Final[EndpointView] = {
    "id": ENDPOINT_ID,
    "object": "webhook_endpoint",
    "url": HOOK,
    "description": "orders",
    "events": list(ENDS),
    "headers": ["x-team"],
    "ed25519": False,
    "enabled": True,
    "disabled": None,
    "failing": None,
    "created_at": CREATED,
}
NEW_ENDPOINT: Final[dict[str, Any]] = {"url": HOOK, "description": "orders", "headers": {"x-team": "video"}}
SIGNING_KEY: Final[SigningKeyView] = {"secret": SECRET, "public_key": None, "expires_at": None}
ATTEMPT: Final[AttemptView] = {
    "at": FINISHED,
    "latency_ms": 38,
    "status": 204,
    "error": None,
    "answer": "",
}
DELIVERY: Final[DeliveryView] = {
    "id": DELIVERY_ID,
    "object": "delivery",
    "event": "generation.succeeded",
    "status": DeliveryStatus.DELIVERED,
    "endpoint_id": ENDPOINT_ID,
    "generation_id": GENERATION_ID,
    "url": HOOK,
    "attempt_count": 1,
    "next_attempt_at": None,
    "created_at": FINISHED,
    "last_attempt": ATTEMPT,
}
DELIVERY_DETAIL: Final[DeliveryDetailView] = {
    **DELIVERY,
    "body": '{"type":"generation.succeeded","timestamp":"2026-01-31T09:32:14.512Z","data":{}}',
    "attempts": [ATTEMPT],
}
LIMITS: Final[LimitsView] = {
    "requests_per_minute": 600,
    "burst": None,
    "queued_generations": 1000,
    "daily_generations": 10_000,
    "daily_new_end_users": 1000,
    "stored_deliveries": 100_000,
    "undelivered_tests": 20,
    "webhook_endpoints": 20,
    "concurrent_generations": 4,
    "weight": 1,
    "models": None,
    "references": None,
    "resolutions": ["480p", "720p"],
    "durations": None,
    "monthly_budget_usd": "1000.000000",
    "end_user_daily_budget_usd": None,
    "end_user_daily_count": 20,
    "retention_seconds": None,
    "webhook_url": HOOK,
}
TENANT: Final[TenantView] = {
    "id": TENANT_ID,
    "object": "tenant",
    "name": "acme",
    "suspended": False,
    "suspension": None,
    "paused": None,
    "require_end_user": True,
    "limits": LIMITS,
    "month": {"held": example_costs.SHORT, "spent": "42.000000", "over": False},
    "version": 3,
    "created_at": CREATED,
    "webhook_secret": None,
}
API_KEY: Final[ApiKeyView] = {
    "id": "06h082scz25r",
    "object": "api_key",
    "tenant_id": TENANT_ID,
    "name": "orders",
    "scopes": ["generate", "read"],
    "key": None,
    "created_at": CREATED,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2026-01-31T09:30:00Z",
}
ISSUER: Final[IssuerView] = {
    "id": "iss_01jk0qcz5m3t8v2x4n6p8r0s2t",
    "object": "trusted_issuer",
    "tenant_id": TENANT_ID,
    "name": "orders in the cluster eu-1",
    "issuer": "https://kubernetes.default.svc.cluster.local",
    "audience": "seedance-gateway",
    "subject": "system:serviceaccount:shop:orders",
    "claims": {"/kubernetes.io/namespace": "shop"},
    "jwks_url": "https://kubernetes.default.svc/openid/v1/jwks",
    "jwks": None,
    "scopes": ["generate", "read"],
    "created_at": CREATED,
    "last_used_at": "2026-01-31T09:30:00Z",
}
ME: Final[MeView] = {
    "object": "me",
    "tenant": {
        "id": TENANT_ID,
        "name": "acme",
        "require_end_user": True,
        "suspended": False,
        "suspension": None,
        "paused": None,
    },
    "api_key": {
        "id": "06h082scz25r",
        "name": "orders",
        "scopes": ["generate", "read"],
        "created_at": CREATED,
        "expires_at": None,
    },
    "identity": None,
    "limits": LIMITS,
    "rate": {"requests_per_minute": 600, "burst": 60, "left": 59},
    "month": {
        "limit": "1000.000000",
        "spent": "42.000000",
        "held": example_costs.SHORT,
        "left": example_costs.MONTH_LEFT,
        "resets_at": "2026-02-01T00:00:00.000Z",
    },
    "today": {
        "created": 3,
        "new_end_users": 1,
        "spent": example_costs.TWO_SHORT,
        "resets_at": "2026-02-01T00:00:00.000Z",
    },
    "counts": {"queued": 1, "in_flight": 0, "stored_deliveries": 12},
    "dispatch": {"held": False, "hold_reason": None, "detail": None},
}
END_USER: Final[EndUserView] = {
    "id": "customer-7",
    "object": "end_user",
    "pseudonym": PSEUDONYM,
    "refusals": 0,
    "blocked_at": None,
    "block_reason": None,
    "today": {"held": example_costs.SHORT, "spent": example_costs.TWO_SHORT, "count": 3},
    "spent_this_month": example_costs.TWO_SHORT,
    "generations": 3,
    "last_seen_at": FINISHED,
}
ESTIMATE: Final[EstimateView] = {
    "object": "estimate",
    "model": GENERATION["model"],
    "currency": "USD",
    "estimated": example_costs.SHORT,
    "fits": True,
    "parts": {
        "seconds": 5,
        "input_seconds": None,
        "unit_usd": "0.014",
        "factor": "1",
        "formula": example_costs.SHORT,
        "published": None,
        "decided_by": "formula",
    },
    "draft": None,
}
DRAFT_ESTIMATE: Final[EstimateView] = {
    "object": "estimate",
    "model": "bytedance/seedance-2.5/text-to-video",
    "currency": "USD",
    "estimated": "1.102500",
    "fits": True,
    "parts": {
        "seconds": 5,
        "input_seconds": None,
        "unit_usd": "0.0214",
        "factor": "1",
        "formula": "1.083582",
        "published": "1.102500",
        "decided_by": "published",
    },
    "draft": {"completion": "5.820000", "total": "6.922500", "total_fits": True, "direct": "5.820000"},
}
_FIGURES: Final[FiguresView] = {
    "created": 3,
    "succeeded": 2,
    "failed": 0,
    "canceled": 0,
    "refused": 0,
    "spent": example_costs.TWO_SHORT,
    "held": "1.102500",
}
_NO_FIGURES: Final = figures_view(NOTHING)
USAGE: Final[UsageView] = {
    "object": "usage",
    "currency": "USD",
    "start": "2026-01-31",
    "end": "2026-01-31",
    "spent": example_costs.TWO_SHORT,
    "drafts": {"direct": "0.000000", "spent": "0.000000", "saved": "0.000000"},
    "days": [
        {
            "date": "2026-01-31",
            "created": 3,
            "spent": example_costs.TWO_SHORT,
            "outcomes": {"succeeded": 2},
            "refusals": {},
        }
    ],
    "end_users": [{"end_user_id": "customer-7", "pseudonym": PSEUDONYM, "spent": example_costs.TWO_SHORT}],
}
ACCOUNT_USAGE: Final[AccountUsageView] = {
    "object": "usage",
    "currency": "USD",
    "by": "model",
    "start": "2026-01-01",
    "end": "2026-01-31",
    "tenant_id": None,
    "total": {**_FIGURES, "refused": 4},
    "data": [
        {**_FIGURES, "model": "bytedance/seedance-2.0/image-to-video"},  # type: ignore[typeddict-item]
        {**_NO_FIGURES, "model": None, "refused": 4},  # type: ignore[typeddict-item]
    ],
    "has_more": False,
    "next_cursor": None,
    "incomplete": False,
}
BUDGET_USE: Final[BudgetView] = {
    "tenant_id": TENANT_ID,
    "tenant_name": "shop",
    "monthly_budget_usd": "500.000000",
    "spent": "430.250000",
    "held": "9.154532",
    "share": 0.8788,
}
USAGE_REPORT: Final[UsageReportView] = {
    "id": "usr_06h082rm5c1v9y3x7t2k8d6q4w",
    "object": "usage_report",
    "state": "running",
    "start": "2025-10-01",
    "end": "2026-01-30",
    "days": 122,
    "days_done": 40,
    "end_users": 1200,
    "created_at": "2026-01-31T09:30:00.000Z",
    "finished_at": None,
}
FAL_URL: Final = f"https://gateway.example/fal/queue/bytedance/seedance-2.0/requests/{GENERATION_ID}"
FAL_LINKS: Final = {
    "request_id": GENERATION_ID,
    "response_url": FAL_URL,
    "status_url": f"{FAL_URL}/status",
    "cancel_url": f"{FAL_URL}/cancel",
}
FAL_OUTPUT: Final[dict[str, Any]] = {"video": _VIDEO, "seed": 1234567}
