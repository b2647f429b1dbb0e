"""Tables as CSV. Text that a spreadsheet would evaluate as a formula is quoted; numbers are not."""

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV. The caller passes text of tenants through ``text_cell``."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def text_cell(text: str | None) -> str:
    """Quote a text that a spreadsheet would evaluate as a formula. None is an empty cell."""
    return f"'{text}" if text and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text or ""
