"""The selection that the body of a bulk job names."""

from collections.abc import Mapping

from service.domain import ids
from service.domain.bulk import BulkKind, Selection
from service.domain.bulk_request import BulkFilterBody
from service.domain.generation_filter import Filter
from service.domain.status import PublicStatus, StatusGroup
from service.domain.timestamps import in_range
from service.domain.webhook import DeliveryFilter, DeliveryStatus
from service.errors import FieldError, Invalid, NotFound
from service.store.tenants.tenants import TenantStore
from service.usecases.operations.bulk.kinds import TENANT_REQUIRED, Kind
from service.usecases.operations.generation_filters import GenerationFilters


class Selections:
    def __init__(self, kinds: Mapping[BulkKind, Kind], filters: GenerationFilters, tenants: TenantStore) -> None:
        self._kinds = kinds
        self._filters = filters
        self._tenants = tenants

    async def select(self, kind: BulkKind, body: BulkFilterBody) -> Selection:
        """Return the selection of a body.

        Raises:
            Invalid: the filter needs a tenant, an id is wrong, or a time is out of range.
            NotFound: there is no such tenant.

        """
        prefix = self._kinds[kind].id_prefix
        if any(not ids.is_id(prefix, name) for name in body.ids):
            raise Invalid(FieldError("/filter/ids", f"must be ids of the form {prefix}_…", "id"))
        if body.tenant_id is not None and not await self.exists(body.tenant_id):
            raise NotFound("There is no such tenant.")
        names = tuple(sorted(set(body.ids)))
        if kind is BulkKind.REPLAY:
            wanted = Selection(filter=_on_deliveries(body), ids=names)
        else:
            wanted = Selection(filter=await self._on_generations(body), ids=names)
        if wanted.tenant_id is None and self._kinds[kind].needs_tenant(wanted):
            raise Invalid(TENANT_REQUIRED)
        return wanted

    async def exists(self, tenant_id: str) -> bool:
        """Return whether there is a tenant with this id."""
        return ids.is_id(ids.TENANT, tenant_id) and await self._tenants.load(tenant_id) is not None

    async def _on_generations(self, body: BulkFilterBody) -> Filter:
        return await self._filters.filter(
            at="/filter",
            tenant_id=body.tenant_id,
            end_user_id=body.end_user_id,
            end_user=body.end_user,
            metadata=tuple(sorted((body.metadata or {}).items())),
            status=_status(body.status),
            model=body.model,
            created_after=in_range(body.created_after, "/filter/created_after"),
            created_before=in_range(body.created_before, "/filter/created_before"),
            submitted_before=in_range(body.submitted_before, "/filter/submitted_before"),
            fal_request_id=body.fal_request_id,
        )


def _status(text: str | None) -> PublicStatus | StatusGroup | None:
    if text is None:
        return None
    return StatusGroup.IN_FLIGHT if text == StatusGroup.IN_FLIGHT else PublicStatus(text)


def _on_deliveries(body: BulkFilterBody) -> DeliveryFilter:
    return DeliveryFilter(
        tenant_id=body.tenant_id,
        status=None if body.status is None else DeliveryStatus(body.status),
        endpoint_id=body.endpoint_id,
        generation_id=body.generation_id,
        event=None if body.event is None else body.event.value,
        created_after=in_range(body.created_after, "/filter/created_after"),
        created_before=in_range(body.created_before, "/filter/created_before"),
    )
