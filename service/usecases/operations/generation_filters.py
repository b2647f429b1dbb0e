"""The conditions on generations of all tenants that operators name: in searches and in bulk jobs."""

from datetime import datetime
from typing import TypedDict

from typing_extensions import Unpack

from service.domain import ids
from service.domain.end_user import pseudonym
from service.domain.failure import ErrorCode
from service.domain.generation_filter import Filter
from service.domain.status import PublicStatus, StatusGroup
from service.errors import FieldError, Invalid
from service.store.tenants.tenants import TenantStore


class Conditions(TypedDict, total=False):
    """Conditions of a filter that need no tenant."""

    status: PublicStatus | StatusGroup | None
    error_code: ErrorCode | None
    model: str | None
    created_after: datetime | None
    created_before: datetime | None
    submitted_before: datetime | None
    fal_request_id: str | None


class GenerationFilters:
    def __init__(self, tenants: TenantStore) -> None:
        self._tenants = tenants

    async def filter(
        self,
        *,
        at: str = "/query",
        tenant_id: str | None = None,
        end_user_id: str | None = None,
        end_user: str | None = None,
        metadata: tuple[tuple[str, str], ...] = (),
        **conditions: Unpack[Conditions],
    ) -> Filter:
        """Return the filter of these conditions. ``end_user_id``: as the tenant names the end user; ``end_user``: its
        pseudonym. ``at``: JSON pointer to the conditions, for faults.

        Raises:
            Invalid: a condition needs ``tenant_id``, or a tenant that exists; or both name an end user.

        """
        if end_user_id is not None and end_user is not None:
            raise Invalid(FieldError(f"{at}/end_user", "goes without end_user_id", "one_of"))
        if tenant_id is None and (end_user_id is not None or end_user is not None or metadata):
            needing = "metadata" if metadata else "an end user"
            raise Invalid(FieldError(f"{at}/tenant_id", f"is required with {needing}", "missing"))
        if tenant_id is not None and end_user_id is not None:
            tenant = await self._tenants.load(tenant_id) if ids.is_id(ids.TENANT, tenant_id) else None
            if tenant is None:
                raise Invalid(FieldError(f"{at}/tenant_id", "there is no such tenant", "unknown_tenant"))
            end_user = pseudonym(tenant, end_user_id)
        return Filter(tenant_id=tenant_id, end_user=end_user, metadata=metadata, **conditions)
