"""Times in queries and bodies, as bounds over ids."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError, PydanticKnownError

from service.errors import FieldError, Invalid

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def _written(value: Any, error: Literal["date_parsing", "datetime_parsing"]) -> Any:
    """Refuse what pydantic accepts as seconds or milliseconds since 1970: the caller may have meant the other unit."""
    if isinstance(value, date) or (isinstance(value, str) and _DAY.match(value)):
        return value
    raise PydanticKnownError(error, {"error": "not RFC 3339"})


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_range", "is beyond the calendar") from None


#: A time with an offset, as RFC 3339 writes it.
Moment = Annotated[AwareDatetime, BeforeValidator(lambda value: _written(value, "datetime_parsing"))]
#: The same as a value in UTC.
UtcMoment = Annotated[Moment, AfterValidator(_in_utc)]
#: A day, as RFC 3339 writes it.
Day = Annotated[date, BeforeValidator(lambda value: _written(value, "date_parsing"))]

#: The end of the year 9999, the last that Python's datetime supports.
_LAST_SECOND: Final = 253_402_300_799


def in_range(moment: datetime | None, pointer: str) -> datetime | None:
    """Return the time in UTC. Raises Invalid outside 1970 to 9999: ids hold 48 bits of milliseconds since 1970."""
    if moment is None:
        return None
    if not 0 <= moment.timestamp() < _LAST_SECOND:
        raise Invalid(FieldError(pointer, "must lie in the years 1970 to 9999", "datetime_range"))
    return moment.astimezone(UTC)
