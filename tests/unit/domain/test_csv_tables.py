"""Tables for spreadsheets: they are read back as written, and no text of a tenant becomes a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.csv_tables import csv_text, text_cell


def test_csv_has_a_head_and_quotes_where_needed() -> None:
    rows = [("a,b", 1, -2.5), ('say "x"', None, "two\nlines")]

    assert csv_text(["name", "count", "change"], rows) == (
        'name,count,change\r\n"a,b",1,-2.5\r\n"say ""x""",,"two\nlines"\r\n'
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_of_a_formula_is_quoted(text: str) -> None:
    assert text_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["customer-7", "1+1", "'=1", " =1", "X", "€", "a\t", "0"])
def test_other_text_is_unchanged(text: str) -> None:
    assert text_cell(text) == text


def test_cell_without_text_is_empty() -> None:
    assert (text_cell(None), text_cell("")) == ("", "")


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)))
def test_csv_is_read_back_as_written(rows: list[list[str]]) -> None:
    cells = [[text_cell(text) for text in row] for row in rows]
    head = ["a", "b"]

    assert list(csv.reader(io.StringIO(csv_text(head, cells), newline=""))) == [head, *cells]
