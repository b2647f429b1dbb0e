"""What is promised, and how fast its error budget may burn: multi-window alerts as in Google's SRE workbook."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitoring.promql import or_zero, rate

#: Both surfaces: ours, and the one for fal's own clients.
CREATES: Final = 'method="POST", route=~"/v1/generations|/fal/queue/.+"'
#: With calls that wait for the video. Their 5xx are fal's own as a rule, and no word on whether they were accepted.
_ACCEPTED: Final = 'method="POST", route=~"/v1/generations|/fal/queue/.+|/fal/run/.+"'
#: Seconds; one of the histogram's own buckets.
ACCEPTED_WITHIN: Final = "1.0"


@dataclass(frozen=True)
class Objective:
    """``bad`` and ``every`` are rates of events over a window, for which ``{over}`` stands."""

    name: str
    share: float
    bad: str
    every: str

    @property
    def budget(self) -> float:
        return round(1 - self.share, 6)

    def ratio(self, over: str) -> str:
        """Bad events among all; 0 without any."""
        bad, every = (text.replace("{over}", over) for text in (self.bad, self.every))
        return f"({bad}) / ({every} > 0) or on () vector(0)"


def recorded(window: str) -> str:
    """The recording rule's name."""
    return f"slo:gateway_errors:ratio_rate{window}"


def burn(objective: Objective, window: str) -> str:
    """1: the budget lasts exactly as long as it is for."""
    return f'{recorded(window)}{{slo="{objective.name}"}} / {objective.budget:g}'


_CALLS: Final = "gateway_http_request_seconds_count"
_ACCEPTS: Final = "gateway_accept_seconds"
_FAILED: Final = f'{CREATES}, status=~"5.."'
_SOON: Final = f'le="{ACCEPTED_WITHIN}"'

ACCEPT: Final = Objective(
    "accept",
    0.999,
    bad=f"({or_zero(rate(_CALLS, where=_FAILED, over='{over}'))})"
    f" + ({rate(f'{_ACCEPTS}_count', over='{over}')} - {rate(f'{_ACCEPTS}_bucket', where=_SOON, over='{over}')})",
    every=rate(_CALLS, where=_ACCEPTED, over="{over}"),
)
COMPLETION: Final = Objective(
    "completion",
    0.99,
    bad=rate("gateway_completions_total", where='outcome="bad"', over="{over}"),
    every=rate("gateway_completions_total", over="{over}"),
)
OBJECTIVES: Final = (ACCEPT, COMPLETION)


@dataclass(frozen=True)
class Burn:
    """Alert when both windows burn so fast; the short one ends it soon after the trouble."""

    long: str
    short: str
    factor: float
    severity: str


BURNS: Final[Sequence[Burn]] = (
    Burn("1h", "5m", 14.4, "page"),
    Burn("6h", "30m", 6, "page"),
    Burn("3d", "6h", 1, "ticket"),
)
WINDOWS: Final = ("5m", "30m", "1h", "6h", "3d")
