"""Secrets at rest: encrypted with the first secret key, decrypted with any; encrypted again after a rotation."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from service.domain.tenant import Tenant
from service.errors import Unavailable
from service.runtime import Runtime, open_runtime
from service.store import keys
from service.store.tenants.sealing import Purpose, Sealer
from tests.support import factories
from tests.support.factories import Clock

OLD, NEW = factories.SECRET_KEY, factories.OTHER_SECRET_KEY


@asynccontextmanager
async def opened(redis_url: str, *secret_keys: str) -> AsyncIterator[Runtime]:
    secret_key = SecretStr(", ".join(secret_keys))
    async with open_runtime(factories.settings(redis_url, secret_key=secret_key), clock=Clock()) as runtime:
        yield runtime


async def stored(runtime: Runtime, tenant: Tenant) -> str:
    return str((await runtime.redis.execute("GET", keys.tenant(tenant.id))).decode())


async def test_secrets_are_encrypted_at_rest(redis_url: str) -> None:
    async with opened(redis_url, OLD) as runtime:
        tenant = await runtime.tenants.service.create("acme")
        record = await stored(runtime, tenant)
    assert tenant.webhook_secret not in record
    assert tenant.pseudonym_key not in record
    assert tenant.fal_signing_key not in record
    assert len(re.findall(r'"gAAAA[\w=-]+"', record)) == 3, "three Fernet tokens"


async def test_secret_key_rotation_without_downtime(redis_url: str) -> None:
    async with opened(redis_url, OLD) as runtime:
        made = [await runtime.tenants.service.create(f"tenant {n}") for n in range(3)]
    async with opened(redis_url, NEW, OLD) as runtime:
        assert [await runtime.tenants.service.get(tenant.id) for tenant in made] == made
        assert await runtime.tenants.service.reseal() == 3
        newest = await runtime.tenants.service.create("newest")
    async with opened(redis_url, NEW) as runtime:
        for tenant in (*made, newest):
            found = await runtime.tenants.service.get(tenant.id)
            assert found.webhook_secret == tenant.webhook_secret
            assert (found.pseudonym_key, found.fal_signing_key) == (tenant.pseudonym_key, tenant.fal_signing_key)
    async with opened(redis_url, OLD) as runtime:
        with pytest.raises(Unavailable, match="GATEWAY_SECRET_KEY"):
            await runtime.tenants.service.get(made[0].id)


async def test_secret_key_without_reseal_decrypts_nothing(redis_url: str) -> None:
    async with opened(redis_url, OLD) as runtime:
        tenant = await runtime.tenants.service.create("acme")
    async with opened(redis_url, NEW) as runtime:
        with pytest.raises(Unavailable, match="GATEWAY_SECRET_KEY"):
            await runtime.tenants.service.get(tenant.id)


@pytest.mark.parametrize("purpose", Purpose)
def test_sealed_for_another_purpose_is_refused(purpose: Purpose) -> None:
    sealed = Sealer([OLD], purpose).seal("text")
    for other in Purpose:
        if other is purpose:
            assert Sealer([NEW, OLD], other).open(sealed) == "text"
        else:
            with pytest.raises(Unavailable):
                Sealer([OLD], other).open(sealed)


def test_sealed_by_earlier_build_is_opened() -> None:
    """Until 0.1.0 one key was the hash of the secret key, for every purpose."""
    sealed = Fernet(base64.urlsafe_b64encode(hashlib.sha256(OLD.encode()).digest())).encrypt(b"text").decode()
    sealer = Sealer([NEW, OLD], Purpose.TENANTS)
    assert sealer.open(sealed) == "text"
    assert Sealer([NEW], Purpose.TENANTS).open(sealer.seal("text")) == "text", "sealed again with the new key"


async def test_fal_signing_key_is_made_once_for_tenant_without(redis_url: str) -> None:
    async with opened(redis_url, OLD) as runtime:
        tenant = await runtime.tenants.service.create("acme")
        await runtime.stores.tenants.update(replace(tenant, fal_signing_key=""))
        made = await asyncio.gather(*(runtime.tenants.service.fal_signing_key(tenant.id) for _ in range(5)))
        assert len(set(made)) == 1
        assert made[0] == (await runtime.tenants.service.get(tenant.id)).fal_signing_key
        assert made[0] != tenant.fal_signing_key


async def test_reseal_keeps_concurrent_changes(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(redis_url, OLD) as runtime:
        tenant = await runtime.tenants.service.create("acme")
    async with opened(redis_url, NEW, OLD) as runtime, opened(redis_url, OLD) as admin:
        store = runtime.stores.tenants
        update = store.update

        async def after_the_admin(current: Tenant) -> Tenant | None:
            monkeypatch.setattr(store, "update", update)
            await admin.tenants.service.suspend(tenant.id)
            return await update(current)

        monkeypatch.setattr(store, "update", after_the_admin)
        await runtime.tenants.service.reseal()
    async with opened(redis_url, NEW) as runtime:
        assert (await runtime.tenants.service.get(tenant.id)).suspended
