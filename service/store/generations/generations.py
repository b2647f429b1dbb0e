"""Generations: created once, moved by compare-and-set, found by id, tenant and end user, forgotten as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.budgets import Budgets, day, month
from service.domain.generation import Due, Generation
from service.domain.request import HIGHEST_PRIORITY
from service.domain.status import PublicStatus, Status
from service.domain.webhook import Delivery
from service.domain.work_queue import WorkQueue
from service.errors import RequestIdTaken
from service.store import keys
from service.store.generations import records
from service.store.generations.creation import Bound, Call, Creation, read_creation
from service.store.id_ranges import bounds
from service.store.money.money import packed
from service.store.redis.client import Redis, Script
from service.store.webhooks import deliveries

_CREATE: Final = Script("create")
_SAVE: Final = Script("save")
_FINISH: Final = Script("finish")
_PURGE: Final = Script("purge")
_REVIVE: Final = Script("revive")
_POSTPONE: Final = Script("postpone")
_PUT_OFF: Final = Script("put_off")
_RECORD: Final = TypeAdapter(Generation)

UNLIMITED: Final = Budgets()

_FAIR_KEYS: Final = (keys.FAIR, keys.RESTING, keys.PRESENT)
_TAKEN: Final = 2  # in the answers of save.lua and revive.lua
_CALLBACK_WAITS: Final = 2  # in the answer of finish.lua
_MILLISECOND_BITS: Final = 42  # until the year 2109

#: Entries of an index one listing looks at before it answers with what it has and a cursor.
LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class Moved:
    """Whether the move was in time, and which drains have something to do since."""

    won: bool
    generation: Generation
    """As it stands in the store when the move was in time."""
    nudges: tuple[WorkQueue, ...] = ()
    callback_waits: bool = False
    """The move was refused: it would have ended a generation whose stored callback no poll has judged yet."""


@dataclass(frozen=True, slots=True)
class Page:
    """``after`` is where the next page begins; None: there is nothing more."""

    generations: list[Generation]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    status: PublicStatus | None = None
    end_user: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class GenerationStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def create(
        self,
        generation: Generation,
        due: Due,
        *,
        budgets: Budgets = UNLIMITED,
        most_queued: int | None = None,
        call: Call | None = None,
        tenant_must_exist: bool = False,
    ) -> Creation:
        """Accept it and hold its estimated cost, or say what stands against it; then nothing was changed."""
        g = generation
        full = await self._redis.memory.refuses_creates()
        today = day(g.created_at)
        reply = await self._redis.run(
            _CREATE,
            [
                keys.generation(g.id),
                _idempotency_key(g),
                keys.generations_of_tenant(g.tenant_id),
                keys.generations_of_end_user(g.tenant_id, g.end_user),
                keys.due(WorkQueue.DISPATCH),
                keys.due(WorkQueue.SWEEP),
                keys.nudged(WorkQueue.DISPATCH),
                *_money_keys(g),
                keys.LEDGER,
                keys.queued_of_tenant(g.tenant_id),
                keys.end_user(g.tenant_id, g.end_user),
                keys.usage(g.tenant_id, today),
                *_FAIR_KEYS,
                keys.GATE,
                keys.generation(g.id) if call is None else keys.unanswered(g.tenant_id, call.digest),
                keys.tenant(g.tenant_id),
            ],
            g.id,
            dump(g),
            g.status,
            _score(due.dispatch),
            _score(due.sweep),
            g.fingerprint,
            "" if g.idempotency_key is None else "1",
            g.estimated_cost,
            _limit(budgets.tenant_month),
            _limit(budgets.end_user_day),
            _limit(budgets.account_day),
            _limit(budgets.end_user_day_count),
            _limit(most_queued),
            g.tenant_id,
            g.end_user,
            g.end_user_id or "",
            keys.KEPT_SECONDS,
            ids.milliseconds(g.created_at) - keys.KEPT_SECONDS * 1000,
            _rank(g),
            *_call(call),
            "1" if tenant_must_exist else "",
            *packed(g.tenant_id, g.end_user),
            "1" if full else "",
        )
        return read_creation(reply)

    async def demand_room(self) -> None:
        """Raises StoreFull where a create would be refused."""
        await self._redis.memory.demand_room()

    async def bound(self, tenant_id: str, idempotency_key: str, fingerprint: str) -> Bound | None:
        """What the key is bound to already; for creates that do not, or not at once, come to their script."""
        found = await self._redis.execute("GET", keys.idempotency(tenant_id, idempotency_key))
        if found is None:
            return None
        existing, _, payload = found.decode().partition(" ")
        return Bound(existing, same=payload == fingerprint)

    async def load(self, generation_id: str) -> Generation | None:
        record = await self._redis.execute("HGET", keys.generation(generation_id), "d")
        return None if record is None else load(record)

    async def load_placed(self, tenant_id: str, generation_id: str) -> tuple[Generation | None, int | None]:
        """With how many of its tenant go before it; None: it is not in the queue (any more)."""
        record, rank = await self._redis.gather(
            (
                ("HGET", keys.generation(generation_id), "d"),
                ("ZRANK", keys.queued_of_tenant(tenant_id), generation_id),
            )
        )
        return None if record is None else load(record), rank

    async def save(self, generation: Generation, due: Due, events: Sequence[Delivery] = (), *, why: str = "") -> Moved:
        """Write a move that leaves it alive, if it still is the version it was made from, with what it causes.

        ``why``: the reason of an operator or of reconciliation, for the ledger. Raises RequestIdTaken where such a
        move brings a request id that is another's.
        """
        g = replace(generation, version=generation.version + 1)
        won, dispatch, deliver = await self._redis.run(
            _SAVE,
            [
                keys.generation(g.id),
                keys.SLOTS,
                keys.due(WorkQueue.DISPATCH),
                keys.due(WorkQueue.POLL),
                keys.due(WorkQueue.SWEEP),
                keys.nudged(WorkQueue.DISPATCH),
                keys.CLAIMED,
                keys.queued_of_tenant(g.tenant_id),
                keys.slots_of_tenant(g.tenant_id),
                *_FAIR_KEYS,
                keys.DELAYED,
                keys.UNCONFIRMED,
                keys.SUBMITTED,
                keys.LEDGER,
                keys.due(WorkQueue.DELIVER),
                keys.nudged(WorkQueue.DELIVER),
                keys.slotless_of_tenant(g.tenant_id),
                *deliveries.keys_of(g.tenant_id, events),
            ],
            g.id,
            generation.version,
            dump(g),
            g.status,
            "1" if g.holds_slot else "",
            _score(due.dispatch),
            _score(due.poll),
            _score(due.sweep),
            keys.CHANGES,
            g.tenant_id,
            _rank(g),
            g.request_id if g.status is Status.SUBMITTED and g.request_id else "",
            _score(g.submitted_at),
            why,
            g.end_user,
            "" if not events else ids.milliseconds(events[0].created_at),
            "1" if g.status is Status.COPYING else "",
            *deliveries.arguments_of(events),
        )
        if won == _TAKEN:
            raise RequestIdTaken("This request id belongs to another generation.")
        return Moved(bool(won), g, _nudges(dispatch, deliver))

    async def finish(
        self,
        generation: Generation,
        due: Due,
        events: Sequence[Delivery],
        *,
        now: datetime,
        why: str = "",
        verdict: bool = False,
    ) -> Moved:
        """Write the last move together with what it settles and the deliveries it causes.

        Refused while a callback is stored, except for a ``verdict`` of fal's own.
        """
        g = replace(generation, version=generation.version + 1)
        created_on = day(g.created_at)  # money stays in the windows it was held in, however late it is settled
        won, dispatch, deliver = await self._redis.run(
            _FINISH,
            [
                keys.generation(g.id),
                keys.SLOTS,
                keys.due(WorkQueue.DISPATCH),
                keys.due(WorkQueue.POLL),
                keys.due(WorkQueue.SWEEP),
                keys.due(WorkQueue.DELIVER),
                keys.nudged(WorkQueue.DISPATCH),
                keys.nudged(WorkQueue.DELIVER),
                keys.CLAIMED,
                *_money_keys(g),
                keys.LEDGER,
                keys.queued_of_tenant(g.tenant_id),
                keys.end_user(g.tenant_id, g.end_user),
                keys.usage(g.tenant_id, created_on),
                keys.usage_of_end_users(g.tenant_id, created_on),
                keys.slots_of_tenant(g.tenant_id),
                *_FAIR_KEYS,
                keys.DELAYED,
                keys.UNCONFIRMED,
                keys.PACE,
                keys.GIVEN_UP,
                keys.slotless_of_tenant(g.tenant_id),
                *deliveries.keys_of(g.tenant_id, events),
            ],
            g.id,
            generation.version,
            dump(g),
            g.status,
            _score(due.sweep),
            keys.CHANGES,
            ids.milliseconds(now),
            g.estimated_cost,
            g.actual_cost or 0,
            g.tenant_id,
            g.end_user,
            _outcome(g),
            "1" if g.error is not None and g.error.code == "content_policy" and not g.erased else "",
            keys.KEPT_SECONDS,
            _time_at_fal(g),
            why,
            "1" if verdict else "",
            *deliveries.arguments_of(events),
        )
        return Moved(won == 1, g, _nudges(dispatch, deliver), callback_waits=won == _CALLBACK_WAITS)

    async def revive(self, before: Generation, after: Generation, *, now: datetime, why: str) -> Moved:
        """Write ``after``, which follows ``before``, a given-up one, again: held, with a slot, polled now.

        Raises RequestIdTaken where the request id is another generation's.
        """
        g, created_on = replace(after, version=before.version + 1), day(before.created_at)
        won, nudge = await self._redis.run(
            _REVIVE,
            [
                keys.generation(g.id),
                keys.SLOTS,
                keys.due(WorkQueue.POLL),
                keys.due(WorkQueue.SWEEP),
                keys.nudged(WorkQueue.POLL),
                *_money_keys(g),
                keys.LEDGER,
                keys.usage(g.tenant_id, created_on),
                keys.usage_of_end_users(g.tenant_id, created_on),
                keys.slots_of_tenant(g.tenant_id),
                keys.SUBMITTED,
                keys.GIVEN_UP,
                keys.PAID_AND_LOST,
            ],
            g.id,
            before.version,
            dump(g),
            g.status,
            ids.milliseconds(now),
            keys.CHANGES,
            g.estimated_cost,
            before.actual_cost or 0,
            g.tenant_id,
            g.end_user,
            _outcome(before),
            why,
            g.request_id or "",
            _score(g.submitted_at or now),
        )
        if won == _TAKEN:
            raise RequestIdTaken("This request id belongs to another generation.")
        return Moved(bool(won), g, (WorkQueue.POLL,) if nudge else ())

    async def postpone_poll(self, generation_id: str, until: datetime) -> None:
        """Nothing new was seen: only the time of the next look changes, and only while it is still polled."""
        await self._redis.run(
            _POSTPONE,
            [keys.generation(generation_id), keys.due(WorkQueue.POLL)],
            generation_id,
            ids.milliseconds(until),
        )

    async def put_off_sweep(self, generation: Generation, until: datetime) -> None:
        """Nothing was to be done about it yet: only the time of its next sweep changes, unless it was moved since."""
        g = generation
        await self._redis.run(
            _PUT_OFF, [keys.generation(g.id), keys.due(WorkQueue.SWEEP)], g.id, g.version, ids.milliseconds(until)
        )

    async def page(self, tenant_id: str, wanted: Filter, *, limit: int, after: str | None) -> Page:
        """Newest first. A page may be short of ``limit`` and still not be the last one."""
        index = (
            keys.generations_of_tenant(tenant_id)
            if wanted.end_user is None
            else keys.generations_of_end_user(tenant_id, wanted.end_user)
        )
        upper, lower = bounds(
            ids.GENERATION, after=after, created_after=wanted.created_after, created_before=wanted.created_before
        )
        found = await self._redis.execute("ZREVRANGEBYLEX", index, upper, lower, "LIMIT", 0, LOOKED_AT)
        return await self._pick([name.decode() for name in found], wanted.status, limit)

    async def _pick(self, found: list[str], status: PublicStatus | None, limit: int) -> Page:
        """Records of these ids that match, a page's worth; read in slices, since most pages need only the first."""
        page: list[Generation] = []
        for start in range(0, len(found), limit):
            for name, generation in zip(
                found[start : start + limit], await self.load_many(found[start : start + limit]), strict=True
            ):
                if generation is not None and status in (None, generation.public_status):
                    page.append(generation)
                if len(page) == limit:
                    return Page(page, name if name != found[-1] or len(found) == LOOKED_AT else None)
        return Page(page, found[-1] if len(found) == LOOKED_AT else None)

    async def load_many(self, names: Sequence[str]) -> list[Generation | None]:
        records = await self._redis.gather(("HGET", keys.generation(name), "d") for name in names)
        return [None if record is None else load(record) for record in records]

    async def purge(self, generation: Generation) -> bool:
        """Forget an ended generation; False when it is not the version that was seen."""
        g = generation
        forgotten = await self._redis.run(
            _PURGE,
            [
                keys.generation(g.id),
                _idempotency_key(g),
                keys.generations_of_tenant(g.tenant_id),
                keys.generations_of_end_user(g.tenant_id, g.end_user),
                keys.due(WorkQueue.SWEEP),
                keys.PAID_AND_LOST,
            ],
            g.id,
            g.version,
        )
        return bool(forgotten)


