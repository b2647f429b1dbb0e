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


#: Failures that the gateway decided without a verdict from fal: fal may complete and bill the job afterwards.
GIVEN_UP: Final[frozenset[ErrorCode]] = frozenset({"upstream_timeout", "submission_unconfirmed"})

#: The request itself could not become a video; with every other code something went wrong for it.
CALLERS_FAULTS: Final[frozenset[ErrorCode]] = frozenset({"content_policy", "invalid_input", "image_unreachable"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no video. ``retryable``: the same request may succeed if sent again."""

    code: ErrorCode
    message: str
    retryable: bool = False
    detail: Any = None
    """What the upstream said, as it said it; None where the gateway itself decided."""
    upstream_status: int | None = field(default=None, compare=False)
    upstream_type: str | None = field(default=None, compare=False)
    """HTTP status and platform error type of the upstream's answer: its wording, not part of what went wrong."""
