"""Bodies of bulk jobs: which conditions go with which act, and the faults that callers read."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.domain.bulk import BulkKind
from service.domain.bulk_request import BULK_PREVIEW, BulkFilterBody

#: A value of each condition, and the acts that it goes with.
CONDITIONS: dict[str, tuple[Any, set[str]]] = {
    "tenant_id": ("ten_1", {"cancel", "dismiss", "replay"}),
    "ids": (["gen_1"], {"cancel", "dismiss", "replay"}),
    "created_after": ("2026-01-31T09:30:00Z", {"cancel", "dismiss", "replay"}),
    "created_before": ("2026-01-31T09:30:00Z", {"cancel", "dismiss", "replay"}),
    "submitted_before": ("2026-01-31T09:30:00Z", {"dismiss"}),
    "end_user_id": ("customer-7", {"cancel", "dismiss"}),
    "end_user": ("eu_1", {"cancel", "dismiss"}),
    "model": ("bytedance/seedance-2.0/text-to-video", {"cancel", "dismiss"}),
    "metadata": ({"order": "42"}, {"cancel", "dismiss"}),
    "fal_request_id": ("b2f1c9d4-53a7-4e0c-8d61-1f0a9c7e2b35", {"cancel", "dismiss"}),
    "endpoint_id": ("whe_1", {"replay"}),
    "event": ("generation.failed", {"replay"}),
    "generation_id": ("gen_1", {"replay"}),
}


def faults_of(kind: str, conditions: dict[str, Any]) -> list[tuple[str, str]]:
    """Return type and text of each fault of a body."""
    try:
        BULK_PREVIEW.validate_python({"kind": kind, "filter": conditions})
    except ValidationError as error:
        return [(fault["type"], fault["msg"]) for fault in error.errors()]
    return []


def test_bulk_filter_has_no_condition_beyond_the_table() -> None:
    assert {*CONDITIONS, "status"} == set(BulkFilterBody.model_fields)


@pytest.mark.parametrize("kind", [kind.value for kind in BulkKind])
@pytest.mark.parametrize("name", CONDITIONS)
def test_bulk_condition_goes_with_its_acts_only(name: str, kind: str) -> None:
    value, kinds = CONDITIONS[name]
    expected = [] if kind in kinds else [("kind", f"filter.{name} does not go with {kind}")]

    assert faults_of(kind, {name: value}) == expected


def test_bulk_filter_without_conditions_goes_with_each_act() -> None:
    assert [faults_of(kind.value, {}) for kind in BulkKind] == [[], [], []]


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("cancel", "queued", None),
        ("cancel", "in_flight", None),
        ("cancel", "unconfirmed", None),
        (
            "cancel",
            "dead",
            "filter.status must be one of: queued, in_flight, submitting, unconfirmed, submitted, in_progress",
        ),
        ("replay", "dead", None),
        ("replay", "delivered", None),
        ("replay", "queued", "filter.status must be one of: dead, delivered"),
        ("dismiss", "queued", "filter.status does not go with dismiss"),
        ("dismiss", "dead", "filter.status does not go with dismiss"),
    ],
)
def test_bulk_status_is_one_that_the_act_can_change(kind: str, status: str, text: str | None) -> None:
    assert faults_of(kind, {"status": status}) == ([] if text is None else [("kind", text)])


def test_bulk_filter_with_two_wrong_conditions_names_one() -> None:
    """The first by name, whatever the order of the body."""
    wrong = {"model": "a/b", "end_user_id": "customer-7", "metadata": {}}

    assert faults_of("replay", wrong) == [("kind", "filter.end_user_id does not go with replay")]


def test_bulk_filter_names_an_end_user_in_one_way() -> None:
    both = {"end_user": "eu_1", "end_user_id": "customer-7"}

    assert faults_of("cancel", both) == [("one_of", "filter.end_user goes without filter.end_user_id")]
