"""What an entry of the audit trail shows of a change."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from service.domain import ids
from service.domain.trail import REDACTED, Changes, changes_between, known_form

WHEN = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Inner:
    weight: int = 1
    token: str = field(default="a", repr=False)


@dataclass(frozen=True)
class Outer:
    name: str = "acme"
    secret: str | None = field(default=None, repr=False)
    inner: Inner | None = None
    hidden: Inner = field(default=Inner(), repr=False)
    version: int = 1
    at: datetime | None = None


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (None, None, {}),
        (Outer(), Outer(), {}),
        (Outer(), Outer(version=2), {}),
        (5, "x", {}),
        (Outer(), Outer(name="other"), {"name": ("acme", "other")}),
        (Outer(), Outer(at=WHEN), {"at": (None, "2026-01-31T09:30:00Z")}),
        (Outer(at=WHEN), Outer(), {"at": ("2026-01-31T09:30:00Z", None)}),
        (Outer(), Outer(secret="s1"), {"secret": (None, REDACTED)}),
        (Outer(secret="s1"), Outer(), {"secret": (REDACTED, None)}),
        (Outer(secret="s1"), Outer(secret="s2"), {"secret": (REDACTED, REDACTED)}),
        (Outer(inner=Inner()), Outer(inner=Inner(2)), {"inner.weight": (1, 2)}),
        (Outer(inner=Inner()), Outer(inner=Inner(1, "b")), {"inner.token": (REDACTED, REDACTED)}),
        (Outer(), Outer(inner=Inner(3)), {"inner.weight": (None, 3), "inner.token": (None, REDACTED)}),
        (Outer(), Outer(hidden=Inner(2)), {"hidden.weight": (REDACTED, REDACTED)}),
    ],
)
def test_changes_are_those_of_the_fields(before: Any, after: Any, found: Changes) -> None:
    assert changes_between(before, after) == found
    assert list(changes_between(before, after)) == sorted(found)


def test_changes_of_a_new_object_are_all_its_fields() -> None:
    assert changes_between(None, Outer()) == {
        "name": (None, "acme"),
        "hidden.weight": (None, REDACTED),
        "hidden.token": (None, REDACTED),
    }
    assert changes_between(Outer(), None)["name"] == ("acme", None)


def test_changes_shorten_long_values() -> None:
    longest, longer = "x" * 1_000, "x" * 1_001
    found = changes_between(Outer(name=longest), Outer(name=longer))
    assert found == {"name": (longest, f"{longest}...")}


@pytest.mark.parametrize(
    "target",
    [
        *(ids.lowest(prefix, WHEN) for prefix in ("gen", "msg", "ten", "whe", "opr", "blk", "iss")),
        "0123456789ab",  # of an API key
        f"eu_{'0' * 32}",
        None,
    ],
)
def test_target_of_a_known_form_is_recorded(target: str | None) -> None:
    assert known_form(target) == target


@pytest.mark.parametrize(
    "target", ["", "ada@example.com", "0123456789abc", ids.lowest("upl", WHEN), ids.lowest("gen", WHEN)[4:]]
)
def test_target_of_another_form_is_not_recorded(target: str) -> None:
    assert known_form(target) is None
