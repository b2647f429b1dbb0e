"""The statuses of a generation, and every legal transition between them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where a generation stands; the words are the API's own."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    UNCONFIRMED = "unconfirmed"
    SUBMITTED = "submitted"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


_S = Status

#: Every legal move; the README's picture is compared with this table by a test.
TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    _S.QUEUED: frozenset({_S.SUBMITTING, _S.FAILED, _S.CANCELED}),
    _S.SUBMITTING: frozenset({_S.QUEUED, _S.SUBMITTED, _S.UNCONFIRMED, _S.FAILED}),
    _S.UNCONFIRMED: frozenset({_S.SUBMITTED, _S.SUCCEEDED, _S.FAILED, _S.CANCELED}),
    _S.SUBMITTED: frozenset({_S.IN_PROGRESS, _S.SUCCEEDED, _S.FAILED, _S.CANCELED}),
    _S.IN_PROGRESS: frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELED: frozenset(),
}
TERMINAL: Final = frozenset(status for status, exits in TRANSITIONS.items() if not exits)

#: fal may be working on it, so it takes up a slot.
HOLDS_SLOT: Final = frozenset({_S.SUBMITTING, _S.UNCONFIRMED, _S.SUBMITTED, _S.IN_PROGRESS})

#: fal knows it by a request id.
UPSTREAM: Final = frozenset({_S.SUBMITTED, _S.IN_PROGRESS})


class IllegalTransition(Exception):
    """A verb was used that TRANSITIONS does not allow from here: a fault of ours, never of a caller."""
