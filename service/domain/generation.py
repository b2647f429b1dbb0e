"""One request for one video, from the POST to its end: one enum, one table of moves, verbs that return anew."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from service.domain.failure import GIVEN_UP, Failure
from service.domain.status import HOLDS_SLOT, PUBLIC, TERMINAL, TRANSITIONS, IllegalTransition, PublicStatus, Status
from service.domain.webhook import WebhookStyle

LOG_LINES: Final = 100  # kept per generation; fal's log is a moving window anyway


@dataclass(frozen=True, slots=True)
class Video:
    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    source: str | None = None
    """fal's own URL, where ``url`` is ours."""


@dataclass(frozen=True, slots=True)
class Output:
    video: Video
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Copying:
    """fal is done, and this is what came of it; success is told once the video is kept."""

    output: Output
    cost: int
    tries: int = 0
    """That failed."""


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """Our copy of the video: where in the store it is, and what it must be."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LogLine:
    message: str
    level: str
    timestamp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The record. Money in micro-USD, moments in UTC; ``version`` is the one it was read at, and decides races."""

    id: str
    tenant_id: str
    model: str
    input: dict[str, Any] = field(repr=False)
    fingerprint: str
    estimated_cost: int
    callback_token: str = field(repr=False)
    created_at: datetime
    expires_at: datetime
    end_user_id: str | None = None
    end_user: str
    """The pseudonym fal sees; ``end_user_key`` is the version of the key it was made with."""
    end_user_key: int = 1
    idempotency_key: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    webhook_url: str | None = None
    webhook_style: WebhookStyle = "standard"
    priority: int = 0
    status: Status = Status.QUEUED
    version: int = 1
    moves: int = 0
    """How often its public status has changed; with ``logs_gone`` it tells a stream of events what is new."""
    request_id: str | None = None
    submits_refused: int = 0
    """Submits proved not to have been accepted; paces the next one."""
    slot_released: bool = False
    """Unconfirmed for so long that fal cannot be running it any more: it has its hold, and no slot."""
    polls_troubled: int = 0
    """Polls in a row that brought no usable answer; paces the next one."""
    troubled_since: datetime | None = None
    """When the first of these polls was made."""
    unasked: timedelta = timedelta()
    """Time in which fal could not be asked about it; its deadline is later by this."""
    cancels_failed: int = 0
    """Cancel calls that fal did not take; paces the next one."""
    upstream_position: int | None = None
    logs: tuple[LogLine, ...] = ()
    logs_gone: int = 0
    """Lines that came before those that are kept."""
    copying: Copying | None = None
    output: Output | None = None
    kept: StoredVideo | None = None
    error: Failure | None = None
    actual_cost: int | None = None
    billable_units: Decimal | None = None
    """As the upstream counted them."""
    submitted_at: datetime | None = None
    confirmed_at: datetime | None = None
    """When its request id was found after all; None: fal gave it in its answer, or it has none."""
    started_at: datetime | None = None
    fal_ended_at: datetime | None = None
    """Where a copy came between that and its own end."""
    finished_at: datetime | None = None
    moved_at: datetime | None = None
    """When it came into its status; None: at its creation."""
    cancel_requested_at: datetime | None = None
    cancel_sent_at: datetime | None = None
    deliveries: tuple[str, ...] = ()
    """Webhooks it caused."""
    traceparent: str | None = None
    """Of the call that created it (W3C Trace Context); its webhooks carry it on."""
    retention: timedelta | None = None
    """The tenant's, when it was created; None: the deployment's."""
    erased: bool = False
    """Its end user was erased: nothing of it may be told or kept beyond its end."""

    @property
    def public_status(self) -> PublicStatus:
        return PUBLIC[self.status]

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def logs_seen(self) -> int:
        return self.logs_gone + len(self.logs)

    @property
    def holds_slot(self) -> bool:
        return self.status in HOLDS_SLOT and not self.slot_released

    @property
    def is_given_up(self) -> bool:
        """Failed by a deadline or by an operator, without a verdict from fal."""
        return self.status is Status.FAILED and self.error is not None and self.error.code in GIVEN_UP

    @property
    def wants_cancel(self) -> bool:
        """Its caller asked for a cancel that fal has not taken yet."""
        return self.cancel_requested_at is not None and self.cancel_sent_at is None

    def submitting(self, now: datetime) -> "Generation":
        """Write this down before the first byte leaves: from here on fal may have the job."""
        return self._move(Status.SUBMITTING, submitted_at=now)

    def requeued(self) -> "Generation":
        """Proved: fal did not take it."""
        return self._move(Status.QUEUED, submitted_at=None, submits_refused=self.submits_refused + 1)

    def unconfirmed(self) -> "Generation":
        """Fal may have it, and we do not know its request id."""
        return self._move(Status.UNCONFIRMED)

    def submitted(self, request_id: str) -> "Generation":
        return self._move(Status.SUBMITTED, request_id=request_id, slot_released=False)

    def adopted(self, request_id: str, now: datetime) -> "Generation":
        """The request id of an unconfirmed submit was found; its time at fal counts anew."""
        return self._move(Status.SUBMITTED, request_id=request_id, confirmed_at=now, slot_released=False)

    def without_slot(self) -> "Generation":
        """Release the slot of an unconfirmed submit; the hold stays."""
        if self.status is not Status.UNCONFIRMED:
            raise IllegalTransition(f"{self.id}: {self.status} keeps its slot")
        return self._same(slot_released=True)

    def revived(self, request_id: str, now: datetime) -> "Generation":
        """Follow a job again that was given up although fal has it. Its cost is held again; its time counts anew.

        The one move out of an end: an operator's, and not in TRANSITIONS, so that no other verb can make it.
        """
        if not self.is_given_up:
            raise IllegalTransition(f"{self.id}: was not given up")
        return self._same(
            status=Status.SUBMITTED,
            moves=self.moves + 1,
            request_id=request_id,
            confirmed_at=now,
            slot_released=False,
            error=None,
            actual_cost=None,
            billable_units=None,
            started_at=None,
            finished_at=None,
            cancel_sent_at=None,
            polls_troubled=0,
            troubled_since=None,
            unasked=timedelta(),
        )

    def started(self, now: datetime) -> "Generation":
        return self._move(Status.IN_PROGRESS, started_at=now, upstream_position=None)

    def ended_upstream(self, output: Output, cost: int, now: datetime, *, units: Decimal | None = None) -> "Generation":
        """Record fal's result, which fal may forget; the generation succeeds once its video is copied."""
        return self._move(
            Status.COPYING,
            copying=Copying(output, cost),
            billable_units=units,
            fal_ended_at=now,
            started_at=self.started_at or now,
            upstream_position=None,
        )

    def copy_failed(self) -> "Generation":
        """It will be tried again."""
        return self if self.copying is None else self._same(copying=replace(self.copying, tries=self.copying.tries + 1))

    def copied(self, now: datetime, output: Output | None = None, kept: StoredVideo | None = None) -> "Generation":
        """Success after all: with a video of ours, or with fal's where none could be kept. Only while copying."""
        if self.copying is None:
            raise IllegalTransition(f"{self.id}: is not being copied")
        g = self.succeeded(output or self.copying.output, self.copying.cost, now, units=self.billable_units)
        return replace(g, kept=kept)

    def succeeded(self, output: Output, cost: int, now: datetime, *, units: Decimal | None = None) -> "Generation":
        return self._move(
            Status.SUCCEEDED,
            output=None if self.erased else output,
            copying=None,
            actual_cost=cost,
            billable_units=units,
            finished_at=now,
            started_at=self.started_at or now,
        )

    def failed(self, failure: Failure, cost: int, now: datetime, *, units: Decimal | None = None) -> "Generation":
        told = Failure(failure.code, "Its end user was erased.") if self.erased else failure  # fal quotes the input
        return self._move(Status.FAILED, error=told, actual_cost=cost, billable_units=units, finished_at=now)

    def canceled(self, cost: int, now: datetime, *, units: Decimal | None = None) -> "Generation":
        return self._move(
            Status.CANCELED,
            actual_cost=cost,
            billable_units=units,
            finished_at=now,
            cancel_requested_at=self.cancel_requested_at or now,
        )

    def adjusted(self, amount: int) -> "Generation":
        """An operator corrected its cost by a signed amount."""
        if not self.is_terminal or self.actual_cost is None:
            raise IllegalTransition(f"{self.id}: is not settled")
        return self._same(actual_cost=self.actual_cost + amount)

    def cancel_passed_on(self, now: datetime) -> "Generation":
        """Fal took the cancel call; its result decides what that came to."""
        return self._same(cancel_sent_at=now)

    def cancel_failed(self) -> "Generation":
        """Fal did not take the cancel call; it is repeated, ever more seldom."""
        return self._same(cancels_failed=self.cancels_failed + 1)

    def cancel_requested(self, now: datetime) -> "Generation":
        """Remember the request; fal's result decides whether it came in time."""
        return self._same(cancel_requested_at=self.cancel_requested_at or now)

    def stripped(self, now: datetime) -> "Generation":
        """Without anything that came from its end user; what settles its cost stays. fal is asked to stop."""
        kept = {name: self.input[name] for name in ("resolution", "duration") if name in self.input}
        return self._same(
            erased=True,
            input=kept,
            end_user_id=None,
            metadata={},
            webhook_url=None,
            traceparent=None,
            logs=(),
            logs_gone=self.logs_seen,
            cancel_requested_at=self.cancel_requested_at or now,
        )

    def seen(self, *, position: int | None, logs: tuple[LogLine, ...]) -> "Generation":
        """What a poll showed; the same object when it showed nothing new."""
        known = set(self.logs)
        window = () if self.erased else logs[-LOG_LINES:]  # what is older was known once, or is too much
        new = tuple(line for line in window if line not in known)
        if position == self.upstream_position and not new and not self.polls_troubled:
            return self
        kept = (self.logs + new)[-LOG_LINES:]
        gone = self.logs_seen + len(new) - len(kept)
        return self._same(upstream_position=position, logs=kept, logs_gone=gone, polls_troubled=0, troubled_since=None)

    def answered(self, now: datetime, *, missed: timedelta = timedelta()) -> "Generation":
        """Fal answered a poll: the time before it, in which fal could not be asked, moves the deadline.

        ``missed``: for how long no poll was made although one was due.
        """
        troubled = timedelta() if self.troubled_since is None else now - self.troubled_since
        unasked = max(troubled, missed, timedelta())
        if not unasked and self.troubled_since is None:
            return self
        return self._same(unasked=self.unasked + unasked, troubled_since=None)

    def troubled(self, now: datetime) -> "Generation":
        """A poll brought no usable answer. Never a reason to fail."""
        return self._same(polls_troubled=self.polls_troubled + 1, troubled_since=self.troubled_since or now)

    def _move(self, to: Status, **changes: Any) -> "Generation":
        if to not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.id}: {self.status} -> {to}")
        moves = self.moves + (PUBLIC[to] is not PUBLIC[self.status])
        return self._same(status=to, moves=moves, **changes)

    def _same(self, **changes: Any) -> "Generation":
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Due:
    """When each drain should look at a generation next; None: it waits for nothing there."""

    dispatch: datetime | None = None
    poll: datetime | None = None
    sweep: datetime | None = None
