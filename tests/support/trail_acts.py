"""The acts of the API that are recorded: for each operation a valid call, and what its entry has before and after."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.support import tokens
from tests.support.trail_scene import (
    END_USER,
    HEADERS,
    HOOK,
    Scene,
    before_erasure,
    given_up,
    on_tenant,
    with_blocked_end_user,
    with_disabled_endpoint,
    with_disabled_operator,
    with_pause,
)

Body = dict[str, Any]
Step = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A call of an operation that succeeds. ``changes``: names in its entry with values before and after."""

    body: Body | Callable[[Scene], Awaitable[Body]] | None = None
    changes: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    generation: str = "queued"
    step: Step | None = None
    """What has to happen before."""
    query: str = ""
    target: str | None = None
    """The path parameter, or "new": the id in the response. Default: the last one in the path."""
    is_of_all: bool = False
    """The entry is about no tenant, although the call is about one."""
    is_read: bool = False
    """It returns the data of a person, or a report: its entry has no changes."""

    async def body_in(self, scene: Scene) -> Body | None:
        return await self.body(scene) if callable(self.body) else self.body


REASON: Final = {"reason": "an incident"}


async def _issuer(scene: Scene) -> Body:
    return tokens.rule(audience=f"https://{await scene.value('tenant_id')}.example")


async def _adjustment(scene: Scene) -> Body:
    ended = await scene.value("generation_id")
    return {"generation_id": ended, "amount_usd": "-0.20", "expected_usd": "0.70", "operator": "ann", **REASON}


async def _bulk(scene: Scene) -> Body:
    return {"kind": "cancel", "filter": {"tenant_id": (await scene.tenant()).id, "end_user_id": END_USER}}


async def _new_bulk(scene: Scene) -> Body:
    await scene.value("end_user_id")
    return {**await _bulk(scene), **REASON, "previewed_at": scene.clock().isoformat(), "expected": 1}


async def _dismissal(scene: Scene) -> Body:
    await scene.value("generation_id")
    return {"before": scene.clock().isoformat(), **REASON}


_ENDPOINT: Final = {"url": HOOK, "events": ["generation.failed"], "headers": HEADERS}

#: By operation id.
ADMIN_ACTS: Final[dict[str, Act]] = {
    "create_tenant": Act(
        target="new", body={"name": "shop", "limits": {"webhook_url": HOOK}}, changes=("name", "limits.webhook_url")
    ),
    "change_tenant": Act(
        body={"limits": {"weight": 3, "monthly_budget_usd": "5", "webhook_url": HOOK}},
        changes=("limits.weight", "limits.monthly_budget", "limits.webhook_url"),
    ),
    "suspend_tenant": Act(body=REASON, changes=("suspended", "suspension.reason")),
    "unsuspend_tenant": Act(body=REASON, changes=("suspended",), step=on_tenant("suspend")),
    "pause_tenant": Act(body=REASON, changes=("paused.reason",)),
    "unpause_tenant": Act(body=REASON, changes=("paused.reason",), step=on_tenant("pause", "night")),
    "resume_tenant": Act(changes=("paused.reason",), step=on_tenant("pause", "night")),
    "delete_tenant": Act(changes=("name",)),
    "create_api_key": Act(target="new", body={"name": "ci"}, changes=("name", "scopes", "secret_hash")),
    "rotate_api_key": Act(body={"overlap_seconds": 60}, changes=("rotated", "expires_at", "successor.name")),
    "revoke_api_key": Act(changes=("revoked_at",)),
    "create_trusted_issuer": Act(target="new", body=_issuer, changes=("issuer", "audience")),
    "delete_trusted_issuer": Act(changes=("issuer", "audience")),
    "create_operator": Act(target="new", body={"name": "Eve", "role": "viewer"}, changes=("name", "role")),
    "change_operator": Act(body={"role": "operator"}, changes=("role",)),
    "disable_operator": Act(changes=("disabled_at",)),
    "enable_operator": Act(changes=("disabled_at",), step=with_disabled_operator),
    "create_operator_token": Act(target="new", body={"name": "laptop"}, changes=("name", "secret_hash")),
    "rotate_operator_token": Act(body={"overlap_seconds": 60}, changes=("rotated", "expires_at")),
    "revoke_operator_token": Act(changes=("revoked_at",)),
    "pause_dispatch": Act(body=REASON, changes=("paused",)),
    "drain_gateway": Act(body=REASON, changes=("draining",)),
    "resume_dispatch": Act(changes=("paused",), step=with_pause),
    "start_audit": Act(is_read=True),
    "preview_bulk_job": Act(body=_bulk, is_read=True, is_of_all=True),
    "start_bulk_job": Act(target="new", body=_new_bulk, changes=("state",)),
    "stop_bulk_job": Act(body=REASON, changes=("stop_reason",)),
    "cancel_any_generation": Act(body=REASON, changes=("status",)),
    "resolve_unconfirmed": Act(body={"never_happened": True, **REASON}, changes=("status",), generation="unconfirmed"),
    "dismiss_unconfirmed": Act(body=_dismissal, facts=("dismissed",), is_of_all=True, generation="unconfirmed"),
    "revive_generation": Act(
        body={"fal_request_id": "request-1", **REASON},
        changes=("status", "fal_request_id"),
        generation="unconfirmed",
        step=given_up,
    ),
    "adjust_cost": Act(target="generation_id", body=_adjustment, changes=("cost_micro_usd",), generation="ended"),
    "replay_delivery": Act(body=REASON, changes=("status",)),
    "enable_endpoint": Act(body=REASON, changes=("disabled.reason",), step=with_disabled_endpoint),
    "disable_endpoint": Act(body=REASON, changes=("disabled.reason",)),
    "send_test_event_of_tenant": Act(body=REASON, facts=("delivery_id",)),
    "block_end_user_of_tenant": Act(body=REASON, changes=("blocked_at", "block_reason")),
    "unblock_end_user_of_tenant": Act(body=REASON, changes=("blocked_at", "block_reason"), step=with_blocked_end_user),
    "erase_end_user_of_tenant": Act(query="?reason=a+request", changes=("erasure",)),
    "read_erasure_of_tenant": Act(step=before_erasure, is_read=True),
    "list_end_users_of_tenant": Act(is_read=True),
    "trace_pseudonym": Act(is_read=True),
    "read_any_generation": Act(is_read=True),
}

TENANT_ACTS: Final[dict[str, Act]] = {
    "create_webhook_endpoint": Act(target="new", body=_ENDPOINT, changes=("url", "headers", "events")),
    "replace_webhook_endpoint": Act(body=_ENDPOINT, changes=("events",)),
    "change_webhook_endpoint": Act(body={"description": "new", "url": f"{HOOK}/2"}, changes=("description", "url")),
    "delete_webhook_endpoint": Act(changes=("url", "keys")),
    "rotate_webhook_secret": Act(body={"overlap_seconds": 60}, changes=("keys",)),
    "send_test_event": Act(facts=("delivery_id",)),
    "replay_deliveries": Act(body={"status": "dead"}, facts=("replayed", "matched")),
    "redeliver_event": Act(changes=("status",)),
    "block_end_user": Act(body=REASON, changes=("blocked_at", "block_reason")),
    "unblock_end_user": Act(changes=("blocked_at", "block_reason"), step=with_blocked_end_user),
    "erase_end_user": Act(changes=("erasure",)),
}
