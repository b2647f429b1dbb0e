"""Times in queries and bodies, as bounds over ids."""

from datetime import UTC, datetime
from typing import Final

from service.errors import FieldError, Invalid

#: The end of the year 9999, the last that Python's datetime supports.
_LAST_SECOND: Final = 253_402_300_799


def in_range(moment: datetime | None, pointer: str) -> datetime | None:
    """Return the time in UTC. Raises Invalid outside 1970 to 9999: ids hold 48 bits of milliseconds since 1970."""
    if moment is None:
        return None
    if not 0 <= moment.timestamp() < _LAST_SECOND:
        raise Invalid(FieldError(pointer, "must lie in the years 1970 to 9999", "datetime_range"))
    return moment.astimezone(UTC)
