"""Conditions of lists, searches and bulk jobs: which generations a caller gets."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.domain.generation_filter import Filter
from service.domain.status import PublicStatus, Status, StatusGroup
from tests.support import factories
from tests.support.factories import NOW

MS = timedelta(milliseconds=1)
MICRO = timedelta(microseconds=1)
G = replace(
    factories.in_status(Status.SUBMITTED),
    tenant_id="ten_1",
    end_user="eu_1",
    model="a/b",
    request_id="request-1",
    metadata={"order": "42", "lang": "fr"},
    created_at=NOW,
    submitted_at=NOW + MS,
)
FAILED = replace(factories.in_status(Status.FAILED), error=factories.failure(code="expired"))


@pytest.mark.parametrize(
    ("conditions", "matches"),
    [
        ({}, True),
        ({"tenant_id": "ten_1"}, True),
        ({"tenant_id": "ten_2"}, False),
        ({"tenant_id": "ten_1", "end_user": "eu_1"}, True),
        ({"tenant_id": "ten_1", "end_user": "eu_2"}, False),
        ({"model": "a/b"}, True),
        ({"model": "a/c"}, False),
        ({"fal_request_id": "request-1"}, True),
        ({"fal_request_id": "request-2"}, False),
        ({"error_code": "expired"}, False),
        ({"tenant_id": "ten_1", "metadata": (("order", "42"),)}, True),
        ({"tenant_id": "ten_1", "metadata": (("order", "42"), ("lang", "fr"))}, True),
        ({"tenant_id": "ten_1", "metadata": (("order", "42"), ("lang", "de"))}, False),
        ({"tenant_id": "ten_1", "metadata": (("other", "42"),)}, False),
        ({"oldest_first": True}, True),
        # Each condition alone is met, but not all.
        ({"tenant_id": "ten_1", "model": "a/c"}, False),
        ({"tenant_id": "ten_2", "model": "a/b"}, False),
    ],
)
def test_filter_matches_what_meets_all_conditions(conditions: dict[str, Any], matches: bool) -> None:
    assert Filter(**conditions).matches(G) is matches


@pytest.mark.parametrize(
    ("name", "bound", "matches"),
    [
        ("created_after", NOW - MS, True),
        ("created_after", NOW, False),
        ("created_after", NOW + MICRO, False),
        ("created_after", NOW - MICRO, True),
        ("created_before", NOW + MS, True),
        ("created_before", NOW, False),
        ("created_before", NOW + MICRO, False),  # the same millisecond
        ("submitted_before", NOW + 2 * MS, True),
        ("submitted_before", NOW + MS, False),
        ("submitted_before", NOW + MS + MICRO, False),
    ],
)
def test_filter_has_exclusive_bounds_in_milliseconds(name: str, bound: datetime, matches: bool) -> None:
    conditions: dict[str, Any] = {name: bound}
    assert Filter(**conditions).matches(G) is matches


def test_filter_by_submit_has_no_generation_without_a_submit() -> None:
    assert not Filter(submitted_before=NOW).matches(factories.generation())
    assert Filter().matches(factories.generation())


def test_filter_by_end_user_has_no_erased_generation() -> None:
    """An operator who knows a pseudonym does not get the generations of an erased person."""
    erased = replace(G, erased=True)

    assert not Filter(tenant_id="ten_1", end_user="eu_1").matches(erased)
    assert Filter(tenant_id="ten_1").matches(erased)


@pytest.mark.parametrize(("code", "matches"), [(None, True), ("expired", True), ("internal", False)])
def test_filter_by_error_code_has_its_failures(code: Any, matches: bool) -> None:
    assert Filter(error_code=code).matches(FAILED) is matches


def selected(status: PublicStatus | StatusGroup) -> set[Status]:
    return {each for each in Status if Filter(status=status).matches(factories.in_status(each))}


@pytest.mark.parametrize(
    ("status", "selects"),
    [
        (StatusGroup.LIVE, set(Status) - {Status.SUCCEEDED, Status.FAILED, Status.CANCELED}),
        (StatusGroup.IN_FLIGHT, set(Status) - {Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.CANCELED}),
        (PublicStatus.IN_PROGRESS, {Status.IN_PROGRESS, Status.COPYING}),
        *((public, {Status(public)}) for public in PublicStatus if public is not PublicStatus.IN_PROGRESS),
    ],
)
def test_filter_by_status_selects_what_callers_see(status: PublicStatus | StatusGroup, selects: set[Status]) -> None:
    assert selected(status) == selects


@pytest.mark.parametrize("conditions", [{"end_user": "eu_1"}, {"metadata": (("order", "42"),)}])
def test_filter_on_data_of_a_tenant_needs_the_tenant(conditions: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^Conditions on end users and on metadata need a tenant\.$"):
        Filter(**conditions)


@pytest.mark.parametrize(
    ("conditions", "text"),
    [
        (Filter(), b"{}"),
        (Filter(status=StatusGroup.LIVE, oldest_first=True), b'{"status":"live","oldest_first":true}'),
        (
            Filter(tenant_id="ten_1", metadata=(("order", "42"),), created_after=NOW),
            b'{"tenant_id":"ten_1","created_after":"2026-01-31T09:30:00Z","metadata":[["order","42"]]}',
        ),
    ],
)
def test_filter_has_the_stored_form(conditions: Filter, text: bytes) -> None:
    """A job of an earlier release continues after an upgrade: this form cannot change."""
    assert conditions.to_json() == text
    assert Filter.from_json(text) == conditions


@pytest.mark.parametrize("text", [b"", b"[]", b'{"status":"lost"}', b'{"end_user":"eu_1"}'])
def test_filter_is_not_read_from_other_texts(text: bytes) -> None:
    with pytest.raises(ValueError, match="Filter"):
        Filter.from_json(text)
