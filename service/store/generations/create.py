"""Creation of generations: checks, hold, queue entry and idempotency key in one script."""

from functools import lru_cache
from typing import Final

from service.domain import ids
from service.domain.budgets import Budgets, day
from service.domain.generation import Due, Generation
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.generations import terms
from service.store.generations.creation import Bound, Call, Created, Creation, Quotas, read_creation
from service.store.generations.record_keys import idempotency_key, queue_rank
from service.store.generations.records import dump
from service.store.money.money import packed, usage_keys, window_keys
from service.store.redis.client import Argument, Redis, Script
from service.store.times import milliseconds, score

_CREATE: Final = Script("create")

_SHARED_KEYS: Final = {
    "due_dispatch": keys.due(WorkQueue.DISPATCH),
    "due_sweep": keys.due(WorkQueue.SWEEP),
    "nudged_dispatch": keys.nudged(WorkQueue.DISPATCH),
    "ledger": keys.LEDGER,
    **keys.DISPATCH_ORDER,
    "gate": keys.GATE,
    "generations": keys.GENERATIONS,
    "generation_terms": keys.GENERATION_TERMS,
}

UNLIMITED: Final = Budgets()
_NO_QUOTAS: Final = Quotas()


class GenerationCreator:
    """Creates generations."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def create(
        self,
        generation: Generation,
        due: Due,
        *,
        budgets: Budgets = UNLIMITED,
        quotas: Quotas = _NO_QUOTAS,
        call: Call | None = None,
        tenant_must_exist: bool = False,
    ) -> Creation:
        """Accept a generation and hold its estimated cost, or return the reason for the refusal and change nothing.

        ``call``: the create request, for a client that sends it again when it gets no response.
        """
        g = generation
        refusal = await self._redis.memory.refusal(g.tenant_id)
        record = dump(g)
        arguments = _arguments(g, due, budgets, quotas, call)
        arguments["record"] = record
        arguments["memory_refusal"] = refusal
        arguments["tenant_must_exist"] = "1" if tenant_must_exist else ""
        reply = await self._redis.run(_CREATE, _keys(g, call), arguments)
        result = read_creation(reply)
        if isinstance(result, Created):
            self._redis.memory.note_stored(g.tenant_id, len(record))
        return result

    async def demand_room(self, tenant_id: str) -> None:
        """Do nothing if a create of this tenant would be accepted now.

        Raises:
            StoreFull: Redis accepts nothing new, or nothing of this tenant.

        """
        await self._redis.memory.demand_room(tenant_id)

    async def find_bound(self, tenant_id: str, digest: str, fingerprint: str) -> Bound | None:
        """Return the generation that an idempotency key has created; None: the key is new.

        For creates that do not run their script, or not yet.
        """
        found = await self._redis.execute("GET", keys.idempotency(tenant_id, digest))
        if found is None:
            return None
        existing, _, bound_fingerprint = found.decode().partition(" ")
        return Bound(existing, same=bound_fingerprint == fingerprint)


@lru_cache(maxsize=2048)  # 7 MB: most creates of a tenant on a day are for an end user with an entry, or for none
def _keys_of_day(tenant_id: str, end_user: str, created_on: str) -> dict[str, str]:
    """Return the keys that creates of an end user on one day have in common."""
    return {
        **_SHARED_KEYS,
        "tenant_generations": keys.generations_of_tenant(tenant_id),
        "end_user_generations": keys.generations_of_end_user(tenant_id, end_user),
        **window_keys(tenant_id, end_user, created_on),
        "tenant_generation_terms": keys.generation_terms_of_tenant(tenant_id),
        "tenant_queue": keys.queued_of_tenant(tenant_id),
        "end_user": keys.end_user(tenant_id, end_user),
        "end_users": keys.end_users(tenant_id),
        "end_user_names": keys.end_user_names(tenant_id),
        **usage_keys(tenant_id, created_on),
        "tenant": keys.tenant(tenant_id),
        "tenant_deliveries": keys.deliveries_of_tenant(tenant_id),
    }


def _keys(g: Generation, call: Call | None) -> dict[str, str]:
    found = _keys_of_day(g.tenant_id, g.end_user, day(g.created_at)).copy()
    found["generation"] = key = keys.generation(g.id)
    found["idempotency"] = idempotency_key(g)
    found["draft"] = key if g.completes is None else keys.generation(g.completes)
    found["undelivered_responses"] = key if call is None else keys.undelivered_responses(g.tenant_id, call.digest)
    return found


def _arguments(g: Generation, due: Due, budgets: Budgets, quotas: Quotas, call: Call | None) -> dict[str, Argument]:
    packed_tenant, packed_end_user = packed(g.tenant_id, g.end_user)
    return {
        "generation_id": g.id,
        "status": g.status,
        "dispatch_ms": score(due.dispatch),
        "sweep_ms": score(due.sweep),
        "fingerprint": g.fingerprint,
        "has_idempotency_key": "" if g.idempotency_digest is None else "1",
        "cost": g.estimated_cost,
        "tenant_month_limit": _limit(budgets.tenant_month),
        "end_user_day_limit": _limit(budgets.end_user_day),
        "account_day_limit": _limit(budgets.account_day),
        "end_user_daily_limit": _limit(budgets.end_user_day_count),
        "queue_limit": _limit(quotas.queued),
        "daily_limit": _limit(quotas.daily),
        "new_end_users_limit": _limit(quotas.new_end_users),
        "deliveries_limit": _limit(quotas.deliveries),
        "tenant_id": g.tenant_id,
        "end_user_id": g.end_user_id or "",
        "retention_seconds": keys.MONEY_RETENTION_SECONDS,
        "oldest_ledger_entry": ids.milliseconds(g.created_at) - keys.MONEY_RETENTION_SECONDS * 1000,
        "rank": queue_rank(g),
        "response_ms": "" if call is None else ids.milliseconds(call.answered_by),
        "now_ms": ids.milliseconds(g.created_at if call is None else call.now),
        "resend_window_ms": "" if call is None else milliseconds(call.window),
        "waits": "" if call is None or not call.waits else "1",
        "draft_must_exist": "" if g.completes is None else "1",
        "attempt": "" if call is None else call.attempt,
        "packed_tenant": packed_tenant,
        "packed_end_user": packed_end_user,
        "pseudonym": g.end_user,
        "model": g.model,
        "term_entry": terms.status_entry(g),
        "tenant_terms": terms.of_new(g),
    }


def _limit(limit: int | None) -> int | str:
    return "" if limit is None else limit
