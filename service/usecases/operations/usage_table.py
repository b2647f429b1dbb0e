"""Reports of usage as tables: the columns of each grouping, and the CSV."""

from typing import Final

from service.domain.csv_tables import csv_text, text_cell
from service.domain.figures import Figures
from service.domain.generation_view import rfc3339
from service.domain.pricing import usd
from service.usecases.operations.usage import By, Row, UsagePage

#: Columns before the figures, by the grouping.
KEYS: Final[dict[By, tuple[str, ...]]] = {
    "tenant": ("tenant_id", "tenant_name", "deleted_at"),
    "day": ("date",),
    "model": ("model",),
    "end_user": ("end_user_id", "pseudonym", "end_user"),
    "code": ("code",),
}
FIGURES: Final = ("created", "succeeded", "failed", "canceled", "refused", "spent", "held")
_MONEY: Final = ("spent", "held")


def usage_csv(page: UsagePage, *, with_head: bool = True) -> str:
    """Return the rows, and after the last page a row with the total."""
    head = (*KEYS[page.by], *(f"{name}_usd" if name in _MONEY else name for name in FIGURES))
    rows = [[*map(text_cell, key_of(page.by, row)), *_cells(row.figures)] for row in page.rows]
    if page.after is None:
        blanks = [""] * (len(KEYS[page.by]) - 1)
        rows.append(["total", *blanks, *_cells(page.total)])
    text = csv_text(head, rows)
    return text if with_head else text.partition("\r\n")[2]


def _cells(figures: Figures) -> list[object]:
    return [usd(getattr(figures, name)) if name in _MONEY else getattr(figures, name) for name in FIGURES]


def key_of(by: By, row: Row) -> tuple[str | None, ...]:
    match by:
        case "tenant" if row.tenant is not None:
            gone = row.tenant.deleted_at
            return row.tenant.id, row.tenant.name, None if gone is None else rfc3339(gone)
        case "end_user" if row.end_user is not None:
            user = row.end_user.spending
            return user.end_user_id, user.pseudonym, row.end_user.kind
        case "model":
            return (row.model,)
        case "code":
            return (row.code,)
    return (row.date,)
