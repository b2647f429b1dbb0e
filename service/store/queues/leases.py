"""Leases of claimed entries: a process extends those that it holds, in one script call for each page.

A lease has no token: the score of an entry identifies its holder. A process knows each score that it wrote. A score
that it did not write means that the entry was moved, or was claimed by another process after the lease had ended. Two
processes can write the same millisecond only if both claimed the entry, and a claim finds an entry only once its score
has passed: the later claim writes a later score. One case remains: a claim, and a renewal without a reply, in the same
millisecond, after the lease had ended. Both processes were working on the entry already; then one of them extends the
other's lease while it lives. The entry is still due again one lease after the last of them died.
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

#: Leases that one script call extends: a call occupies Redis for less than a millisecond.
_PAGE: Final = {WorkQueue.DISPATCH: 200, WorkQueue.POLL: 200, WorkQueue.SWEEP: 200, WorkQueue.DELIVER: 100}
#: Scores without a reply that a lease remembers, in addition to the last one with a reply.
_MOST_UNANSWERED: Final = 7


@dataclass(eq=False, slots=True)
class Lease:
    """A claimed entry that this process works on."""

    id: str
    queue_name: str
    """Of a delivery: the name of its endpoint queue; "" for the other work queues."""
    scores: tuple[int, ...]
    """Scores that the entry may have while it is held: the last one with a reply, then those without."""

    def add_score(self, score: int) -> None:
        """Remember a score that is about to be written."""
        first, *unanswered = self.scores
        self.scores = (first, *unanswered[-_MOST_UNANSWERED + 1 :], score)

    @property
    def packed(self) -> str:
        """The scores, each between spaces."""
        return f" {' '.join(map(str, self.scores))} "


class LeaseStore:
    """The leases of one work queue."""

    def __init__(self, redis: Redis, work_queue: WorkQueue) -> None:
        self._redis = redis
        self.work_queue = work_queue

    async def renew(self, leases: Sequence[Lease], *, now: datetime, until: datetime) -> list[Lease]:
        """Extend these leases where they are still held; return those that are not.

        Raises:
            StoreUnavailable: no reply. The leases remember that they may have been extended.

        """
        lost, size = list[Lease](), _PAGE[self.work_queue]
        ordered = sorted(leases, key=lambda lease: lease.queue_name)
        for start in range(0, len(ordered), size):
            lost += await self._renew_page(
                ordered[start : start + size], ids.milliseconds(now), ids.milliseconds(until)
            )
        return lost

    async def _renew_page(self, page: list[Lease], now: int, until: int) -> list[Lease]:
        deliveries = self.work_queue is WorkQueue.DELIVER
        packed = list(_deliveries(page) if deliveries else _entries(page))  # before the new scores are added
        for lease in page:
            lease.add_score(until)
        if deliveries:
            found = await self._redis.run(
                _RENEW_DELIVERIES,
                {"due_deliver": keys.due(WorkQueue.DELIVER), "endpoints": list(_endpoint_keys(page))},
                {"now_ms": now, "lease_end_ms": until, "deliveries": packed},
                replicated=False,
            )
        else:
            key = keys.CLAIMED if self.work_queue is WorkQueue.DISPATCH else keys.due(self.work_queue)
            found = await self._redis.run(
                _RENEW, {"due": key}, {"lease_end_ms": until, "entries": packed}, replicated=False
            )
        for lease in page:
            lease.scores = (until,)
        return [page[number - 1] for number in found]


def _entries(page: Sequence[Lease]) -> Iterator[Argument]:
    for lease in page:
        yield lease.id
        yield lease.packed


def _deliveries(page: Sequence[Lease]) -> Iterator[Argument]:
    for name, group in groupby(page, key=lambda lease: lease.queue_name):
        leases = list(group)
        yield name
        yield len(leases)
        yield from _entries(leases)


def _endpoint_keys(page: Sequence[Lease]) -> Iterator[str]:
    for name, _ in groupby(page, key=lambda lease: lease.queue_name):
        yield keys.endpoint_queue(name)
        yield keys.endpoint_leases(name)
