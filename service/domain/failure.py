"""Why a generation failed: the error code that its caller sees, and what fal said."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

ErrorCode = Literal[
    "content_policy",
    "invalid_input",
    "image_unreachable",
    "upstream_rejected",
    "upstream_timeout",
    "upstream_unavailable",
    "submission_unconfirmed",
    "expired",
    "internal",
]

#: Failures that the gateway decided without a result from fal: fal may complete and bill the job afterwards.
GIVEN_UP: Final[frozenset[ErrorCode]] = frozenset({"upstream_timeout", "submission_unconfirmed"})

#: The caller's input caused the failure. They do not count against the service objective.
CALLERS_FAULTS: Final[frozenset[ErrorCode]] = frozenset({"content_policy", "invalid_input", "image_unreachable"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no video. ``retryable``: the same request may succeed as a new generation."""

    code: ErrorCode
    message: str
    retryable: bool = False
    detail: Any = None
    """fal's error detail, unchanged; None where the gateway decided."""
    upstream_status: int | None = field(default=None, compare=False)
    upstream_type: str | None = field(default=None, compare=False)
    """HTTP status and platform error type of fal's response. They are not part of the failure, so not compared."""
