"""The record of one generation: a request for one video, from its acceptance to its end.

Records are immutable. Each method returns a changed copy; a change of the status is checked against
``status.TRANSITIONS``. ``transitions`` decides which method applies.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar, dataclass_transform

from service.domain.failure import GIVEN_UP, Failure
from service.domain.hidden import replaced
from service.domain.status import HOLDS_SLOT, PUBLIC, TERMINAL, TRANSITIONS, IllegalTransition, PublicStatus, Status
from service.domain.webhook import WebhookStyle

Class = TypeVar("Class")

#: Log lines in a record, the newest. fal's log is a moving window too.
LOG_LINES: Final = 100


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def _record(cls: type[Class]) -> type[Class]:
    """Return a dataclass that is frozen for the type checker only.

    At run time each of the 45 fields of a frozen one is set by a call, which takes 4 us of every create.
    """
    return dataclass(slots=True, kw_only=True)(cls)


@dataclass(frozen=True, slots=True)
class Video:
    """A video file, as callers get it."""

    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    """In bytes."""
    source: str | None = None
    """fal's URL of the file, where ``url`` is the gateway's."""


@dataclass(frozen=True, slots=True)
class Output:
    """The result of a generation that succeeded."""

    video: Video
    seed: int | None = None
    draft_id: str | None = field(default=None, repr=False)
    """fal's id of the draft, if the video is one. It is valid for all tenants of the account: never show it."""


@dataclass(frozen=True, slots=True)
class Copying:
    """fal's result while the gateway copies the video."""

    output: Output
    cost: int
    """In micro-USD."""
    failed_attempts: int = 0


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """The gateway's copy of a video: its path in the video store, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of fal's log of a job, as fal sent it."""

    message: str
    level: str
    timestamp: str


