"""Ways in which an API key becomes void, and with it every ticket that was issued for it."""

from service.domain.tenant import Tenant
from service.runtime import Runtime
from service.usecases.tenants.api_keys import NewKey
from tests.support.factories import Clock


async def make_void(runtime: Runtime, clock: Clock, tenant: Tenant, key: NewKey, how: str) -> None:
    """Revoke or expire the key, or suspend or delete its tenant."""
    tenants = runtime.tenants
    match how:
        case "revoked":
            await tenants.api_keys.revoke(tenant.id, key.key.id)
        case "expired":
            assert key.key.expires_at is not None
            clock.advance(key.key.expires_at - clock())
        case "suspended":
            await tenants.service.suspend(tenant.id)
        case "deleted":
            await tenants.service.delete(tenant.id, drain=False)
        case _:
            raise AssertionError(how)
