"""Operators and the text of their tokens."""

from dataclasses import replace

import pytest

from service.domain.operator import Operator, Role, new_token_text, parse_token
from tests.support.factories import NOW

ADMIN = Operator(id="opr_1", name="Ada", role=Role.ADMIN, created_at=NOW)


@pytest.mark.parametrize(
    ("operator", "is_active_admin"),
    [
        (ADMIN, True),
        (replace(ADMIN, disabled_at=NOW), False),
        (replace(ADMIN, role=Role.OPERATOR), False),
        (replace(ADMIN, role=Role.VIEWER), False),
    ],
)
def test_operator_is_active_admin(operator: Operator, is_active_admin: bool) -> None:
    assert operator.is_active_admin is is_active_admin


def test_token_text_round_trip() -> None:
    parts, text = new_token_text()
    assert text.startswith("sgo_")
    assert parse_token(text) == parts
    assert parse_token(text.replace("sgo_", "sgk_")) is None
    assert parse_token(text[:-1] + ("0" if text[-1] != "0" else "1")) is None