@_record
class Generation:
    """The record in Redis. Costs are in micro-USD, times in UTC."""

    # What was asked for, by whom, and what it may cost.
    id: str
    tenant_id: str
    model: str
    input: dict[str, Any] = field(repr=False)
    fingerprint: str
    estimated_cost: int
    """The amount of the hold."""
    input_seconds: Decimal | None = None
    """Seconds of the input videos that the hold has; None: there is no video among the inputs."""
    callback_token: str = field(repr=False)
    """Secret in the URL that fal calls back."""
    created_at: datetime
    expires_at: datetime
    """When it fails if it is still queued."""
    end_user_id: str | None = None
    end_user: str
    """The pseudonym that fal receives."""
    end_user_key: int = 1
    """Version of the key that made the pseudonym."""
    idempotency_digest: str | None = None
    """Hash of the caller's idempotency key, which may name a person or an order."""
    metadata: dict[str, str] = field(default_factory=dict)
    webhook_url: str | None = None
    webhook_style: WebhookStyle = "standard"
    priority: int = 0
    traceparent: str | None = None
    """W3C Trace Context of the create request; webhooks carry it."""
    retention: timedelta | None = None
    """The tenant's retention at the create; None: the deployment's."""
    completes: str | None = None
    """Id of the draft's generation, which it renders again."""
    draft_id: str | None = field(default=None, repr=False)
    """fal's id of the draft that it completes. It is valid for all tenants of the account: never show it."""

    # Where it stands.
    status: Status = Status.QUEUED
    version: int = 1
    """The version that was read. A write succeeds only if the stored version is still this one."""
    status_changes: int = 0
    """Changes of the public status; with ``logs_dropped`` event streams find what is new by it."""
    status_since: datetime | None = None
    """When the public status began; None: at the create."""
    request_id: str | None = None
    """fal's request id; None: not known."""
    slot_released: bool = False
    """Unconfirmed for so long that fal cannot be running the job any more: no slot, but still a hold."""
    submitted_at: datetime | None = None
    confirmed_at: datetime | None = None
    """When the request id was found after the submit; None: the submit returned it, or none is known."""
    started_at: datetime | None = None
    fal_ended_at: datetime | None = None
    """When fal's result was fetched, if a copy of the video followed."""
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancel_sent_at: datetime | None = None
    """When fal accepted the cancel call."""
    erased: bool = False
    """The end user was erased: the record is purged when the generation ends, and shows nothing before."""

    # Failures that pace the next call, and the time in which fal did not respond.
    submit_refusals: int = 0
    """Submits that fal is proved not to have accepted."""
    poll_failures: int = 0
    """Polls in a row without a usable response."""
    poll_failing_since: datetime | None = None
    """When the first of these polls was made."""
    poll_outage: timedelta = timedelta()
    """Time in which polls were not possible. The deadline is later by it."""
    cancel_failures: int = 0
    """Cancel calls that fal did not accept."""

    # What polls showed, and the result.
    upstream_position: int | None = None
    logs: tuple[LogLine, ...] = ()
    logs_dropped: int = 0
    """Older log lines that are not in ``logs`` any more."""
    copying: Copying | None = None
    """Set in the status ``copying`` only."""
    output: Output | None = None
    stored_video: StoredVideo | None = None
    error: Failure | None = None
    actual_cost: int | None = None
    direct_cost: int | None = None
    """Of a draft that succeeded: what its video would have cost at 1080p at once."""
    billable_units: Decimal | None = None
    """As fal reported them: thousands of tokens."""
    deliveries: tuple[str, ...] = ()
    """Ids of the webhook deliveries that it caused."""

    @property
    def public_status(self) -> PublicStatus:
        return PUBLIC[self.status]

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_draft(self) -> bool:
        return self.input.get("draft") is True

    @property
    def logs_total(self) -> int:
        return self.logs_dropped + len(self.logs)

    @property
    def holds_slot(self) -> bool:
        return self.status in HOLDS_SLOT and not self.slot_released

    @property
    def is_given_up(self) -> bool:
        """Whether a deadline or an operator ended it, without a result from fal."""
        return self.status is Status.FAILED and self.error is not None and self.error.code in GIVEN_UP

    @property
    def cancel_pending(self) -> bool:
        """Whether a cancel was requested that fal has not accepted yet."""
        return self.cancel_requested_at is not None and self.cancel_sent_at is None

    def submitting(self, now: datetime) -> "Generation":
        """Record the intent to submit. Write it before the first byte leaves: from then on fal may have the job."""
        return self._to(Status.SUBMITTING, submitted_at=now)

    def requeued(self) -> "Generation":
        """Queue it again: fal is proved not to have accepted the submit."""
        return self._to(Status.QUEUED, submitted_at=None, submit_refusals=self.submit_refusals + 1)

    def unconfirmed(self) -> "Generation":
        """Record that fal may have the job, under a request id that is not known."""
        return self._to(Status.UNCONFIRMED)

    def submitted(self, request_id: str) -> "Generation":
        """Record that fal has the job under this request id."""
        return self._to(Status.SUBMITTED, request_id=request_id, slot_released=False)

    def adopted(self, request_id: str, now: datetime) -> "Generation":
        """Set the request id of an unconfirmed generation. Its time at fal starts again."""
        return self._to(Status.SUBMITTED, request_id=request_id, confirmed_at=now, slot_released=False)

    def without_slot(self) -> "Generation":
        """Release the slot of an unconfirmed generation; the hold stays."""
        if self.status is not Status.UNCONFIRMED:
            raise IllegalTransition(f"{self.id}: {self.status} keeps its slot")
        return replace(self, slot_released=True)

    def revived(self, request_id: str, now: datetime) -> "Generation":
        """Follow a given-up generation again. Its cost is held again; its time at fal starts again.

        This is the only way out of a terminal status. It is not in TRANSITIONS, so no other method can take it.
        """
        if not self.is_given_up:
            raise IllegalTransition(f"{self.id}: was not given up")
        return replace(
            self,
            status=Status.SUBMITTED,
            status_changes=self.status_changes + 1,
            request_id=request_id,
            confirmed_at=now,
            slot_released=False,
            error=None,
            actual_cost=None,
            billable_units=None,
            started_at=None,
            finished_at=None,
            cancel_sent_at=None,
            poll_failures=0,
            poll_failing_since=None,
            poll_outage=timedelta(),
        )

    def started(self, now: datetime) -> "Generation":
        """Record that fal works on the job."""
        return self._to(Status.IN_PROGRESS, started_at=now, upstream_position=None)

    def copying_started(
        self, output: Output, cost: int, now: datetime, *, units: Decimal | None = None
    ) -> "Generation":
        """Record fal's result, which fal may forget. The generation succeeds once its video is copied."""
        return self._to(
            Status.COPYING,
            copying=Copying(output, cost),
            logs=self._without_draft_id(self.logs, output.draft_id),
            billable_units=units,
            fal_ended_at=now,
            started_at=self.started_at or now,
            upstream_position=None,
        )

    def copy_failed(self) -> "Generation":
        """Count a failed attempt to copy the video."""
        if self.copying is None:
            return self
        return replace(self, copying=replace(self.copying, failed_attempts=self.copying.failed_attempts + 1))

    def copied(
        self, now: datetime, output: Output | None = None, stored_video: StoredVideo | None = None
    ) -> "Generation":
        """Succeed with the stored copy, or with fal's video where no copy could be made."""
        if self.copying is None:
            raise IllegalTransition(f"{self.id}: is not being copied")
        g = self.succeeded(output or self.copying.output, self.copying.cost, now, units=self.billable_units)
        return replace(g, stored_video=stored_video)

    def succeeded(self, output: Output, cost: int, now: datetime, *, units: Decimal | None = None) -> "Generation":
        """End with a video. The output of an erased end user is not recorded."""
        return self._to(
            Status.SUCCEEDED,
            output=None if self.erased else output,
            logs=self._without_draft_id(self.logs, output.draft_id),
            copying=None,
            actual_cost=cost,
            billable_units=units,
            finished_at=now,
            started_at=self.started_at or now,
        )

    def failed(self, failure: Failure, cost: int, now: datetime, *, units: Decimal | None = None) -> "Generation":
        """End without a video. fal's message may quote the input, so it is not recorded for an erased end user."""
        error = Failure(failure.code, "Its end user was erased.") if self.erased else self._shown(failure)
        return self._to(Status.FAILED, error=error, actual_cost=cost, billable_units=units, finished_at=now)

    def canceled(self, cost: int, now: datetime, *, units: Decimal | None = None) -> "Generation":
        """End by a cancel."""
        return self._to(
            Status.CANCELED,
            actual_cost=cost,
            billable_units=units,
            finished_at=now,
            cancel_requested_at=self.cancel_requested_at or now,
        )

    def adjusted(self, amount: int) -> "Generation":
        """Add an operator's signed correction, in micro-USD, to the cost of an ended generation."""
        if not self.is_terminal or self.actual_cost is None:
            raise IllegalTransition(f"{self.id}: is not settled")
        return replace(self, actual_cost=self.actual_cost + amount)

    def cancel_requested(self, now: datetime) -> "Generation":
        """Record the first request to cancel. fal's result decides whether the cancel came in time."""
        return replace(self, cancel_requested_at=self.cancel_requested_at or now)

    def cancel_accepted(self, now: datetime) -> "Generation":
        """Record that fal accepted the cancel call. fal's result decides what the call achieved."""
        return replace(self, cancel_sent_at=now)

    def cancel_refused(self) -> "Generation":
        """Count a cancel call that fal did not accept. The gateway repeats it, less and less often."""
        return replace(self, cancel_failures=self.cancel_failures + 1)

    def stripped(self, now: datetime) -> "Generation":
        """Remove what came from the end user, and request a cancel. What settles the cost stays."""
        billed: dict[str, Any] = {
            name: self.input[name] for name in ("resolution", "duration", "draft") if name in self.input
        }
        if self.input.get("generate_audio") is False:  # some models cost less without audio
            billed["generate_audio"] = False
        return replace(
            self,
            erased=True,
            input=billed,
            end_user_id=None,
            metadata={},
            webhook_url=None,
            traceparent=None,
            draft_id=None,
            logs=(),
            logs_dropped=self.logs_total,
            cancel_requested_at=self.cancel_requested_at or now,
        )

    def polled(self, *, position: int | None, logs: tuple[LogLine, ...]) -> "Generation":
        """Record what a poll showed. Return the same object where it showed nothing new.

        Lines that are in the record already are not added again. Of a longer log, only the newest lines count: older
        ones are in the record, or are too many.
        """
        known = set(self.logs)
        window = () if self.erased else self._without_draft_id(logs[-LOG_LINES:], self.draft_id)
        new = tuple(line for line in window if line not in known)
        if position == self.upstream_position and not new and not self.poll_failures:
            return self
        newest = (self.logs + new)[-LOG_LINES:]
        return replace(
            self,
            upstream_position=position,
            logs=newest,
            logs_dropped=self.logs_total + len(new) - len(newest),
            poll_failures=0,
            poll_failing_since=None,
        )

    def poll_answered(self, now: datetime, *, missed: timedelta = timedelta()) -> "Generation":
        """Move the deadline by the time before this response in which polls were not possible.

        ``missed``: for how long no poll was made although one was due.
        """
        failing = timedelta() if self.poll_failing_since is None else now - self.poll_failing_since
        outage = max(failing, missed, timedelta())
        if not outage and self.poll_failing_since is None:
            return self
        return replace(self, poll_outage=self.poll_outage + outage, poll_failing_since=None)

    def poll_failed(self, now: datetime) -> "Generation":
        """Count a poll without a usable response. It is never a reason to fail the generation."""
        since = self.poll_failing_since or now
        return replace(self, poll_failures=self.poll_failures + 1, poll_failing_since=since)

    def _shown(self, failure: Failure) -> Failure:
        """Return the failure without fal's id of the draft, which fal may repeat in its message."""
        if self.draft_id is None:
            return failure
        message = replaced(failure.message, self.draft_id, self.completes or "")
        return replace(failure, message=message, detail=replaced(failure.detail, self.draft_id, self.completes or ""))

    def _without_draft_id(self, logs: tuple[LogLine, ...], draft_id: str | None) -> tuple[LogLine, ...]:
        """Return log lines with the id of the draft's generation instead of fal's id of the draft."""
        if not draft_id:
            return logs
        own = self.completes or self.id
        return tuple(replace(line, message=line.message.replace(draft_id, own)) for line in logs)

    def _to(self, status: Status, **changes: Any) -> "Generation":
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.id}: {self.status} -> {status}")
        is_public = PUBLIC[status] is not PUBLIC[self.status]
        return replace(self, status=status, status_changes=self.status_changes + is_public, **changes)


@dataclass(frozen=True, slots=True)
class Due:
    """When each work queue handles a generation next; None: not in that queue."""

    dispatch: datetime | None = None
    poll: datetime | None = None
    sweep: datetime | None = None


def idempotency_digest(key: str) -> str:
    """Return the stored form of a caller's idempotency key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]
