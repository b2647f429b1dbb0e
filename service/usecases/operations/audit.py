"""The audit: compares the ledger, the budget windows, the generations, and the sets of work in flight."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from service.clock import Clock
from service.domain.budgets import day
from service.domain.generation import Generation
from service.domain.status import Status
from service.store.generations.in_flight import InFlightStore
from service.store.generations.read import GenerationReader
from service.store.keys import MONEY_RETENTION_SECONDS
from service.store.money.money import Entry, MoneyStore, first_day

#: Windows and ledger are complete for this period: older parts of each are deleted at different times. It is a day
#: shorter than their retention, to allow for clock skew.
_COMPLETE_PERIOD: Final = timedelta(seconds=MONEY_RETENTION_SECONDS) - timedelta(days=1)

_PAGE: Final = 200
_ENTRIES_PER_REPORT: Final = 10_000

Step = Literal["ledger", "windows", "generations"]

#: The most differences that are listed. The count covers all of them.
LIST_LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One inconsistency: its subject, the expected value, and the value that was found."""

    what: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Findings:
    windows: int
    entries: int
    slots: int
    differences: list[Difference]
    counted: int | None = None
    """The count of differences if only the first are stored; None if all are."""

    @property
    def difference_count(self) -> int:
        return len(self.differences) if self.counted is None else self.counted

    def listed(self) -> list[Difference]:
        """Return the first differences, enough to see their kind."""
        return self.differences[:LIST_LIMIT]

    @property
    def clean(self) -> bool:
        return not self.differences


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run: through the ledger, the windows, then the generations that the ledger has not settled."""

    step: Step
    done: int
    total: int


ReportProgress = Callable[[Progress], Awaitable[None]]
"""Called after each page."""


@dataclass(slots=True)
class _Open:
    """A generation that the ledger has not settled: its hold, and the windows of the hold."""

    held: int
    windows: tuple[str, str, str]


@dataclass(slots=True)
class _Books:
    """The sums of the ledger."""

    windows: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """Held and spent, by window."""
    open: dict[str, _Open] = field(default_factory=dict)
    entries: int = 0
    differences: list[Difference] = field(default_factory=list)

    def book(self, entry: Entry) -> None:
        self.entries += 1
        known = self.open.pop(entry.generation_id, None)
        if entry.tenant_id:
            windows = entry.windows
        elif known is not None:
            windows = known.windows
        else:
            self.differences.append(Difference(f"settlement of {entry.generation_id}", "a hold", "no hold"))
            return
        for window in windows:
            self.windows[window][0] += entry.held
            self.windows[window][1] += entry.spent
        if left := entry.held + (known.held if known else 0):
            self.open[entry.generation_id] = _Open(left, windows)


class Audit:
    """Reads everything once, page by page. A transition between two reads can appear as a difference."""

    def __init__(
        self, money: MoneyStore, generations: GenerationReader, in_flight: InFlightStore, *, clock: Clock
    ) -> None:
        self._money = money
        self._generations = generations
        self._in_flight = in_flight
        self._clock = clock

    async def run(self, report: ReportProgress | None = None) -> Findings:
        oldest = self._clock() - _COMPLETE_PERIOD
        books = await self._ledger(oldest, report)
        slots = await self._in_flight.slots()
        differences = [
            *books.differences,
            *await self._windows(books, day(oldest), report),
            *await self._open(books, slots, report),
            *_set_differences("slot", " at its tenant", slots, await self._in_flight.tenant_slots()),
            *_set_differences(
                "entry", " in flight at its tenant", await self._in_flight.waiting(), await self._in_flight.pending()
            ),
        ]
        return Findings(len(books.windows), books.entries, len(slots), differences)

    async def _ledger(self, oldest: datetime, report: ReportProgress | None) -> _Books:
        books, total, read = _Books(), await self._money.entries(), 0
        async for entry in self._money.ledger():
            if entry.created_at >= oldest:
                books.book(entry)
            read += 1
            if report is not None and read % _ENTRIES_PER_REPORT == 0:
                await report(Progress("ledger", read, max(read, total)))
        return books

    async def _windows(self, books: _Books, oldest: str, report: ReportProgress | None) -> list[Difference]:
        names = set(books.windows) | {name async for name in self._money.windows()}
        differences = []
        async for page in _pages(sorted(name for name in names if first_day(name) > oldest), "windows", report):
            for name, standing in zip(page, await self._money.standings_of(page), strict=True):
                held, spent = books.windows.get(name, (0, 0))
                if (standing.held, standing.spent) != (held, spent):
                    differences.append(Difference(name, _amounts(held, spent), _amounts(standing.held, standing.spent)))
        return differences

    async def _open(self, books: _Books, slots: set[str], report: ReportProgress | None) -> list[Difference]:
        """Compare the open holds and the sets of work in flight with the records of the generations."""
        claimed, slotless = await self._in_flight.claimed(), await self._in_flight.slotless()
        differences = []
        async for page in _pages(sorted(slots | slotless | set(books.open)), "generations", report):
            for name, g in zip(page, await self._generations.load_many(page), strict=True):
                hold = books.open.get(name)
                held, owed = (hold.held if hold else 0), _owed(g)
                if hold is not None and held != owed:
                    differences.append(Difference(f"hold of {name}", f"held {owed}", f"held {held}"))
                has_slot = name in claimed or (g is not None and g.holds_slot)
                differences += _compared("a slot", name, g, expected=has_slot, found=name in slots)
                without = not has_slot and g is not None and not g.is_terminal and g.status is not Status.QUEUED
                differences += _compared("a mark as slotless", name, g, expected=without, found=name in slotless)
        return differences


async def _pages(names: list[str], step: Step, report: ReportProgress | None) -> AsyncIterator[list[str]]:
    for start in range(0, len(names), _PAGE):
        yield names[start : start + _PAGE]
        if report is not None:
            await report(Progress(step, min(start + _PAGE, len(names)), len(names)))


def _owed(g: Generation | None) -> int:
    return 0 if g is None or g.is_terminal else g.estimated_cost


def _compared(what: str, name: str, g: Generation | None, *, expected: bool, found: bool) -> list[Difference]:
    if expected == found:
        return []
    texts = {True: what, False: what.replace("a ", "no ", 1)}
    subject = what.removeprefix("a ")
    return [Difference(f"{subject} of {name} ({'gone' if g is None else g.status})", texts[expected], texts[found])]


def _set_differences(what: str, where: str, expected: set[str], found: set[str]) -> list[Difference]:
    """Return the members of only one of two sets that must be equal."""
    texts = {True: f"a {what}" if what != "entry" else "an entry", False: f"no {what}"}
    return [
        Difference(f"{what} of {name}{where}", texts[name in expected], texts[name in found])
        for name in sorted(expected ^ found)
    ]


def _amounts(held: int, spent: int) -> str:
    return f"held {held}, spent {spent}"
