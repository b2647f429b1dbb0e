"""What fal sent never has a text that callers must not see, wherever fal put it."""

from typing import Any

import pytest

from service.domain.hidden import replaced


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("draft d-7 of d-7", "draft gen_1 of gen_1"),
        ({"id": "d-7", "d-7": {"x": ["d-7", 7]}}, {"id": "gen_1", "gen_1": {"x": ["gen_1", 7]}}),
        (("d-7", None), ["gen_1", None]),
        ([], []),
        *((other, other) for other in ("d-8", 7, 7.5, True, None)),
    ],
    ids=repr,
)
def test_hidden_text_is_replaced_everywhere(value: Any, shown: Any) -> None:
    assert replaced(value, "d-7", "gen_1") == shown
