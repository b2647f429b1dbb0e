"""The `Retry-After` header, in seconds or as a date (RFC 9110, 10.2.3)."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

#: Longer wishes are cut: a receiver may ask for a pause, not for its deliveries to outlive the record they are about.
MAX_RETRY_AFTER: Final = timedelta(days=1)
_SECONDS: Final = re.compile(r"[0-9]+")
#: Enough digits for any wish below the cut, few enough for `timedelta`.
_MAX_DIGITS: Final = 9


def parse_retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """How long the receiver asks us to wait, between nothing and a day; None when it did not say, or not legibly."""
    wish = _wish(value.strip(), now) if value else None
    return None if wish is None else min(max(wish, timedelta()), MAX_RETRY_AFTER)


def _wish(value: str, now: datetime) -> timedelta | None:
    if _SECONDS.fullmatch(value):
        return timedelta(seconds=int(value)) if len(value) <= _MAX_DIGITS else MAX_RETRY_AFTER
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    # HTTP dates are in GMT, said or unsaid.
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
