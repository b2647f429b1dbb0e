"""Audits in responses: their progress, and the differences that they have found."""

from typing import Literal

from typing_extensions import TypedDict

from service.domain.described import Timestamp, described


@described
class TraceView(TypedDict):
    object: Literal["end_user_trace"]
    """Always `end_user_trace`."""
    tenant_id: str
    """Id of the tenant."""
    pseudonym: str
    """The id that fal knows."""
    end_user_id: str | None
    """The tenant's customer, as the tenant named it. `null`: erased."""
    refusals: int
    """Generations that fal's content policy refused."""
    blocked_at: Timestamp | None
    """When the tenant blocked the end user, RFC 3339 in UTC. `null`: not blocked."""
    block_reason: str | None
    """Why, as the tenant wrote. `null`: not blocked, no reason was given, or it was erased."""


@described
class DifferenceView(TypedDict):
    what: str
    """The record that does not agree."""
    expected: str
    """Its value by the ledger."""
    found: str
    """Its value as stored."""


@described
class AuditProgressView(TypedDict):
    step: Literal["ledger", "windows", "generations"]
    """The step under way: `ledger`, then `windows`, then `generations`."""
    done: int
    """Entries compared in this step."""
    total: int
    """Entries of this step."""


@described
class AuditView(TypedDict):
    object: Literal["audit"]
    """Always `audit`."""
    state: Literal["running", "done"]
    """`running` or `done`."""
    progress: AuditProgressView | None
    """How far it is. `null` unless it is running."""
    started_at: Timestamp
    """When the audit began, RFC 3339 in UTC with milliseconds."""
    finished_at: Timestamp | None
    """When it was done. `null` while it runs."""
    clean: bool | None
    """Whether no difference was found. `null` while it runs."""
    windows: int
    """Budget windows compared."""
    entries: int
    """Ledger entries read."""
    slots: int
    """Slots compared."""
    difference_count: int
    """Differences found, listed or not."""
    differences: list[DifferenceView]
    """The first 20 differences."""
