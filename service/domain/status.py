"""The statuses of a generation, every legal transition between them, and what callers see of each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """The status of a generation in its record."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    UNCONFIRMED = "unconfirmed"
    SUBMITTED = "submitted"
    IN_PROGRESS = "in_progress"
    COPYING = "copying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class PublicStatus(StrEnum):
    """The status of a generation."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    UNCONFIRMED = "unconfirmed"
    SUBMITTED = "submitted"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


#: All legal transitions. An operator's revive of a given-up generation is the one exception: ``Generation.revived``.
TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    Status.QUEUED: frozenset({Status.SUBMITTING, Status.FAILED, Status.CANCELED}),
    Status.SUBMITTING: frozenset({Status.QUEUED, Status.SUBMITTED, Status.UNCONFIRMED, Status.FAILED}),
    Status.UNCONFIRMED: frozenset({Status.SUBMITTED, Status.SUCCEEDED, Status.FAILED, Status.CANCELED}),
    Status.SUBMITTED: frozenset({Status.IN_PROGRESS, Status.COPYING, Status.SUCCEEDED, Status.FAILED, Status.CANCELED}),
    Status.IN_PROGRESS: frozenset({Status.COPYING, Status.SUCCEEDED, Status.FAILED, Status.CANCELED}),
    Status.COPYING: frozenset({Status.SUCCEEDED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
}
TERMINAL: Final = frozenset(status for status, exits in TRANSITIONS.items() if not exits)

#: What callers, webhooks and metrics see. ``copying`` is internal: the video is not available yet.
PUBLIC: Final[Mapping[Status, PublicStatus]] = {
    status: PublicStatus.IN_PROGRESS if status is Status.COPYING else PublicStatus(status) for status in Status
}

PUBLIC_TERMINAL: Final = frozenset(PUBLIC[status] for status in TERMINAL)


class StatusGroup(StrEnum):
    """Statuses that a filter names together."""

    LIVE = "live"
    """All before an end."""
    IN_FLIGHT = "in_flight"
    """All between ``queued`` and an end."""

    def has(self, status: PublicStatus) -> bool:
        """Return whether a status is one of the group."""
        return status not in PUBLIC_TERMINAL and (self is StatusGroup.LIVE or status is not PublicStatus.QUEUED)


#: Statuses in which fal may be working on the job. Each such generation takes up one slot.
HOLDS_SLOT: Final = frozenset({Status.SUBMITTING, Status.UNCONFIRMED, Status.SUBMITTED, Status.IN_PROGRESS})

#: Statuses in which fal has the job under a known request id, and polls decide how it ends.
UPSTREAM: Final = frozenset({Status.SUBMITTED, Status.IN_PROGRESS})


class IllegalTransition(Exception):
    """A transition was made that TRANSITIONS does not have: a bug in the gateway, never an error of a caller."""
