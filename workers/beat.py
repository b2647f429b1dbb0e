"""Beat as Celery has it, with a sign of life: it turns, whether or not there is a broker that takes what it says.

While the broker is away a restart heals nothing, and an orchestrator waits ever longer before each: up to five minutes
after the broker is back.
"""

from typing import Any, Final

from celery import beat

from service import log
from service.liveness import Pulse

#: It turns once a second; a broker that hangs holds it up for some seconds per message.
_SILENCE_SECONDS: Final = 60.0
_LONGEST_WAIT_SECONDS: Final = 5

pulse: Final = Pulse(longest_silence=_SILENCE_SECONDS)


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery is not annotated
    def tick(self, *args: Any, **kwargs: Any) -> Any:
        pulse.beat()
        return super().tick(*args, **kwargs)

    def _ensure_connected(self) -> Any:
        """Where Celery's own waits, up to half a minute at a time, for a broker that is away when it starts."""

        def failed(error: Exception, seconds: float) -> None:
            pulse.beat()
            log.get(__name__).warning("broker away", error=type(error).__name__, again_in=seconds)

        return self.connection.ensure_connection(failed, None, interval_max=_LONGEST_WAIT_SECONDS)
