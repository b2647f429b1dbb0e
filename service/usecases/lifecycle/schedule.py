"""Schedule: when a generation is next dispatched, polled or swept, and its deadlines, derived from its record."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain.generation import Due, Generation
from service.domain.retry import PollPolicy, RetryPolicy
from service.domain.status import Status

#: Waits before each repetition of a refused submit. It is repeated until fal accepts it or the generation expires.
REFUSED_SUBMITS: Final = RetryPolicy(tuple(timedelta(seconds=s) for s in (0, 1, 2, 5, 10, 20, 40, 60)), forever=True)

#: Waits before each attempt to copy a video. After the last attempt the generation succeeds with fal's own URL.
COPIES: Final = RetryPolicy(tuple(timedelta(seconds=s) for s in (0, 1, 5, 15, 30, 60)))

#: Deadline of all attempts of a copy. Whatever prevented them, fal's own URL is better than no URL.
_COPY_DEADLINE: Final = timedelta(minutes=30)

#: Added to fal's timeout, before the outcome of a submit is declared unknown.
SUBMIT_MARGIN: Final = timedelta(seconds=30)

#: A video takes at least a minute, and fal bills it later. The bill contains nothing sooner.
FIRST_BILL_READ: Final = timedelta(minutes=2)

#: Time for fal, after the cancel call at a deadline, to cancel the job or to finish it nevertheless.
_CANCEL_GRACE: Final = timedelta(minutes=2)

#: A gap between two polls of more than this share of the deadline counts as an outage of the workers.
_OUTAGE_SHARE: Final = 1 / 8

#: fal deletes results within days. A job that could not be polled for longer than this cannot be recovered.
LONGEST_POLL_OUTAGE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Schedule:
    polls: PollPolicy
    submit_lease: timedelta
    upstream_deadline: timedelta
    unconfirmed_deadline: timedelta
    unconfirmed_slot: timedelta
    retention: timedelta
    reconcile_every: timedelta | None = None
    """None: reconciliation is disabled."""

    def due(self, g: Generation, now: datetime, *, in_flight: int = 0) -> Due:
        """Return when the generation is next dispatched, polled or swept.

        ``in_flight``: generations that are polled at present. Their number bounds the pace of each.
        """
        match g.status:
            case Status.QUEUED:
                wait = REFUSED_SUBMITS.next(g.submit_refusals) or timedelta()
                return Due(dispatch=now + wait, sweep=self.deadline(g, now))
            case Status.UNCONFIRMED:
                return Due(sweep=self._next_sweep(g, now))
            case Status.COPYING:
                wait = COPIES.next(0 if g.copying is None else g.copying.failed_attempts) or timedelta()
                return Due(poll=now + wait, sweep=self.deadline(g, now))
            case Status.SUBMITTED | Status.IN_PROGRESS:
                # Only a poll can make the final check at fal, so polls watch the deadline, and no sweep is due.
                return Due(poll=self.next_poll(g, now, in_flight=in_flight))
        return Due(sweep=self.deadline(g, now))

    def deadline(self, g: Generation, now: datetime) -> datetime:
        """Return when the status ends without any event; for an ended generation, when it is purged."""
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
                poll_outage = min(g.poll_outage, LONGEST_POLL_OUTAGE)
                return (g.confirmed_at or self._since_submit(g, now)) + self.upstream_deadline + poll_outage
        return now if g.erased else (g.finished_at or now) + (g.retention or self.retention)

    def is_final(self, g: Generation, now: datetime) -> bool:
        """Return whether the job's time at fal is over, so that the final check begins with a cancel call."""
        return now >= self.deadline(g, now)

    def is_lost(self, g: Generation, now: datetime) -> bool:
        """Return whether the time for fal to obey the cancel call is over as well."""
        return now >= self.deadline(g, now) + _CANCEL_GRACE

    def missed(self, late: timedelta) -> timedelta:
        """Return the part of a poll's delay that is an outage of the workers; zero for an ordinary delay."""
        return late if late > self.upstream_deadline * _OUTAGE_SHARE else timedelta()

    def slot_ends(self, g: Generation, now: datetime) -> datetime:
        """Return when fal cannot be running an unconfirmed job any more."""
        return self._since_submit(g, now) + self.unconfirmed_slot

    def _next_sweep(self, g: Generation, now: datetime) -> datetime:
        """Return when an unconfirmed job is due: at its deadline, the end of its slot, or the next reconciliation."""
        times = [self.deadline(g, now)]
        if not g.slot_released:
            times.append(self.slot_ends(g, now))
        if self.reconcile_every is not None:
            times.append(max(self._since_submit(g, now) + FIRST_BILL_READ, now + self.reconcile_every))
        return min(times)

    def next_poll(self, g: Generation, now: datetime, *, in_flight: int) -> datetime:
        """Return when a job is polled next. Only this function decides it; the budget of the claim is a second limit.

        A job whose cancel call has not been sent yet is due at once.
        """
        failures = g.poll_failures + 2 * (g.cancel_failures if g.cancel_pending else 0)
        if g.cancel_pending and not failures:
            return now
        return now + self.polls.next(now - self._since_submit(g, now), in_flight, failures=failures)

    @staticmethod
    def _since_submit(g: Generation, now: datetime) -> datetime:
        return g.submitted_at or now
