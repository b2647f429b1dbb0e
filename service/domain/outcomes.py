"""Outcomes of calls to fal. ``upstream.messages`` and ``upstream.results`` translate fal's responses into them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from service.domain.failure import Failure
from service.domain.generation import LogLine, Output

# --- submit -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """fal has the job under this request id."""

    request_id: str


@dataclass(frozen=True, slots=True)
class NotSubmitted:
    """fal is proved not to have the job. The submit can be repeated."""

    reason: str
    refused: bool = False
    """True: fal refused it in a response. False: no byte was sent."""


@dataclass(frozen=True, slots=True)
class Locked:
    """fal is proved not to have the job, and refuses the account: its key or its balance."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """fal refused this request permanently."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Unknown:
    """fal may have the job. It must never be sent again."""

    reason: str


SubmitOutcome = Accepted | NotSubmitted | Locked | Rejected | Unknown


# --- status -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InQueue:
    """The job waits in fal's queue."""

    position: int | None
    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """fal works on the job."""

    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """The job has ended. The result says how."""

    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamError:
    """fal did not respond, or the response is no statement about the job. Never a reason to fail a generation."""

    reason: str
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """fal responds that it has no such request: it lost the job, or it deleted the job with its result."""


StatusOutcome = InQueue | Running | Completed | Missing | UpstreamError


# --- result -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Succeeded:
    """fal made the video. ``billable_units``: thousands of tokens; None: fal named none."""

    output: Output
    billable_units: Decimal | None


@dataclass(frozen=True, slots=True)
class Failed:
    """fal made no video, or the result is lost."""

    failure: Failure
    billable_units: Decimal | None
    presumed_billed: bool = False
    """Whether to presume a bill where fal names no units: fal bills no failures, but a lost result was a success."""


@dataclass(frozen=True, slots=True)
class Canceled:
    """fal canceled the job."""

    billable_units: Decimal | None


@dataclass(frozen=True, slots=True)
class NotReady:
    """fal responds that the job is still in progress."""


ResultOutcome = Succeeded | Failed | Canceled | NotReady | UpstreamError

# --- cancel -----------------------------------------------------------------------------------------------------------

CancelOutcome = Literal["requested", "too_late", "trouble"]
