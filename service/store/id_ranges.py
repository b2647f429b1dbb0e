"""Ranges over indexes whose members are ids: those sort by creation, so that moments are bounds."""

from datetime import datetime, timedelta

from service.domain import ids


def bounds(
    prefix: str, *, after: str | None, created_after: datetime | None, created_before: datetime | None
) -> tuple[str, str]:
    """Upper and lower bound for ZREVRANGEBYLEX; ``after`` is the last id of the page before."""
    upper = "+" if created_before is None else "(" + ids.lowest(prefix, created_before)
    if after is not None:
        upper = min(upper, "(" + after) if upper != "+" else "(" + after
    next_millisecond = timedelta(milliseconds=1)
    lower = "-" if created_after is None else "[" + ids.lowest(prefix, created_after + next_millisecond)
    return upper, lower
