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
_NO_CALL: Final = dict.fromkeys(("response_ms", "resend_window_ms", "waits", "attempt"), "")


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
        memory = self._redis.memory
        refusal, record = await memory.refusal(generation.tenant_id), dump(generation)
        all_keys, arguments = _parameters(generation, due, budgets, quotas, call)
        arguments["record"] = record
        arguments["memory_refusal"] = refusal
        arguments["tenant_must_exist"] = "1" if tenant_must_exist else ""
        result = read_creation(await self._redis.run(_CREATE, all_keys, arguments))
        if isinstance(result, Created):
            memory.note_stored(generation.tenant_id, len(record))
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


@lru_cache(maxsize=2048)  # 8 MB: most creates of a tenant on a day are for an end user with an entry, or for none
def _of_day(tenant_id: str, end_user: str, created_on: str) -> tuple[dict[str, str], dict[str, Argument]]:
    """Return the keys and the arguments that creates of an end user on one day have in common."""
    packed_tenant, packed_end_user = packed(tenant_id, end_user)
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
    }, {
        "tenant_id": tenant_id,
        "pseudonym": end_user,
        "packed_tenant": packed_tenant,
        "packed_end_user": packed_end_user,
        "retention_seconds": keys.MONEY_RETENTION_SECONDS,
    }


def _parameters(
    g: Generation, due: Due, budgets: Budgets, quotas: Quotas, call: Call | None
) -> tuple[dict[str, str], dict[str, Argument]]:
    """Return the keys and the arguments of the script. The key of what a create does not have is its record's."""
    keys_of_day, arguments_of_day = _of_day(g.tenant_id, g.end_user, day(g.created_at))
    record, created_ms = keys.generation(g.id), ids.milliseconds(g.created_at)
    return {
        **keys_of_day,
        "generation": record,
        "idempotency": idempotency_key(g),
        "draft": record if g.completes is None else keys.generation(g.completes),
        "undelivered_responses": record if call is None else keys.undelivered_responses(g.tenant_id, call.digest),
    }, {
        **arguments_of_day,
        **_limits(budgets, quotas),
        **(_NO_CALL if call is None else _of_call(call)),
        "generation_id": g.id,
        "status": g.status,
        "dispatch_ms": score(due.dispatch),
        "sweep_ms": score(due.sweep),
        "fingerprint": g.fingerprint,
        "cost": g.estimated_cost,
        "end_user_id": g.end_user_id or "",
        "rank": queue_rank(g),
        "now_ms": created_ms if call is None else ids.milliseconds(call.now),
        "model": g.model,
        "term_entry": terms.status_entry(g),
        "tenant_terms": terms.of_new(g),
    }


def _limits(budgets: Budgets, quotas: Quotas) -> dict[str, Argument]:
    limits = {
        "tenant_month_limit": budgets.tenant_month,
        "end_user_day_limit": budgets.end_user_day,
        "account_day_limit": budgets.account_day,
        "end_user_daily_limit": budgets.end_user_day_count,
        "queue_limit": quotas.queued,
        "daily_limit": quotas.daily,
        "new_end_users_limit": quotas.new_end_users,
        "deliveries_limit": quotas.deliveries,
    }
    return {name: "" if limit is None else limit for name, limit in limits.items()}


def _of_call(call: Call) -> dict[str, Argument]:
    return {
        "response_ms": ids.milliseconds(call.answered_by),
        "resend_window_ms": milliseconds(call.window),
        "waits": "1" if call.waits else "",
        "attempt": call.attempt,
    }
