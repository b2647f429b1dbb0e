"""Claims by name and by JSON pointer, as texts."""

from typing import Any, Final

import pytest

from service.domain.identity.claims import texts_of

CLAIMS: Final[dict[str, Any]] = {
    "text": "a",
    "number": 7,
    "true": True,
    "false": False,
    "half": 0.5,
    "none": None,
    "list": ["a", 7, False, None, {"a": 1}, ["b"]],
    "object": {"inner": {"name": "b"}, "a/b": "c", "m~n": "d", "~1": "e", "": "f"},
    "a/b": "flat",
}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("text", ["a"]),
        ("number", ["7"]),
        ("true", ["true"]),
        ("false", ["false"]),
        ("half", []),
        ("none", []),
        ("missing", []),
        ("list", ["a", "7", "false"]),
        ("object", []),
        ("a/b", ["flat"]),
        ("/text", ["a"]),
        ("/object/inner/name", ["b"]),
        ("/object/a~1b", ["c"]),
        ("/object/m~0n", ["d"]),
        ("/object/~01", ["e"]),
        ("/object/", ["f"]),
        ("/object/missing/name", []),
        ("/text/a", []),
        ("/list/0", []),
        ("/", []),
        ("", []),
    ],
)
def test_claim_has_texts(name: str, texts: list[str]) -> None:
    assert texts_of(CLAIMS, name) == texts
