"""The record of a tenant: the dispatch script reads three of its values without decoding it."""

import re
from datetime import timedelta

import pytest

from service.domain.signing import SigningKey
from service.domain.tenant import Limits, Pause
from service.store.redis.scripts import Script
from service.store.tenants.tenants import _TENANT
from tests.support import factories

KEYS = re.findall(r"value_at\(record, '([^']+)'\)", Script("claim_slot").text)
FULL = factories.tenant(
    name='paused":{"weight":2,"concurrent_generations":3',
    paused=Pause('"paused":{"weight":2', factories.NOW),
    limits=Limits(
        concurrent_generations=4,
        weight=5,
        resolutions=("480p",),
        retention=timedelta(days=1),
        webhook_url='https://example.com/?"weight":9',
    ),
    retired_webhook_keys=(SigningKey("whsec_a", until=factories.NOW),),
)


def test_claim_slot_reads_three_record_keys() -> None:
    assert sorted(KEYS) == ['concurrent_generations":', 'paused":{', 'weight":']


@pytest.mark.parametrize("key", KEYS)
def test_tenant_record_has_each_key_once(key: str) -> None:
    assert _TENANT.dump_json(FULL).decode().count(key) == 1


@pytest.mark.parametrize(
    ("key", "value"), [('concurrent_generations":', "4,"), ('weight":', "5,"), ('paused":{', '"reason"')]
)
def test_tenant_record_value_follows_its_key(key: str, value: str) -> None:
    assert key + value in _TENANT.dump_json(FULL).decode()
