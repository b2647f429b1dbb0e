"""What fal's answers mean to us: the vocabulary that ``messages`` translates into."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from service.domain.failure import Failure
from service.domain.generation import LogLine, Output

# --- of a submit


@dataclass(frozen=True, slots=True)
class Accepted:
    request_id: str


@dataclass(frozen=True, slots=True)
class NotSubmitted:
    """Proved not to be with fal: try again later."""

    reason: str
    refused: bool = False
    """fal answered so; else not a byte was sent."""


@dataclass(frozen=True, slots=True)
class Locked:
    """Proved not to be with fal, and nothing of this account's will be for now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """fal refused this request for good."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Unknown:
    """fal may have it. Never send it again."""

    reason: str


SubmitOutcome = Accepted | NotSubmitted | Locked | Rejected | Unknown


# --- of a look at its status


@dataclass(frozen=True, slots=True)
class InQueue:
    position: int | None
    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """Not yet success: the result says how it ended."""

    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamError:
    """The upstream could not say. Never a reason to fail a generation."""

    reason: str
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The upstream answers that it has no such request: lost, or forgotten with its result."""


StatusOutcome = InQueue | Running | Completed | Missing | UpstreamError


# --- of a look at its result


@dataclass(frozen=True, slots=True)
class Succeeded:
    output: Output
    billable_units: Decimal | None


@dataclass(frozen=True, slots=True)
class Failed:
    failure: Failure
    billable_units: Decimal | None
    presumed_billed: bool = False
    """What to believe where fal names no billable units: it bills no failures, but a lost result was a success."""


@dataclass(frozen=True, slots=True)
class Canceled:
    billable_units: Decimal | None


@dataclass(frozen=True, slots=True)
class NotReady:
    pass


ResultOutcome = Succeeded | Failed | Canceled | NotReady | UpstreamError

# --- of a wish to cancel

CancelOutcome = Literal["requested", "too_late", "trouble"]
