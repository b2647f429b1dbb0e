"""What remains of an end user after an erasure, and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from service.domain.erasure import Erasure

What = Literal["fal_files", "fal_history", "money", "in_flight", "block", "logs", "backups", "receivers"]
#: fal keeps requests and results in the history of its dashboard for so long.
_FAL_HISTORY: Final = timedelta(days=30)

_TEXTS: Final[dict[What, str]] = {
    "fal_files": "Uploaded files and videos at fal stay public by their URLs, as long as the settings of the account "
    "at fal say: without a setting, fal gives no end. The holder of the account deletes them there.",
    "fal_history": "Requests with their prompts, and results, in the history of fal's dashboard, under the pseudonym.",
    "money": "Sums of money, usage and the ledger, under the pseudonym.",
    "in_flight": "Generations that fal had at the time: records without their data, until they end. fal finishes them.",
    "block": "The block, under the pseudonym, until it is lifted.",
    "logs": "Logs of the gateway have the pseudonym and ids of generations, and no name, prompt or file.",
    "backups": "Backups of Redis and of the video store from before the erasure. Apply it again after a restore.",
    "receivers": "Webhooks that were delivered are with their receivers.",
}


@dataclass(frozen=True, slots=True)
class Remains:
    what: What
    detail: str
    until: datetime | None
    """When it is deleted at the latest; None: no end is known."""


def remains(erasure: Erasure, *, money_retention: timedelta) -> list[Remains]:
    """Return what an erasure leaves. It does not know what fal stored, so files at fal are always named."""
    at = erasure.finished_at or erasure.started_at
    ends: dict[What, datetime | None] = {
        "fal_files": None,
        "fal_history": at + _FAL_HISTORY,
        "money": at + money_retention,
        **({"in_flight": None} if erasure.in_flight else {}),
        **({"block": None} if erasure.is_blocked else {}),
        "logs": None,
        "backups": None,
        **({"receivers": None} if erasure.deliveries else {}),
    }
    return [Remains(what, _TEXTS[what], until) for what, until in ends.items()]
