"""The `Retry-After` header, in seconds or as a date (RFC 9110, 10.2.3)."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

#: Longer values are cut: a receiver may delay deliveries, but not beyond the life of the record.
MAX_RETRY_AFTER: Final = timedelta(days=1)
_SECONDS: Final = re.compile(r"[0-9]+")
#: Enough digits for any value below the maximum, few enough for `timedelta`.
_MAX_DIGITS: Final = 9


def parse_retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """Return the delay that the receiver requests, at most a day; None if the header is missing or malformed."""
    delay = _delay(value.strip(), now) if value else None
    return None if delay is None else min(max(delay, timedelta()), MAX_RETRY_AFTER)


def _delay(value: str, now: datetime) -> timedelta | None:
    if _SECONDS.fullmatch(value):
        return timedelta(seconds=int(value)) if len(value) <= _MAX_DIGITS else MAX_RETRY_AFTER
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    # HTTP dates are in GMT, with or without a zone.
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
