"""Examples of the APIs of others: of the AI SDK, and of fal."""

from typing import Any, Final

from service.api.openapi import values as v

_VERCEL_JOB: Final = {
    "generationId": v.GENERATION_ID,
    "asyncJob": {"jobId": v.GENERATION_ID},
    "model": "bytedance/seedance-2.0/image-to-video",
    "estimatedCost": "0.708939",
}

DIALECT_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
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
