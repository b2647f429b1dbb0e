"""Service level objectives and the burn rates that alert: multi-window alerts as in Google's SRE workbook."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitoring.promql import or_zero, rate

_ROUTES: Final = (
    "/v1/generations(/.+/complete)?|/fal/queue/.+|/openai/v1/videos|/openrouter/api/v1/videos|/vercel/video-model/start"
)
#: Creates through the native API, and through the routes of other APIs that do not wait for the video.
CREATES: Final = f'method="POST", route=~"{_ROUTES}"'
#: And through the routes that wait for the video. Their 5xx are fal's as a rule, and do not count as failed creates.
_ACCEPTED: Final = f'method="POST", route=~"{_ROUTES}|/fal/run/.+|/vercel/video-model"'
#: Seconds, as a bucket of the histogram.
ACCEPTED_WITHIN: Final = "1.0"


@dataclass(frozen=True)
class Objective:
    """``bad`` and ``every`` are rates of events over the window ``{over}``.

    ``subject`` and ``failure`` are the words of the alerts: creates that "fail or take longer than 1 s".
    """

    name: str
    subject: str
    failure: str
    share: float
    bad: str
    every: str

    @property
    def budget(self) -> float:
        return round(1 - self.share, 6)

    def ratio(self, over: str) -> str:
        """Share of bad events, 0 without events."""
        bad, every = (text.replace("{over}", over) for text in (self.bad, self.every))
        return f"({bad}) / ({every} > 0) or on () vector(0)"


def recorded(window: str) -> str:
    """Name of the recording rule."""
    return f"slo:gateway_errors:ratio_rate{window}"


def burn(objective: Objective, window: str) -> str:
    """Burn rate: 1 spends the error budget exactly within the three days of the objective."""
    return f'{recorded(window)}{{slo="{objective.name}"}} / {objective.budget:g}'


_CALLS: Final = "gateway_http_request_seconds_count"
_ACCEPTS: Final = "gateway_accept_seconds"
_FAILED: Final = f'{CREATES}, status=~"5.."'
_SOON: Final = f'le="{ACCEPTED_WITHIN}"'

ACCEPT: Final = Objective(
    "accept",
    "creates",
    f"fail or take longer than {float(ACCEPTED_WITHIN):g} s",
    0.999,
    bad=f"({or_zero(rate(_CALLS, where=_FAILED, over='{over}'))})"
    f" + ({rate(f'{_ACCEPTS}_count', over='{over}')} - {rate(f'{_ACCEPTS}_bucket', where=_SOON, over='{over}')})",
    every=rate(_CALLS, where=_ACCEPTED, over="{over}"),
)
COMPLETION: Final = Objective(
    "completion",
    "generations",
    "end without a video",
    0.99,
    bad=rate("gateway_completions_total", where='outcome="bad"', over="{over}"),
    every=rate("gateway_completions_total", over="{over}"),
)
OBJECTIVES: Final = (ACCEPT, COMPLETION)


@dataclass(frozen=True)
class Burn:
    """Alert when both windows burn this fast. The short window ends the alert soon after the cause has ended."""

    long: str
    short: str
    factor: float
    severity: str
    exhausted_in: str
    """The time in which an error budget of three days is spent at this rate."""


BURNS: Final[Sequence[Burn]] = (
    Burn("1h", "5m", 14.4, "page", "5 hours"),
    Burn("6h", "30m", 6, "page", "12 hours"),
    Burn("3d", "6h", 1, "ticket", "3 days"),
)
WINDOWS: Final = ("5m", "30m", "1h", "6h", "3d")
