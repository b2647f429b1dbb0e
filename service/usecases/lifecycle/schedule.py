"""When each state is looked at next: the waits of a generation, derived from where it stands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain.generation import Due, Generation
from service.domain.retry import PollPolicy, RetryPolicy
from service.domain.status import Status

#: Pace of a submit that fal did not take: as long as it takes, never faster than this.
REFUSED_SUBMITS: Final = RetryPolicy(tuple(timedelta(seconds=s) for s in (0, 1, 2, 5, 10, 20, 40, 60)), forever=True)

#: Waits before each try to copy a video; after the last it is passed on with fal's own URL.
COPIES: Final = RetryPolicy(tuple(timedelta(seconds=s) for s in (0, 1, 5, 15, 30, 60)))

#: Past all tries of a copy: whatever kept them from being made, fal's own URL is better than none.
_COPY_DEADLINE: Final = timedelta(minutes=30)

#: Added to fal's timeout, before the outcome of a submit is declared unknown.
SUBMIT_MARGIN: Final = timedelta(seconds=30)

#: A video takes a minute at least, and fal bills it some time after: looking for it sooner finds nothing.
FIRST_BILL_READ: Final = timedelta(minutes=2)

#: What is left to fal after the cancel call of a passed deadline: to cancel the job, or to finish it nevertheless.
_CANCEL_GRACE: Final = timedelta(minutes=2)

#: A gap between two polls that is longer than this share of the deadline is an outage of the workers.
_OUTAGE_SHARE: Final = 1 / 8

#: fal forgets results within days: a job that could not be polled for longer than this cannot be saved any more.
LONGEST_UNASKED: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Schedule:
    polls: PollPolicy
    submit_lease: timedelta
    upstream_deadline: timedelta
    unconfirmed_deadline: timedelta
    unconfirmed_slot: timedelta
    retention: timedelta
    reconcile_every: timedelta | None = None
    """None: unconfirmed submits are not looked for."""

    def due(self, g: Generation, now: datetime, *, in_flight: int = 0) -> Due:
        """Return when the generation is next dispatched, polled or swept.

        ``in_flight``: generations that are polled at present. Their number bounds the pace of each.
        """
        match g.status:
            case Status.QUEUED:
                wait = REFUSED_SUBMITS.next(g.submit_refusals) or timedelta()
                return Due(dispatch=now + wait, sweep=self.deadline(g, now))
            case Status.UNCONFIRMED:
                return Due(sweep=self._next_look(g, now))
            case Status.COPYING:
                wait = COPIES.next(0 if g.copying is None else g.copying.failed_attempts) or timedelta()
                return Due(poll=now + wait, sweep=self.deadline(g, now))
            case Status.SUBMITTED | Status.IN_PROGRESS:
                # Only a poll can make the final check at fal, so polls watch the deadline, and no sweep is due.
                return Due(poll=self.next_poll(g, now, in_flight=in_flight))
        return Due(sweep=self.deadline(g, now))

    def deadline(self, g: Generation, now: datetime) -> datetime:
        """When this state ends by itself; for an ended generation, when it is forgotten."""
        match g.status:
            case Status.QUEUED:
                return g.expires_at
            case Status.SUBMITTING:
                return self._since_submit(g, now) + self.submit_lease
            case Status.UNCONFIRMED:
                return self._since_submit(g, now) + self.unconfirmed_deadline
            case Status.COPYING:
                return (g.fal_ended_at or now) + _COPY_DEADLINE
            case Status.SUBMITTED | Status.IN_PROGRESS:
                poll_outage = min(g.poll_outage, LONGEST_UNASKED)
                return (g.confirmed_at or self._since_submit(g, now)) + self.upstream_deadline + poll_outage
        return now if g.erased else (g.finished_at or now) + (g.retention or self.retention)

    def is_final(self, g: Generation, now: datetime) -> bool:
        """Whether fal is to be told to cancel it: its time at fal is over."""
        return now >= self.deadline(g, now)

    def is_lost(self, g: Generation, now: datetime) -> bool:
        """Whether fal has had its time to obey the cancel call as well."""
        return now >= self.deadline(g, now) + _CANCEL_GRACE

    def missed(self, late: timedelta) -> timedelta:
        """The part of a poll's delay that an outage of the workers explains; zero for an ordinary delay."""
        return late if late > self.upstream_deadline * _OUTAGE_SHARE else timedelta()

    def slot_ends(self, g: Generation, now: datetime) -> datetime:
        """When fal cannot be running an unconfirmed job any more."""
        return self._since_submit(g, now) + self.unconfirmed_slot

    def _next_look(self, g: Generation, now: datetime) -> datetime:
        """Of an unconfirmed job: its deadline, the end of its slot, or the next reading of fal's bill."""
        looks = [self.deadline(g, now)]
        if not g.slot_released:
            looks.append(self.slot_ends(g, now))
        if self.reconcile_every is not None:
            looks.append(max(self._since_submit(g, now) + FIRST_BILL_READ, now + self.reconcile_every))
        return min(looks)

    def next_poll(self, g: Generation, now: datetime, *, in_flight: int) -> datetime:
        """The one place that decides when a job is polled next; the claim's budget is the last guard behind it."""
        failures = g.poll_failures + 2 * (g.cancel_failures if g.cancel_pending else 0)
        if g.cancel_pending and not failures:
            return now  # fal has not been asked to cancel yet
        return now + self.polls.next(now - self._since_submit(g, now), in_flight, failures=failures)

    @staticmethod
    def _since_submit(g: Generation, now: datetime) -> datetime:
        return g.submitted_at or now
