"""Lines for a file of models, from texts that fal sent: a TOML parser reads them back, and they are not long."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.models.toml import is_name, quote, toml


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (5, "5"),
        (-1, "-1"),
        (0.5, "0.5"),
        ("H264", '"H264"'),
        ('say "x" \\ y', '"say \\"x\\" \\\\ y"'),
        (None, '""'),
        ((), "[]"),
        (("a", "b"), '["a", "b"]'),
        ([4, 30], "[4, 30]"),
        ({"type": "choice", "values": ("a",)}, '{ type = "choice", values = ["a"] }'),
        ({"type": "boolean", "default": False}, '{ type = "boolean", default = false }'),
    ],
    ids=repr,
)
def test_toml_of_a_value_is_one_line(value: Any, text: str) -> None:
    assert toml(value) == text
    assert toml(tomllib.loads(f"x = {text}")["x"]) == text


@given(st.text(max_size=80))
def test_toml_of_any_text_is_read_back(text: str) -> None:
    line = f"x = {toml(text)}"

    assert tomllib.loads(line) == {"x": quote(text)}
    assert line.isprintable()


def test_toml_of_a_long_list_says_that_more_follow() -> None:
    numbers = list(range(65))

    assert toml(numbers[:64]) == str(numbers[:64])
    assert toml(numbers) == f"{str(numbers[:64])[:-1]}, ...]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("a b", "a b"),
        ("a\nb\x00\u202ec", "a?b??c"),
        ("é✓", "é✓"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 64 + "..."),
    ],
)
def test_quote_is_printable_and_short(text: str, shown: str) -> None:
    assert quote(text) == shown


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("prompt", True),
        ("end_image_url", True),
        ("x", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("_x", False),
        ("X", False),
        ("a-b", False),
        ("a1", False),
        ("a\n", False),
        ("a.b", False),
    ],
)
def test_name_of_a_field_is_one_that_a_file_can_have(text: str, valid: bool) -> None:
    assert is_name(text) is valid
