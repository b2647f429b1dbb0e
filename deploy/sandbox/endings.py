"""Failures that a prompt can request, with the messages of real fal answers."""

from sandbox.outcome import detail, model_error, platform_error

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
