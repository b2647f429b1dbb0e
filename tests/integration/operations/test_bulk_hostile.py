"""Hostile bodies of bulk jobs: each is refused with a precise 4xx, and nothing changes; none is a 500."""

import json
from typing import Any, Final

import httpx
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.domain.bulk import BulkKind
from service.domain.bulk_request import BulkFilterBody
from service.domain.tenant import Tenant
from tests.integration.operations.test_bulk import BULK, queued

#: Texts that have ended some parser: what is not a Unicode scalar, ids of others, times at the ends of the range.
TEXTS: Final = (
    *("", " ", "\x00", "\ud800", "a\udfff", "\u202e", "x" * 201, "x" * 5_000, "{kind}", "%s", "*", "[a", "\r\n"),
    *("9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-01-31T00:00:00+23:59"),
    *("2026-02-30T00:00:00Z", "2026-01-31", "1e400", "NaN", "queued", "in_flight", "live", "dead", "pending"),
    *("ten_00000000000000000000000000", "gen_00000000000000000000000000", "ten_1", "../x", "gen_\ud800"),
)
_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES: Final = (*BulkFilterBody.model_fields, "prompt")
_FILTERS: Final = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=3)
_FIELDS: Final = st.dictionaries(
    st.sampled_from(("kind", "filter", "reason", "previewed_at", "expected", "more", "x")),
    _VALUES,
    min_size=1,
    max_size=2,
)
_KINDS: Final = st.sampled_from([kind.value for kind in BulkKind])
_OF_TENANT: Final = st.booleans()

EXAMPLES: Final = hypothesis_settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def refused(client: httpx.AsyncClient, path: str, body: Any) -> bool:
    """Send a body; return whether it was refused, with a problem that says what is wrong."""
    answer = await client.post(
        path, content=json.dumps(body).encode("utf-8"), headers={"content-type": "application/json"}
    )
    assert answer.status_code in {200, 202, 400, 404, 409, 422}, (body, answer.text)
    if answer.status_code in {400, 422}:
        problem = answer.json()
        assert problem["code"] in {"malformed", "invalid"}, problem
        assert problem["detail"], problem
        assert problem["code"] == "malformed" or all(
            one["pointer"] == "" or one["pointer"][0] == "/" for one in problem["errors"]
        ), problem
    return answer.status_code >= 400


@EXAMPLES
@given(kind=_KINDS, conditions=_FILTERS, of_tenant=_OF_TENANT)
async def test_bulk_preview_of_any_filter_is_an_answer(
    app: FastAPI, operator: httpx.AsyncClient, tenant: Tenant, kind: str, conditions: dict[str, Any], of_tenant: bool
) -> None:
    wanted = {**conditions, **({"tenant_id": tenant.id} if of_tenant else {})}
    await refused(operator, f"{BULK}/preview", {"kind": kind, "filter": wanted})


@EXAMPLES
@given(fields=_FIELDS)
async def test_bulk_start_with_wrong_fields_changes_nothing(
    app: FastAPI, operator: httpx.AsyncClient, tenant: Tenant, fields: dict[str, Any]
) -> None:
    """Two generations match, and one is expected: a body is refused for its fields, or for that."""
    jobs = (await operator.get(BULK)).json()
    if not await app.state.runtime.redis.execute("EXISTS", "{sg}:made"):
        await app.state.runtime.redis.execute("SET", "{sg}:made", 1)
        await queued(app.state.runtime, tenant, 2)
    body = {
        "kind": "cancel",
        "filter": {"tenant_id": tenant.id},
        "reason": "a flood",
        "previewed_at": app.state.runtime.clock().isoformat(),
        "expected": 1,
    }
    body |= fields
    is_accepted = not await refused(operator, BULK, body)
    if is_accepted:  # nothing that matches was expected: only a larger number, or another valid filter
        assert "expected" in fields or "filter" in fields or fields.keys() & {"kind", "previewed_at"}, body
    else:
        assert (await operator.get(BULK)).json() == jobs, body
