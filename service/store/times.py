"""Times as Redis stores them: milliseconds since 1970 in scores and fields, durations in milliseconds."""

from datetime import datetime, timedelta

from service.domain import ids


def milliseconds(duration: timedelta) -> int:
    """Whole milliseconds of a duration."""
    return duration // timedelta(milliseconds=1)


def score(moment: datetime | None) -> int | str:
    """A time as a script expects it: "" for none."""
    return "" if moment is None else ids.milliseconds(moment)


def moment(score: bytes | None) -> datetime | None:
    """The time of a score or a field; None where there is none."""
    return ids.from_milliseconds(int(float(score))) if score else None
