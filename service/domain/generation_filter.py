"""Conditions on generations: of lists, of searches over all tenants, and of jobs over all that match.

A filter is a value: it can be compared, and written as JSON for a job that applies it later.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.failure import ErrorCode
from service.domain.generation import Generation
from service.domain.status import PublicStatus, StatusGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions that a generation must all meet; None: no condition.

    End users and metadata belong to one tenant: their conditions need ``tenant_id``.
    """

    tenant_id: str | None = None
    end_user: str | None = None
    """Pseudonym. A generation of an erased end user does not match."""
    status: PublicStatus | StatusGroup | None = None
    error_code: ErrorCode | None = None
    model: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    """Both exclusive, to the millisecond."""
    submitted_before: datetime | None = None
    """Exclusive, to the millisecond. A generation without a submit does not match."""
    fal_request_id: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    """Pairs that a generation must all have."""
    oldest_first: bool = False
    """The order of pages; no condition."""

    def __post_init__(self) -> None:
        if self.tenant_id is None and (self.end_user is not None or self.metadata):
            raise ValueError("Conditions on end users and on metadata need a tenant.")

    def matches(self, g: Generation) -> bool:
        """Return whether a generation meets all conditions."""
        return (
            self.tenant_id in (None, g.tenant_id)
            and (self.end_user is None or (self.end_user == g.end_user and not g.erased))
            and self._has_status(g.public_status)
            and self.error_code in (None, None if g.error is None else g.error.code)
            and self.model in (None, g.model)
            and self.fal_request_id in (None, g.request_id)
            and all(g.metadata.get(name) == value for name, value in self.metadata)
            and (self.created_after is None or _milliseconds(g.created_at) > _milliseconds(self.created_after))
            and (self.created_before is None or _milliseconds(g.created_at) < _milliseconds(self.created_before))
            and (self.submitted_before is None or _is_before(g.submitted_at, self.submitted_before))
        )

    def _has_status(self, status: PublicStatus) -> bool:
        return self.status.has(status) if isinstance(self.status, StatusGroup) else self.status in (None, status)

    def to_json(self) -> bytes:
        """Return the filter as JSON, without conditions that are not set."""
        return _JSON.dump_json(self, exclude_defaults=True)

    @classmethod
    def from_json(cls, text: bytes) -> "Filter":
        """Return the filter of ``to_json``. Raises ValueError for any other text."""
        return _JSON.validate_json(text)


def _is_before(moment: datetime | None, end: datetime) -> bool:
    return moment is not None and _milliseconds(moment) < _milliseconds(end)


_JSON: Final = TypeAdapter(Filter)
_milliseconds: Final = ids.milliseconds
