"""When each state is looked at next: the waits of a generation, derived from where it stands."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from service.domain.generation import Due, Generation, Status
from service.domain.retry import PollPolicy, RetryPolicy
from service.settings import Settings

#: Pace of a submit that fal did not take: as long as it takes, never faster than this.
REFUSED_SUBMITS: Final = RetryPolicy(tuple(timedelta(seconds=s) for s in (0, 1, 2, 5, 10, 20, 40, 60)), forever=True)

#: Waits before each try to copy a video; after the last it is passed on with fal's own URL.
COPIES: Final = RetryPolicy(tuple(timedelta(seconds=s) for s in (0, 1, 5, 15, 30, 60)))

#: Past all tries of a copy: whatever kept them from being made, fal's own URL is better than none.
_COPY_DEADLINE: Final = timedelta(minutes=30)

#: Beyond the longest a submit can take, before its outcome is declared unknown.
_SUBMIT_MARGIN: Final = timedelta(seconds=30)

#: A video takes a minute at least, and fal bills it some time after: looking for it sooner finds nothing.
_FIRST_LOOK: Final = timedelta(minutes=2)


@dataclass(slots=True)
class Timetable:
    polls: PollPolicy
    submit_lease: timedelta
    upstream_deadline: timedelta
    unconfirmed_deadline: timedelta
    retention: timedelta
    reconcile_every: timedelta | None = None
    """None: unconfirmed submits are not looked for."""
    in_flight: int = field(default=0)
    """Generations polled for at present, as the last claim counted them."""

    @classmethod
    def of(cls, settings: Settings) -> "Timetable":
        return cls(
            polls=PollPolicy(
                shortest=settings.poll_shortest,
                longest=settings.poll_longest,
                share=0.1,
                per_second=settings.polls_per_second,
            ),
            submit_lease=settings.fal_timeout + _SUBMIT_MARGIN,
            upstream_deadline=settings.upstream_deadline,
            unconfirmed_deadline=settings.unconfirmed_deadline,
            retention=settings.retention,
            reconcile_every=None if settings.fal_admin_key is None else settings.reconcile_every,
        )

    def due(self, g: Generation, now: datetime) -> Due:
        match g.status:
            case Status.QUEUED:
                wait = REFUSED_SUBMITS.next(g.submits_refused) or timedelta()
                return Due(dispatch=now + wait, sweep=self.deadline(g, now))
            case Status.UNCONFIRMED:
                return Due(sweep=self._next_look(g, now))
            case Status.IN_PROGRESS if g.copying is not None:
                wait = COPIES.next(g.copying.tries) or timedelta()
                return Due(poll=now + wait, sweep=self.deadline(g, now))
            case Status.SUBMITTED | Status.IN_PROGRESS:
                return Due(poll=self.next_poll(g, now), sweep=self.deadline(g, now))
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
            case Status.IN_PROGRESS if g.copying is not None:
                return (g.fal_ended_at or now) + _COPY_DEADLINE
            case Status.SUBMITTED | Status.IN_PROGRESS:
                return (g.confirmed_at or self._since_submit(g, now)) + self.upstream_deadline
        return now if g.erased else (g.finished_at or now) + (g.retention or self.retention)

    def _next_look(self, g: Generation, now: datetime) -> datetime:
        deadline = self.deadline(g, now)
        if self.reconcile_every is None:
            return deadline
        return min(deadline, max(self._since_submit(g, now) + _FIRST_LOOK, now + self.reconcile_every))

    def next_poll(self, g: Generation, now: datetime) -> datetime:
        if g.cancel_requested_at is not None and g.cancel_sent_at is None and not g.polls_troubled:
            return now  # fal has not been told yet
        if g.polls_troubled:
            return now + self.polls.after_trouble(g.polls_troubled)
        return now + self.polls.next(now - self._since_submit(g, now), self.in_flight)

    @staticmethod
    def _since_submit(g: Generation, now: datetime) -> datetime:
        return g.submitted_at or now
