"""The page of the statuses of a generation, with a picture of all transitions."""

from typing import Final

from reference import markdown
from service.domain.status import HOLDS_SLOT, TERMINAL, TRANSITIONS, Status

_S: Final = Status
_INTRODUCTION: Final = """\
# States of a generation

The record in Redis is the truth. Each transition is a compare-and-set on the version of the record. The same Lua script
writes what follows from the transition: a due time, a slot, a webhook."""
_NOTES: Final = """\
An unconfirmed generation releases its slot after `GATEWAY_UNCONFIRMED_SLOT`. `copying` is internal: the API, webhooks,
event streams and metrics show it as `in_progress`."""
#: What each status means, and who acts next.
_MEANINGS: Final[dict[Status, str]] = {
    _S.QUEUED: "Accepted. It waits in the queue of its tenant. Nothing has been sent to fal.",
    _S.SUBMITTING: "The intent is written; the paid request is under way.",
    _S.UNCONFIRMED: "fal may have accepted the request, and its fal request id is unknown. It is never sent again.",
    _S.SUBMITTED: "fal has accepted the job, which waits in fal's queue.",
    _S.IN_PROGRESS: "fal works on the job.",
    _S.COPYING: "Internal: fal has finished, and the gateway copies the video. Callers see `in_progress`.",
    _S.SUCCEEDED: "The video is available.",
    _S.FAILED: "There is no video; `error` has the reason.",
    _S.CANCELED: "Canceled by the caller, before or after its submit.",
}
_CAUSES: Final[dict[tuple[Status, Status], str]] = {
    (_S.QUEUED, _S.SUBMITTING): "intent written",
    (_S.QUEUED, _S.CANCELED): "canceled before its submit",
    (_S.QUEUED, _S.FAILED): "expired in the queue, or refused too often",
    (_S.SUBMITTING, _S.SUBMITTED): "fal returned a request id",
    (_S.SUBMITTING, _S.QUEUED): "proved that fal did not accept it",
    (_S.SUBMITTING, _S.UNCONFIRMED): "outcome unknown, or the worker died",
    (_S.SUBMITTING, _S.FAILED): "fal refused the request body",
    (_S.UNCONFIRMED, _S.SUBMITTED): "fal request id found",
    (_S.UNCONFIRMED, _S.SUCCEEDED): "fal's result arrived",
    (_S.UNCONFIRMED, _S.FAILED): "fal's result arrived, or deadline passed",
    (_S.UNCONFIRMED, _S.CANCELED): "fal's result arrived",
    (_S.SUBMITTED, _S.IN_PROGRESS): "fal started the job",
    (_S.SUBMITTED, _S.COPYING): "result fetched, videos are stored",
    (_S.SUBMITTED, _S.SUCCEEDED): "result fetched, videos are not stored",
    (_S.SUBMITTED, _S.FAILED): "result is an error, or deadline passed",
    (_S.SUBMITTED, _S.CANCELED): "fal canceled the job",
    (_S.IN_PROGRESS, _S.COPYING): "result fetched, videos are stored",
    (_S.IN_PROGRESS, _S.SUCCEEDED): "result fetched, videos are not stored",
    (_S.IN_PROGRESS, _S.FAILED): "result is an error, or deadline passed",
    (_S.IN_PROGRESS, _S.CANCELED): "fal canceled the job",
    (_S.COPYING, _S.SUCCEEDED): "video stored, or given up with fal's URL",
}


def page() -> str:
    rows = [
        (f"`{status}`", _yes(status in HOLDS_SLOT), _yes(status in TERMINAL), _MEANINGS[status]) for status in Status
    ]
    return markdown.page(
        _INTRODUCTION,
        markdown.table(("Status", "Holds a slot", "Terminal", "Meaning"), rows),
        _NOTES,
        "## Transitions",
        _picture(),
    )


def causes() -> set[tuple[Status, Status]]:
    """Return the transitions that the picture explains; a test compares them with ``TRANSITIONS``."""
    return set(_CAUSES)


def meanings() -> set[Status]:
    """Return the statuses that the table explains; a test compares them with ``Status``."""
    return set(_MEANINGS)


def _picture() -> str:
    arrows = [
        f"    {before} --> {after}: {_CAUSES[before, after]}"
        for before in Status
        for after in sorted(TRANSITIONS[before], key=list(Status).index)
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {_S.QUEUED}", *arrows, "```"])


def _yes(value: object) -> str:
    return "yes" if value else "no"
