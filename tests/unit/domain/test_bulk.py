"""What a bulk job selects, before and after its selection was stored, and the name of a job in the due set."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.bulk import BulkKind, Selection, job_name, of_job
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.status import PublicStatus, StatusGroup
from service.domain.webhook import Delivery, DeliveryFilter, DeliveryStatus
from tests.support import factories
from tests.support.factories import NOW

MS = timedelta(milliseconds=1)
QUEUED = factories.generation(id="gen_1", tenant_id="ten_1")
DEAD = factories.delivery(id="msg_1", tenant_id="ten_1", status=DeliveryStatus.DEAD)
MOMENTS = st.none() | st.timedeltas(timedelta(), timedelta(days=36_500)).map(lambda later: NOW + later)
TEXTS = st.none() | st.text(st.characters(codec="utf-8"))
NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=3).map(tuple)
OF_GENERATIONS = st.builds(
    Filter,
    tenant_id=st.text(st.characters(codec="utf-8")),
    end_user=TEXTS,
    status=st.sampled_from([None, *PublicStatus, *StatusGroup]),
    error_code=st.sampled_from([None, "expired", "internal"]),
    model=TEXTS,
    created_after=MOMENTS,
    created_before=MOMENTS,
    submitted_before=MOMENTS,
    fal_request_id=TEXTS,
    metadata=st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))).map(
        lambda pairs: tuple(pairs.items())
    ),
    oldest_first=st.booleans(),
)
OF_DELIVERIES = st.builds(
    DeliveryFilter,
    tenant_id=TEXTS,
    status=st.sampled_from([None, *DeliveryStatus]),
    endpoint_id=TEXTS,
    generation_id=TEXTS,
    event=TEXTS,
    created_after=MOMENTS,
    created_before=MOMENTS,
)


@pytest.mark.parametrize(
    ("item", "selection", "selected"),
    [
        (QUEUED, Selection(filter=Filter()), True),
        (QUEUED, Selection(filter=Filter(status=PublicStatus.QUEUED)), True),
        (QUEUED, Selection(filter=Filter(status=StatusGroup.IN_FLIGHT)), False),
        (QUEUED, Selection(filter=Filter(), ids=("gen_2", "gen_1")), True),
        (QUEUED, Selection(filter=Filter(), ids=("gen_2",)), False),
        (QUEUED, Selection(filter=Filter(status=StatusGroup.IN_FLIGHT), ids=("gen_1",)), False),
        (DEAD, Selection(filter=DeliveryFilter()), True),
        (DEAD, Selection(filter=DeliveryFilter(status=DeliveryStatus.DEAD)), True),
        (DEAD, Selection(filter=DeliveryFilter(status=DeliveryStatus.DELIVERED)), False),
        (DEAD, Selection(filter=DeliveryFilter(created_after=NOW)), False),
        (DEAD, Selection(filter=DeliveryFilter(), ids=("msg_1",)), True),
        (DEAD, Selection(filter=DeliveryFilter(), ids=("msg_2",)), False),
    ],
)
def test_bulk_selects_items_that_match_and_are_named(
    item: Generation | Delivery, selection: Selection, selected: bool
) -> None:
    assert selection.has(item) is selected


def test_bulk_selection_is_of_one_kind_of_items() -> None:
    of_generations, of_deliveries = Selection(filter=Filter()), Selection(filter=DeliveryFilter(tenant_id="ten_1"))

    assert (of_generations.tenant_id, of_deliveries.tenant_id) == (None, "ten_1")
    with pytest.raises(TypeError, match="on generations"):
        of_generations.has(DEAD)
    with pytest.raises(TypeError, match="on deliveries"):
        of_deliveries.has(QUEUED)


@pytest.mark.parametrize("before", [None, NOW + 2 * MS, NOW + timedelta(days=1)])
@pytest.mark.parametrize(("created_at", "selected"), [(NOW - MS, True), (NOW, True), (NOW + MS, False)])
def test_bulk_selects_nothing_created_after_the_preview(
    before: datetime | None, created_at: datetime, selected: bool
) -> None:
    previewed = Selection(filter=Filter(created_before=before, model=QUEUED.model), ids=("gen_1",)).until(NOW)

    assert previewed.has(replace(QUEUED, created_at=created_at)) is selected
    assert (previewed.ids, previewed.generations.model) == (("gen_1",), QUEUED.model)


def test_bulk_preview_does_not_widen_the_times_of_a_filter() -> None:
    past = Selection(filter=DeliveryFilter(created_before=NOW - MS))

    assert past.until(NOW) == past


@pytest.mark.parametrize(
    ("kind", "selection", "stored"),
    [
        (BulkKind.CANCEL, Selection(filter=Filter()), {}),
        (
            BulkKind.CANCEL,
            Selection(filter=Filter(tenant_id="ten_1", status=StatusGroup.IN_FLIGHT, metadata=(("é", "1"),))),
            {"tenant_id": "ten_1", "status": "in_flight", "metadata": [["é", "1"]]},
        ),
        (
            BulkKind.DISMISS,
            Selection(filter=Filter(submitted_before=NOW), ids=("gen_1", "gen_2")),
            {"submitted_before": "2026-01-31T09:30:00Z", "ids": ["gen_1", "gen_2"]},
        ),
        (
            BulkKind.REPLAY,
            Selection(filter=DeliveryFilter(status=DeliveryStatus.DEAD, created_before=NOW)),
            {"status": "dead", "created_before": "2026-01-31T09:30:00Z"},
        ),
    ],
)
def test_bulk_selection_has_the_stored_form(kind: BulkKind, selection: Selection, stored: dict[str, Any]) -> None:
    """It cannot change: jobs go on after an upgrade, and the same selection joins a job by the hash of these bytes."""
    text = json.dumps(stored, ensure_ascii=False).encode()

    assert selection.to_json() == text
    assert selection.to_dict() == stored
    assert Selection.from_json(kind, text) == selection


@given(
    st.tuples(st.sampled_from([BulkKind.CANCEL, BulkKind.DISMISS]), OF_GENERATIONS)
    | st.tuples(st.just(BulkKind.REPLAY), OF_DELIVERIES),
    NAMES,
)
def test_bulk_selection_survives_its_storage(
    of: tuple[BulkKind, Filter | DeliveryFilter], names: tuple[str, ...]
) -> None:
    kind, conditions = of
    selection = Selection(filter=conditions, ids=names)

    assert Selection.from_json(kind, selection.to_json()) == selection


@pytest.mark.parametrize(
    ("name", "job_id"),
    [
        (job_name("blk_01khg1np40abcdefghjkmnpqrs"), "blk_01khg1np40abcdefghjkmnpqrs"),
        ("bulk:blk_01khg1np40abcdefghjkmnpqrs", "blk_01khg1np40abcdefghjkmnpqrs"),
        ("bulk:blk_01khg1np40abcdefghjkmnpqrs:x", None),
        ("bulk:gen_01khg1np40abcdefghjkmnpqrs", None),
        ("bulk:", None),
        ("bulk", None),
        ("other:blk_01khg1np40abcdefghjkmnpqrs", None),
        ("blk_01khg1np40abcdefghjkmnpqrs", None),
        ("gen_01khg1np40abcdefghjkmnpqrs", None),
    ],
)
def test_bulk_job_is_found_by_its_name_in_the_sweep(name: str, job_id: str | None) -> None:
    assert of_job(name) == job_id
