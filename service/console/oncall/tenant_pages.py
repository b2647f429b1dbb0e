"""What the pages about one tenant have in common: the tenant, its path, the pages above, the field of scopes."""

from typing import Final

from service.console.inputs import Input
from service.console.visit import Visit
from service.domain.tenant import Scope, Tenant

LIST: Final = ("/oncall/tenants", "Tenants and queues")


async def tenant_of(visit: Visit) -> Tenant:
    """Return the tenant in the path. Raises NotFound."""
    return await visit.runtime.tenants.service.get(visit.path_params["tenant_id"])


def own_path(tenant: Tenant) -> str:
    return f"{LIST[0]}/{tenant.id}"


def parents(tenant: Tenant) -> tuple[tuple[str, str], ...]:
    return (LIST, (own_path(tenant), tenant.name))


def scopes_input(*, hint: str = "") -> Input:
    return Input(
        name="scopes",
        label="Scopes",
        options=[(scope.value, scope.value) for scope in Scope],
        is_multiple=True,
        chosen=[Scope.GENERATE.value, Scope.READ.value],
        hint=hint,
    )
