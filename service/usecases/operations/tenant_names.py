"""Names of tenants in reports, also of deleted ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.tenant import Tenant
from service.store.tenants.tenants import DeletedTenant, TenantStore


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantName:
    """A tenant in a report. ``name``: the last one of a deleted tenant; None: it is not known any more."""

    id: str
    name: str | None
    deleted_at: datetime | None = None


async def tenant_names(tenants: TenantStore, tenant_ids: Sequence[str]) -> list[TenantName]:
    """Return the names of tenants, also of deleted ones."""
    known = await tenants.load_all(tenant_ids)
    deleted = await tenants.deleted([name for name in tenant_ids if name not in known])
    return [_name(name, known.get(name), deleted.get(name)) for name in tenant_ids]


def _name(tenant_id: str, tenant: Tenant | None, deleted: DeletedTenant | None) -> TenantName:
    if tenant is not None:
        return TenantName(id=tenant_id, name=tenant.name)
    if deleted is not None:
        return TenantName(id=tenant_id, name=deleted.name, deleted_at=deleted.deleted_at)
    return TenantName(id=tenant_id, name=None)
