"""Entries of the audit trail as operators and tenants see them."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final, Literal

from typing_extensions import TypedDict

from service.api.http.cursors import decode_text, encode_cursor
from service.domain.csv_tables import csv_text, text_cell
from service.domain.described import Timestamp, described
from service.domain.generation_view import rfc3339
from service.usecases.trail.pages import Recorded, TrailPage

_CURSOR: Final = re.compile(r"[0-9]{1,16}(-[0-9]{1,16})?")
_HEAD: Final = (
    "number", "at", "actor_kind", "actor_id", "actor_name", "role", "address", "action", "target", "tenant_id",
    "outcome", "error", "reason", "changes", "facts", "request_id",
)  # fmt: skip


@described
class TrailActorView(TypedDict):
    kind: str
    """`operator`, `break_glass` (the admin token), `local` (the command line without a token), `api_key`, `service`."""
    id: str | None
    """Id of the operator or the API key, or subject of the service. `null`: not known."""
    name: str
    """Name of the operator or the API key."""
    role: str | None
    """Role of the operator at that time. `null`: a tenant."""
    token_id: str | None
    """Id of the operator's token. `null`: none, or not shown to tenants."""
    address: str | None
    """Address of the client. `null`: the command line, or not shown to tenants."""


@described
class TrailEntryView(TypedDict):
    object: Literal["trail_entry"]
    """Always `trail_entry`."""
    number: int
    """Number of the entry in the chain, without gaps over all tenants."""
    at: Timestamp
    """When the act began, RFC 3339 in UTC with milliseconds."""
    recorded_at: Timestamp
    """When the entry was recorded, by which the filters `after` and `before` select."""
    actor: TrailActorView
    """Who acted."""
    action: str
    """Name of the operation, as `operationId` in this document."""
    target: str | None
    """Id of what was acted on; of an end user the pseudonym. `null`: the gateway."""
    tenant_id: str | None
    """The tenant that was acted on, or that acted. `null`: none."""
    outcome: str
    """`done`, `refused` (nothing was changed), `failed`, or `unknown` (the process ended before)."""
    error: str | None
    """Code of the refusal or the failure. `null`: none."""
    reason: str | None
    """Why, as the actor wrote. `null`: none was given."""
    changes: dict[str, list[Any]]
    """Changed fields, each with its value before and after. Values of secrets are `[redacted]`."""
    facts: dict[str, Any]
    """Further facts, like counts."""
    request_id: str | None
    """Id of the HTTP request. `null`: the command line, or not shown to tenants."""
    hash: str
    """Hash of the entry in the chain, which the logs have too."""


@described
class TrailList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[TrailEntryView]
    """Entries, newest first. A page examines 500 entries at most, so that it can be short or empty."""
    has_more: bool
    """Whether entries follow this page."""
    next_cursor: str | None
    """Send it as `cursor` to read the next page. `null` on the last page."""


def entry_view(recorded: Recorded, *, for_tenant: bool = False) -> TrailEntryView:
    """``for_tenant``: without the address, the token and the request of an operator."""
    entry, actor = recorded.entry, recorded.entry.actor
    hides = for_tenant and actor.tenant_id is None
    return {
        "object": "trail_entry",
        "number": recorded.link.number,
        "at": rfc3339(entry.at),
        "recorded_at": rfc3339(recorded.at),
        "actor": {
            "kind": actor.kind.value,
            "id": actor.id,
            "name": actor.name,
            "role": None if actor.role is None else actor.role.value,
            "token_id": None if hides else actor.token_id,
            "address": None if hides else actor.address,
        },
        "action": entry.action,
        "target": entry.target,
        "tenant_id": entry.tenant_id,
        "outcome": entry.outcome.value,
        "error": entry.error,
        "reason": entry.reason,
        "changes": {name: list(change) for name, change in entry.changes.items()},
        "facts": entry.facts,
        "request_id": None if hides else actor.request_id,
        "hash": recorded.link.hash,
    }


def trail_page_view(page: TrailPage, *, for_tenant: bool = False) -> TrailList:
    return {
        "object": "list",
        "data": [entry_view(each, for_tenant=for_tenant) for each in page.entries],
        "has_more": page.after is not None,
        "next_cursor": None if page.after is None else encode_cursor(page.after),
    }


def trail_csv(views: Iterable[TrailEntryView]) -> str:
    """Return entries as CSV. ``changes`` and ``facts`` are JSON."""
    return csv_text(_HEAD, map(_row, views))


def _row(view: TrailEntryView) -> list[object]:
    actor = view["actor"]
    texts = (
        view["at"], actor["kind"], actor["id"], actor["name"], actor["role"], actor["address"], view["action"],
        view["target"], view["tenant_id"], view["outcome"], view["error"], view["reason"],
        json.dumps(view["changes"]), json.dumps(view["facts"]), view["request_id"],
    )  # fmt: skip
    return [view["number"], *map(text_cell, texts)]


def decode_trail_cursor(cursor: str | None, *, by_number: bool) -> str | None:
    """Return where the next page begins. ``by_number``: a page of one tenant. Raises Invalid."""
    if cursor is None:
        return None
    return decode_text(cursor, lambda text: bool(_CURSOR.fullmatch(text)) and ("-" in text) != by_number)
