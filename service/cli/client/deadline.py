"""The limit of ``--timeout``, and the failures of requests to the gateway."""

import time
from typing import Final

#: A timer of the transport may end this much before the deadline that it was made from.
_EARLY_SECONDS: Final = 0.05


class ApiFailed(Exception):
    """A request failed. The message is one line: the problem document's ``detail``, or the transport error.

    ``code`` and ``request_id`` are those of the problem document, or None.
    """

    def __init__(
        self, detail: str, *, status: int | None = None, code: str | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(" ".join(detail.split())[:500])
        self.status = status
        self.code = code
        self.request_id = request_id


class TimedOut(ApiFailed):
    """The time of ``--timeout`` has passed."""


class Deadline:
    """The end of ``--timeout``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self, most: float = float("inf")) -> float:
        """Return the seconds that are left, ``most`` at most. Raises TimedOut."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimedOut(f"No video within {self._seconds:.0f} seconds. --timeout limits the wait to this.")
        return min(left, most)

    def check(self) -> None:
        """Raise TimedOut if the end has been reached, also if a timer was a little early."""
        self.left()
        if self._end - time.monotonic() < _EARLY_SECONDS:
            time.sleep(_EARLY_SECONDS)
            self.left()
