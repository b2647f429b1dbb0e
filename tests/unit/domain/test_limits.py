"""Limits of a tenant in a body of the admin API: an absent field changes nothing, null removes a limit."""

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from service.api.admin.limits_schemas import LimitsBody, limits_view
from service.api.admin.tenant_schemas import TenantChange
from service.domain.tenant import Limits
from tests.support import factories

FULL = Limits(
    requests_per_minute=600,
    burst=20,
    queued_generations=100,
    concurrent_generations=5,
    weight=3,
    references=3,
    models=("bytedance/seedance-2.0/image-to-video",),
    resolutions=("480p", "720p"),
    durations=("4", "auto"),
    monthly_budget=500_000_000,
    end_user_daily_budget=1,
    end_user_daily_count=9,
    retention=timedelta(days=2),
    webhook_url="https://a.example/hook",
    daily_generations=500,
    daily_new_end_users=50,
    stored_deliveries=5_000,
    undelivered_tests=5,
    webhook_endpoints=3,
)
#: The name of each limit in the API; different only if it has a unit.
WORDS = {
    "monthly_budget": "monthly_budget_usd",
    "end_user_daily_budget": "end_user_daily_budget_usd",
    "retention": "retention_seconds",
}


def body(**members: Any) -> LimitsBody:
    return LimitsBody.model_validate(members)


def api_name(name: str) -> str:
    return WORDS.get(name, name)


def test_limits_case_sets_every_field() -> None:
    assert not [f.name for f in fields(Limits) if getattr(FULL, f.name) == getattr(Limits(), f.name)]


def test_limits_view_can_be_sent_back() -> None:
    for limits in (FULL, Limits()):
        assert body(**limits_view(limits)).applied_to(Limits()) == limits
        assert body(**limits_view(limits)).applied_to(FULL) == limits


def test_limits_empty_body_changes_nothing() -> None:
    assert body().applied_to(FULL) == FULL


@pytest.mark.parametrize("name", [f.name for f in fields(Limits)])
def test_limits_one_member_changes_one_limit(name: str) -> None:
    changed = body(**{api_name(name): limits_view(FULL)[api_name(name)]}).applied_to(Limits())  # type: ignore[literal-required]
    assert [f.name for f in fields(Limits) if getattr(changed, f.name) != getattr(Limits(), f.name)] == [name]
    assert getattr(changed, name) == getattr(FULL, name)


@pytest.mark.parametrize("name", [f.name for f in fields(Limits) if f.name != "weight"])
def test_limits_null_removes_one_limit(name: str) -> None:
    lifted = body(**{api_name(name): None}).applied_to(FULL)
    assert getattr(lifted, name) is None
    assert [f.name for f in fields(Limits) if getattr(lifted, f.name) != getattr(FULL, f.name)] == [name]


def test_tenant_update_leaves_absent_fields() -> None:
    tenant = factories.tenant(limits=FULL, require_end_user=True, suspended=True)
    assert TenantChange().applied_to(tenant) == tenant
    changed = TenantChange(name="other", require_end_user=False, limits=body(weight=1)).applied_to(tenant)
    assert (changed.name, changed.require_end_user, changed.limits.weight) == ("other", False, 1)
    assert (changed.suspended, changed.webhook_secret, changed.limits.burst) == (True, tenant.webhook_secret, 20)
