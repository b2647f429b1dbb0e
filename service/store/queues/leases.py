"""Leases of entries under way: a process extends those that it holds, in one script call a page.

A lease has no token: the score of an entry names its holder. A process knows each score that it wrote, and a score
that it did not write means that the entry was moved, or claimed by another process after the lease had run out. Two
processes can write the same millisecond only if both claimed the entry, and a claim finds an entry only once its score
has passed: the later claim writes a later score. What remains is a claim and a renewal without an answer in the same
millisecond, after the lease had run out. Both processes were working on the entry already; then one of them extends the
other's lease while it lives. The entry is still due again a lease after the last of them died.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from service.domain import ids
from service.domain.work_queue import WorkQueue
from service.store import keys
from service.store.redis.client import Argument, Redis, Script

_RENEW: Final = Script("renew")
_RENEW_DELIVERIES: Final = Script("renew_deliveries")

#: Leases a script call extends: it holds Redis up for less than a millisecond.
_PAGE: Final = {WorkQueue.DISPATCH: 200, WorkQueue.POLL: 200, WorkQueue.SWEEP: 200, WorkQueue.DELIVER: 100}
#: Scores without an answer that a lease remembers, beside the last one with an answer.
_MOST_UNANSWERED: Final = 7


@dataclass(eq=False, slots=True)
class Lease:
    """An entry that this process works on."""

    id: str
    lane: str
    """Of a delivery: the name of its receiver's queue; "" for the other drains."""
    scores: tuple[int, ...]
    """Those its entry may have while it is held: the last one that was answered, then those that were not."""

    def tried(self, score: int) -> None:
        first, *unanswered = self.scores
        self.scores = (first, *unanswered[-_MOST_UNANSWERED + 1 :], score)

    @property
    def packed(self) -> str:
        return f" {' '.join(map(str, self.scores))} "


class LeaseStore:
    """The leases of one drain."""

    def __init__(self, redis: Redis, drain: WorkQueue) -> None:
        self._redis = redis
        self.drain = drain

    async def renew(self, leases: Sequence[Lease], *, now: datetime, until: datetime) -> list[Lease]:
        """Extend these leases where they are still held; returns those that are not.

        Raises StoreUnavailable; the leases then know that they may have been extended.
        """
        lost, size = list[Lease](), _PAGE[self.drain]
        ordered = sorted(leases, key=lambda lease: lease.lane)
        for start in range(0, len(ordered), size):
            lost += await self._renew_page(
                ordered[start : start + size], ids.milliseconds(now), ids.milliseconds(until)
            )
        return lost

    async def _renew_page(self, page: list[Lease], now: int, until: int) -> list[Lease]:
        deliveries = self.drain is WorkQueue.DELIVER
        arguments = list(_of_receivers(page) if deliveries else _of_entries(page))
        for lease in page:
            lease.tried(until)
        if deliveries:
            found = await self._redis.run(
                _RENEW_DELIVERIES, list(_receiver_keys(page)), now, until, *arguments, replicated=False
            )
        else:
            key = keys.CLAIMED if self.drain is WorkQueue.DISPATCH else keys.due(self.drain)
            found = await self._redis.run(_RENEW, [key], until, *arguments, replicated=False)
        for lease in page:
            lease.scores = (until,)
        return [page[number - 1] for number in found]


def _of_entries(page: Sequence[Lease]) -> Iterator[Argument]:
    for lease in page:
        yield lease.id
        yield lease.packed


def _of_receivers(page: Sequence[Lease]) -> Iterator[Argument]:
    for name, group in groupby(page, key=lambda lease: lease.lane):
        leases = list(group)
        yield name
        yield len(leases)
        yield from _of_entries(leases)


def _receiver_keys(page: Sequence[Lease]) -> Iterator[str]:
    yield keys.due(WorkQueue.DELIVER)
    for name, _ in groupby(page, key=lambda lease: lease.lane):
        yield keys.lane(name)
        yield keys.leased_of_lane(name)
        yield keys.delivering(name.partition(":")[0])
