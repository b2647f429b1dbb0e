"""Verification of the audit trail's chain: all of it at once, and in steps by the workers.

Numbers must follow each other, each entry must have the hash of the one before, and the last one must be the head's.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from service.domain.chain import Break, Head, Verified
from service.observability import log
from service.store.trail.checks import TrailCheckStore
from service.store.trail.reading import TrailReader

#: Entries of one step.
STEP: Final = 500
#: Interval of the steps of all workers together: 720,000 entries a day.
EVERY: Final = timedelta(minutes=1)
_MOST_LISTED: Final = 100


@dataclass(frozen=True, slots=True)
class Step:
    at: Verified
    """The last entry that was verified."""
    entries: int
    breaks: list[Break]
    finished: bool
    head: Head


@dataclass(frozen=True, slots=True)
class ChainReport:
    """``breaks``: the first 100 of ``break_count``."""

    entries: int
    trimmed: int
    """Entries that retention has removed."""
    last: int
    """Number of the last entry."""
    last_hash: str
    break_count: int
    breaks: list[Break]


class TrailVerification:
    def __init__(self, reader: TrailReader, checks: TrailCheckStore) -> None:
        self._reader = reader
        self._checks = checks
        self._log = log.get(__name__)

    async def run(self, progress: Callable[[int, int], Awaitable[None]] | None = None) -> ChainReport:
        """Verify all entries. ``progress`` is called after each step with the entries so far, and of all."""
        at, entries, count, breaks = Verified(), 0, 0, list[Break]()
        while True:
            step = await self._step(at)
            at, entries, count = step.at, entries + step.entries, count + len(step.breaks)
            breaks = [*breaks, *step.breaks][:_MOST_LISTED]
            if step.finished:
                break
            if progress is not None:
                await progress(entries, step.head.number - step.head.trimmed)
        return ChainReport(entries, step.head.trimmed, step.head.number, step.head.hash, count, breaks)

    async def continue_when_due(self) -> None:
        """Verify the next entries, unless another process has done so within the interval. Log each break."""
        if await self._checks.take_turn(EVERY):
            await self.verify_next()

    async def verify_next(self) -> None:
        at, breaks = await self._checks.verified()
        step = await self._step(at)
        for found in step.breaks:
            self._log.error("trail_chain_broken", number=found.number, fault=found.fault)
        await self._checks.keep_verified(step.at, breaks + len(step.breaks), finished=step.finished)

    async def _step(self, at: Verified) -> Step:
        before = await self._reader.head()
        links = await self._reader.oldest(after=at.position, limit=STEP)
        trimmed = range(before.trimmed, (await self._reader.head()).trimmed + 1)
        breaks: list[Break | None] = []
        begins = not at.position
        # Retention may have removed the entries that come next: the verification goes on behind them.
        if links and (begins or at.number < links[0].number - 1 <= trimmed[-1]):
            at, fault = at.begun_at(links[0], trimmed)
            breaks.append(fault)
        elif begins:
            at = Verified(number=before.trimmed, hash=before.hash if before.trimmed == before.number else at.hash)
        for link in links:
            at, fault = at.after(link)
            breaks.append(fault)
        finished = len(links) < STEP
        if finished:
            breaks.append(at.fault_at_end(before))
        return Step(at, len(links), [each for each in breaks if each is not None], finished, before)
