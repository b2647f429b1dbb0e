"""Records of generations: those of older releases are read, those of newer releases are refused."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.domain.generation import idempotency_digest
from service.domain.status import Status
from service.errors import Unavailable
from service.store.generations import records
from service.store.generations.records import dump, load
from tests.support import factories

#: A record as release 0.1.0 wrote it, before records had a version. Never change it: stores contain such records.
OLDEST = Path(__file__).with_name("generation-record-0.json").read_bytes().strip()


def test_record_of_version_0_is_read() -> None:
    g = load(OLDEST)
    assert (g.id, g.status, g.version, g.estimated_cost) == ("gen_01kg93f9y0v9n1q2r3s4t5u6v7", "succeeded", 5, 4576975)
    assert (g.retention, g.deliveries, g.metadata) == (timedelta(days=7), ("dlv_1",), {"order": "7"})
    assert g.output is not None
    assert g.output.video.file_size == 3415926
    written = json.loads(dump(g))
    assert written.pop("record") == records.VERSION
    assert written.pop("idempotency_digest") == idempotency_digest("order-7")
    assert written | {"idempotency_key": "order-7"} == json.loads(OLDEST), "nothing else is lost"


@pytest.mark.parametrize("status", Status)
def test_record_round_trip(status: Status) -> None:
    g = factories.in_status(status)
    assert load(dump(g)) == g
    assert json.loads(dump(g))["record"] == records.VERSION


def test_migrations_run_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two releases later: one has renamed a field, the other has changed its meaning."""

    def renamed(fields: dict[str, Any]) -> dict[str, Any]:
        cost = fields["estimated_cost"]
        return {**{name: value for name, value in fields.items() if name != "estimated_cost"}, "cost": cost}

    def in_dollars(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "cost": fields["cost"] / 1_000_000}

    known = json.loads(dump(load(OLDEST)))
    monkeypatch.setattr(records, "MIGRATIONS", (*records.MIGRATIONS, renamed, in_dollars))
    monkeypatch.setattr(records, "VERSION", records.VERSION + 2)
    monkeypatch.setattr(records, "_STAMP", b'{"record":4,')
    for record in (OLDEST, json.dumps(known).encode(), json.dumps({**renamed(known), "record": 3}).encode()):
        fields = json.loads(records.migrated(record))
        assert (fields["record"], fields["cost"]) == (4, 4.576975)
        assert "estimated_cost" not in fields
        assert records.migrated(records.migrated(record)) == records.migrated(record)


def test_record_of_newer_release_is_unavailable() -> None:
    newer = json.dumps({**json.loads(OLDEST), "record": records.VERSION + 1}).encode()
    with pytest.raises(Unavailable, match="newer release"):
        load(newer)
