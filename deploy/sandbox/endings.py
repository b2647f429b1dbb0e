"""Failures that a prompt can request, with the messages of real fal answers."""

from collections.abc import Container
from dataclasses import replace

from sandbox.outcome import Outcome, detail, model_error, platform_error

POLICY = model_error(
    detail(
        "content_policy_violation",
        "The images or videos provided may contain likenesses of real people",
        ("body", "image_url"),
        ctx={"extra_info": {"reason": "partner_validation_failed"}},
    )
)
POLICY_OUTPUT = model_error(
    detail(
        "content_policy_violation",
        "The generated video may be related to copyright restrictions",
        ("body", "generated_video"),
        ctx={"extra_info": {"reason": "partner_validation_failed", "cause": "copyright"}},
    )
)
INVALID_REQUEST = model_error(
    detail("invalid_request", "The parameter `content[1].image_url` is not valid: timeout while fetching", ("body",))
)
BAD_IMAGE = model_error(
    detail(
        "image_load_error",
        "Failed to load the image. Please ensure the image file is not corrupted and is in a supported format.",
        ("body", "image_url"),
    )
)
ERROR_500 = model_error(detail("internal_server_error", "Internal server error", ("body",)), code=500)
TIMEOUT = platform_error(504, "request_timeout", "Request timed out")
RUNNER_503 = platform_error(503, "runner_connection_error", "Runner connection error")


def located(ending: Outcome, fields: Container[str]) -> Outcome:
    """Return the ending of a model with these input fields: an error of the image is one of the field that it has."""
    details = ending.body["detail"]
    if "image_url" in fields or not isinstance(details, list):
        return ending
    field = next(name for name in ("image_urls", "prompt", "draft_id") if name in fields)
    moved = [{**entry, "loc": ["body", field]} if entry["loc"] == ["body", "image_url"] else entry for entry in details]
    return replace(ending, body={"detail": moved})
