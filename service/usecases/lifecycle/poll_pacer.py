"""Due times in one process, with polls spread over all generations that are polled.

Their number comes from the last claim of polls. A process that claims no polls counts none: the budget of the claim,
which all processes share, bounds the polls that such a process makes due.
"""

from datetime import datetime

from service.domain.generation import Due, Generation
from service.usecases.lifecycle.schedule import Schedule


class PollPacer:
    """One per process. The poller records the count; every transition that makes a poll due reads it."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._in_flight = 0

    def observe(self, in_flight: int) -> None:
        """Record how many generations are polled, as a claim has just counted them."""
        self._in_flight = in_flight

    def due(self, g: Generation, now: datetime) -> Due:
        """Return when the generation is next dispatched, polled or swept."""
        return self._schedule.due(g, now, in_flight=self._in_flight)

    def next_poll(self, g: Generation, now: datetime) -> datetime:
        """Return when the generation is polled next."""
        return self._schedule.next_poll(g, now, in_flight=self._in_flight)
