"""Figures of the status page: kept for all tenants together, so that a read does not grow with the tenants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.domain import ids
from service.domain.budgets import Standing, day
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.money.prices import PriceStore
from service.store.redis import health
from service.store.redis.client import Redis, Script
from service.store.times import moment

_STATUS: Final = Script("status")
#: Tenants whose work waits longest, and tenants near their budget, that are read.
_WAITING: Final = 5
_BUDGETS: Final = 20
#: Entries of the queue of dispatch may wait for a slot: their age is no delay.
_QUEUES: Final = tuple(each for each in WorkQueue if each is not WorkQueue.DISPATCH)


@dataclass(frozen=True, slots=True)
class SlowFigures:
    """What changes within minutes."""

    account: Standing
    """Of today."""
    near_budget: Mapping[str, float]
    """Tenants that have used most of their monthly budget, and the share, the highest first."""
    largest: tuple[str, int] | None
    """The tenant that stores most, and its bytes."""
    trail_breaks: int
    price_mismatches: Mapping[str, int]
    """By resolution: successes in a row that were billed other units than expected."""
    fsync: str | None
    """Redis' `appendfsync`; None: it does not report the setting."""


@dataclass(frozen=True, slots=True)
class Figures:
    slots_used: int
    unconfirmed: int
    oldest_unconfirmed: datetime | None
    paid_and_lost: int
    failing_receivers: int
    """Receivers whose attempts have only failed for long."""
    dead_letters: int
    waiting: Sequence[tuple[str, datetime]]
    """Tenants with the creation of their oldest queued generation, the oldest first, some at most."""
    due: Mapping[WorkQueue, datetime]
    """When the first entry of each work queue was due; without that of dispatch."""
    slow: SlowFigures


class StatusStore:
    """Reads the figures."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._prices = PriceStore(redis)

    async def read(
        self, now: datetime, *, failing_since: datetime, near: float, slow: SlowFigures | None = None
    ) -> Figures:
        """Return the figures. ``slow``: those of an earlier read, which are then not read again.

        ``failing_since``: receivers count that have failed since then or longer. ``near``: share of a budget.
        """
        used, unconfirmed, oldest, lost, failing, dead, waiting, due, changing = await self._redis.read(
            _STATUS,
            {
                "slots": keys.SLOTS,
                "unconfirmed": keys.UNCONFIRMED,
                "paid_and_lost": keys.PAID_AND_LOST,
                "failing_receivers": keys.FAILING_RECEIVERS,
                "dead_letters": keys.DEAD_LETTERS,
                "waiting_tenants": keys.WAITING_TENANTS,
                "account_day": keys.money_of_account(day(now)),
                "budget_shares": keys.BUDGET_SHARES,
                "stored_bytes": keys.STORED_BYTES,
                "trail_check": keys.TRAIL_CHECK,
                "due_sets": [keys.due(work_queue) for work_queue in _QUEUES],
            },
            {
                "long_failing_ms": ids.milliseconds(failing_since),
                "waiting": _WAITING,
                "near": int(near * 1000),
                "budgets": _BUDGETS,
                "slow": "" if slow else "1",
            },
        )
        return Figures(
            slots_used=used,
            unconfirmed=unconfirmed,
            oldest_unconfirmed=moment(oldest),
            paid_and_lost=lost,
            failing_receivers=failing,
            dead_letters=dead,
            waiting=[(name, ids.from_milliseconds(int(score))) for name, score in _scores(waiting)],
            due={queue: at for queue, each in zip(_QUEUES, due, strict=True) if (at := moment(each)) is not None},
            slow=slow or await self._slow(changing),
        )

    async def _slow(self, reply: Sequence[Any]) -> SlowFigures:
        held, spent, budgets, largest, breaks = reply
        return SlowFigures(
            account=Standing(int(held), int(spent)),
            near_budget={name: share / 1000 for name, share in _scores(budgets)},
            largest=next(((name, int(size)) for name, size in _scores(largest)), None),
            trail_breaks=max(map(int, breaks)),
            price_mismatches=await self._prices.mismatches(),
            fsync=await health.setting(self._redis, "appendfsync"),
        )


def _scores(pairs: Sequence[bytes]) -> Iterable[tuple[str, float]]:
    return ((name.decode(), float(score)) for name, score in zip(pairs[::2], pairs[1::2], strict=True))