def _rank(g: Generation) -> int:
    """Its place in its tenant's queue: by priority, then by age. A number that a double holds exactly."""
    return (HIGHEST_PRIORITY - g.priority << _MILLISECOND_BITS) + ids.milliseconds(g.created_at)


def _call(call: Call | None) -> tuple[int | str, ...]:
    if call is None:
        return "", "", "", ""
    window = int(call.window.total_seconds() * 1000)
    return ids.milliseconds(call.answered_by), ids.milliseconds(call.now), window, " ".join(call.others)


def _outcome(g: Generation) -> str:
    """As the usage counts it."""
    return g.status if g.error is None else f"{g.status}:{g.error.code}"


def _time_at_fal(g: Generation) -> int | str:
    ended_at = g.fal_ended_at or g.finished_at
    if g.submitted_at is None or ended_at is None or g.request_id is None:
        return ""
    return max(0, ids.milliseconds(ended_at) - ids.milliseconds(g.submitted_at))


def _nudges(dispatch: int, deliver: int) -> tuple[WorkQueue, ...]:
    return tuple(drain for drain, wanted in ((WorkQueue.DISPATCH, dispatch), (WorkQueue.DELIVER, deliver)) if wanted)


def _money_keys(g: Generation) -> tuple[str, str, str]:
    """In the order of Scope."""
    return (
        keys.money_of_tenant(g.tenant_id, month(g.created_at)),
        keys.money_of_end_user(g.tenant_id, g.end_user, day(g.created_at)),
        keys.money_of_account(day(g.created_at)),
    )


def _limit(limit: int | None) -> int | str:
    return "" if limit is None else limit


def _idempotency_key(g: Generation) -> str:
    """Its idempotency key's key; its own where it has none, so that scripts get a fixed number of keys."""
    return keys.generation(g.id) if g.idempotency_key is None else keys.idempotency(g.tenant_id, g.idempotency_key)


def _score(moment: datetime | None) -> int | str:
    return "" if moment is None else ids.milliseconds(moment)


def dump(generation: Generation) -> bytes:
    return records.stamped(_RECORD.dump_json(generation, exclude_defaults=True))


def load(record: bytes) -> Generation:
    return _RECORD.validate_json(records.migrated(record))
