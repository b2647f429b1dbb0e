"""Named parameters of scripts: order, Lua locals, and the refusal of names that do not fit the declaration."""

import pytest

from service.store.redis.parameters import Parameters

HEADER = """\
-- KEYS  generation, due_poll (time of the next poll),
--       deliveries... (one for each event)
-- ARGV  now_ms
"""


def test_order_is_the_declared_one() -> None:
    keys = Parameters("KEYS", HEADER)
    assert keys.order({"due_poll": "b", "deliveries": ["c", "d"], "generation": "a"}) == ("a", "b", "c", "d")


def test_prelude_declares_locals_and_start_of_the_rest() -> None:
    assert Parameters("KEYS", HEADER).prelude() == (
        "local generation_key, due_poll_key = unpack(KEYS, 1, 2)\nlocal deliveries_start = 3\n"
    )
    assert Parameters("ARGV", HEADER).prelude() == "local now_ms = unpack(ARGV, 1, 1)\n"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "now_ms"),
        ({"now": 1}, "now_ms"),
        ({"now_ms": 1, "limit": 2}, "limit"),
    ],
)
def test_order_refuses_missing_and_unknown_names(values: dict[str, int], named: str) -> None:
    with pytest.raises(TypeError, match=named):
        Parameters("ARGV", HEADER).order(values)


@pytest.mark.parametrize("names", ["now_ms, now_ms", "Now", "1st"])
def test_declaration_of_wrong_names_is_refused(names: str) -> None:
    with pytest.raises(ValueError, match="distinct names"):
        Parameters("ARGV", f"-- ARGV  {names}\n")
