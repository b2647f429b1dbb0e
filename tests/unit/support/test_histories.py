"""The checker of histories accepts what a correct gateway does, and finds each kind of violation."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.support.histories.checker import violations
from tests.support.histories.operations import Budget, Event, Operation, View

QUEUED = View("gen_1", "queued", prompt="a cat")
RUNNING = replace(QUEUED, status="in_progress")
SUCCEEDED = replace(QUEUED, status="succeeded", cost="1.500000")
FAILED = replace(QUEUED, status="failed", cost="0.000000", error="content_policy")
CANCELED = replace(QUEUED, status="canceled", cost="0.000000")
DELIVERED = Event("dlv_1", SUCCEEDED)


def create(
    began: float, ended: float, *views: View, answer: int | None = 202, key: str | None = "order 1"
) -> Operation:
    return Operation(
        client="a", action="create", began=began, ended=ended, answer=answer, key=key, prompt="a cat", views=views
    )


def read(began: float, ended: float, *views: View, answer: int | None = 200, action: Any = "read") -> Operation:
    return Operation(client="a", action=action, began=began, ended=ended, answer=answer, subject="gen_1", views=views)


def usage(held: str, spent: str, limit: str | None = "10") -> Operation:
    budget = Budget(None if limit is None else Decimal(limit), Decimal(held), Decimal(spent))
    return Operation(client="a", action="usage", began=0, ended=1, answer=200, budget=budget)


GOOD: dict[str, list[Operation]] = {
    "a create without response took effect": [create(0, 1, answer=None), create(2, 3, QUEUED)],
    "two creates of a key at once": [create(0, 5, QUEUED), create(1, 4, QUEUED)],
    "a refusal before the create that is accepted": [create(0, 1, answer=402), create(2, 3, QUEUED)],
    "a refusal at the same time": [create(0, 5, answer=402), create(1, 4, QUEUED)],
    "a call that is repeated later": [create(0, 1, QUEUED), create(2, 3, answer=503), create(4, 5, answer=429)],
    "a read before the create has ended": [create(0, 5, QUEUED), read(1, 2, answer=404)],
    "concurrent reads in any order": [create(0, 1, QUEUED), read(2, 9, QUEUED), read(3, 4, RUNNING)],
    "a submit that was not sent": [read(0, 1, replace(QUEUED, status="submitting")), read(2, 3, QUEUED)],
    "a cancel that fal may ignore": [read(0, 1, RUNNING, answer=202, action="cancel"), read(2, 3, SUCCEEDED)],
    "a budget in use": [usage("4", "6"), usage("99", "0", None)],
    "the same end twice": [read(0, 1, SUCCEEDED), read(2, 3, SUCCEEDED)],
}
#: Of each bad history: its operations, and the text of its violation.
BAD: dict[str, tuple[list[Operation], str]] = {
    "two generations of a key": (
        [create(0, 1, QUEUED), create(0, 1, replace(QUEUED, id="gen_2"))], "has created 2 generations",
    ),
    "a key is refused later": ([create(0, 1, QUEUED), create(2, 3, answer=402)], "refused with 402"),
    "a lost create and its repetition both took effect": (
        [create(0, 1, answer=None), create(2, 3, QUEUED), read(4, 5, QUEUED, replace(QUEUED, id="gen_2"))],
        "1 creates of 'a cat' have made 2 generations",
    ),
    "an accepted generation is not found": ([create(0, 1, QUEUED), read(2, 3, answer=404)], "did not find it"),
    "a status moves back": ([read(0, 1, RUNNING), read(2, 3, QUEUED)], "was in_progress, and then queued"),
    "an end is undone": ([read(0, 1, SUCCEEDED), read(2, 3, RUNNING)], "was succeeded, and then in_progress"),
    "an end changes": ([read(0, 9, FAILED), read(1, 8, SUCCEEDED)], "has 2 ends"),
    "a cost changes": ([read(0, 1, SUCCEEDED), read(2, 3, replace(SUCCEEDED, cost="2.000000"))], "has 2 ends"),
    "a canceled generation succeeds": (
        [read(0, 1, CANCELED, action="cancel"), read(2, 3, SUCCEEDED)], "was canceled, and has succeeded",
    ),
    "a budget is exceeded": ([usage("4", "6.000001")], "a budget of 10 has 4 held"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_history_that_is_right_has_no_violations(name: str) -> None:
    assert violations(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_history_that_is_wrong_has_a_violation(name: str) -> None:
    operations, expected = BAD[name]
    assert any(expected in text for text in violations(operations)), violations(operations)


@pytest.mark.parametrize(("failover_at", "is_right"), [(0.5, False), (1.5, True)])
def test_status_from_before_a_failover_may_move_back(failover_at: float, is_right: bool) -> None:
    found = violations([read(0, 1, RUNNING), read(2, 3, QUEUED)], failover_at=failover_at)
    assert (found == []) == is_right


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([DELIVERED, DELIVERED], None),
        ([DELIVERED, Event("dlv_9", RUNNING)], None),
        ([], "has 0 webhook ids"),
        ([DELIVERED, Event("dlv_2", SUCCEEDED)], "has 2 webhook ids"),
        ([Event("dlv_1", FAILED)], "in its event"),
        ([Event("dlv_1", replace(SUCCEEDED, cost="2.000000"))], "in its event"),
    ],
)
def test_history_has_one_event_of_each_end(events: list[Event], expected: str | None) -> None:
    found = violations([read(0, 1, SUCCEEDED)], events)
    assert bool(found) == (expected is not None)
    assert expected is None or expected in found[0]


def test_history_has_one_job_at_fal_for_each_create() -> None:
    operations = [create(0, 1, answer=None), create(2, 3, QUEUED)]
    assert violations(operations, submits=["a cat", "another"]) == []
    assert "2 jobs at fal" in violations(operations, submits=["a cat", "a cat"])[0]


# --- any history of a gateway that does each operation at one moment -------------------------------------------------

_LIFE = (QUEUED, replace(QUEUED, status="submitting"), replace(QUEUED, status="submitted"), RUNNING, SUCCEEDED)


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Creates of one key and reads, each of which takes effect at a moment between its begin and its end."""
    changes = sorted(draw(st.lists(st.floats(10, 90), min_size=len(_LIFE) - 1, max_size=len(_LIFE) - 1, unique=True)))
    made_at: float | None = None
    operations = []
    for at in sorted(draw(st.lists(st.floats(0, 100), min_size=1, max_size=20, unique=True))):
        began, ended = at - draw(st.floats(0, 30)), at + draw(st.floats(0, 30))
        is_create, is_lost = draw(st.booleans()), draw(st.booleans())
        if is_create and made_at is None:
            made_at = at
        shown = () if made_at is None or is_lost else (_LIFE[sum(change <= at for change in changes)],)
        make: Callable[..., Operation] = create if is_create else read
        answer = None if is_lost else (202 if is_create else 200) if shown else 404
        operations.append(make(began, ended, *shown, answer=answer))
    return operations


@given(histories())
def test_history_of_atomic_operations_is_right(operations: list[Operation]) -> None:
    assert violations(operations, [DELIVERED]) == []


@given(histories(), st.data())
def test_history_with_another_generation_is_wrong(operations: list[Operation], data: st.DataObject) -> None:
    accepted = [one for one in operations if one.action == "create" and one.views]
    if len(accepted) > 1:
        one = data.draw(st.sampled_from(accepted))
        other = replace(one, views=(replace(one.views[0], id="gen_2"),))
        assert violations([other if each is one else each for each in operations])


@given(histories(), st.floats(0, 100))
def test_history_with_a_late_read_of_an_early_status_is_wrong(operations: list[Operation], at: float) -> None:
    later = max(one.ended for one in operations) + at + 1
    advanced = [
        one for one in operations if one.views and one.views[0].status in ("submitted", "in_progress", "succeeded")
    ]
    assert bool(violations([*operations, read(later, later + 1, QUEUED)])) == bool(advanced)
