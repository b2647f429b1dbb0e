"""The audit: ledger = counters of the windows = what the generations say; sets of work in flight likewise."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from service.clock import Clock
from service.domain.budgets import day
from service.domain.generation import Generation
from service.domain.status import Status
from service.store.generations.generations import GenerationStore
from service.store.generations.in_flight import InFlightStore
from service.store.keys import MONEY_RETENTION_SECONDS
from service.store.money.money import Entry, MoneyStore, first_day

#: Windows and ledger are whole for so long: what is older goes from each at a time of its own. Less a day, for clocks.
_WHOLE: Final = timedelta(seconds=MONEY_RETENTION_SECONDS) - timedelta(days=1)

_PAGE: Final = 200
_NOTED_EVERY: Final = 10_000

Step = Literal["ledger", "windows", "generations"]

#: Differences told; the count covers them all.
MOST_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not add up: what it is, what one book says and what the other."""

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
    """Differences there were, where only the first are kept; None: all are kept."""

    @property
    def difference_count(self) -> int:
        return len(self.differences) if self.counted is None else self.counted

    def told(self) -> list[Difference]:
        """The first of them: enough to see what kind they are."""
        return self.differences[:MOST_TOLD]

    @property
    def clean(self) -> bool:
        return not self.differences


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: in the ledger, then in the windows, then in the generations that the books call open."""

    step: Step
    done: int
    total: int


Note = Callable[[Progress], Awaitable[None]]
"""Is told of the progress after each page."""


@dataclass(slots=True)
class _Open:
    """A generation that the ledger has not settled: what is held, and in which windows."""

    held: int
    windows: tuple[str, str, str]


@dataclass(slots=True)
class _Books:
    """What the ledger says."""

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
    """Reads everything once, page by page. Under traffic a move between two reads can look like a difference."""

    def __init__(
        self, money: MoneyStore, generations: GenerationStore, in_flight: InFlightStore, *, clock: Clock
    ) -> None:
        self._money = money
        self._generations = generations
        self._in_flight = in_flight
        self._clock = clock

    async def run(self, note: Note | None = None) -> Findings:
        oldest = self._clock() - _WHOLE
        books = await self._ledger(oldest, note)
        slots = await self._in_flight.slots()
        differences = [
            *books.differences,
            *await self._windows(books, day(oldest), note),
            *await self._open(books, slots, note),
            *_unlike("slot", " at its tenant", slots, await self._in_flight.tenant_slots()),
            *_unlike(
                "entry", " in flight at its tenant", await self._in_flight.waiting(), await self._in_flight.pending()
            ),
        ]
        return Findings(len(books.windows), books.entries, len(slots), differences)

    async def _ledger(self, oldest: datetime, note: Note | None) -> _Books:
        books, total, read = _Books(), await self._money.entries(), 0
        async for entry in self._money.ledger():
            if entry.created_at >= oldest:
                books.book(entry)
            read += 1
            if note is not None and read % _NOTED_EVERY == 0:
                await note(Progress("ledger", read, max(read, total)))
        return books

    async def _windows(self, books: _Books, oldest: str, note: Note | None) -> list[Difference]:
        names = set(books.windows) | {name async for name in self._money.windows()}
        differences = []
        async for page in _pages(sorted(name for name in names if first_day(name) > oldest), "windows", note):
            for name, standing in zip(page, await self._money.standings_of(page), strict=True):
                held, spent = books.windows.get(name, (0, 0))
                if (standing.held, standing.spent) != (held, spent):
                    differences.append(Difference(name, _amounts(held, spent), _amounts(standing.held, standing.spent)))
        return differences

    async def _open(self, books: _Books, slots: set[str], note: Note | None) -> list[Difference]:
        """Each open hold and each place in a set of work in flight is that of a generation that says the same."""
        claimed, slotless = await self._in_flight.claimed(), await self._in_flight.slotless()
        differences = []
        async for page in _pages(sorted(slots | slotless | set(books.open)), "generations", note):
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


async def _pages(names: list[str], step: Step, note: Note | None) -> AsyncIterator[list[str]]:
    for start in range(0, len(names), _PAGE):
        yield names[start : start + _PAGE]
        if note is not None:
            await note(Progress(step, min(start + _PAGE, len(names)), len(names)))


def _owed(g: Generation | None) -> int:
    return 0 if g is None or g.is_terminal else g.estimated_cost


def _compared(what: str, name: str, g: Generation | None, *, expected: bool, found: bool) -> list[Difference]:
    if expected == found:
        return []
    words = {True: what, False: what.replace("a ", "no ", 1)}
    subject = what.removeprefix("a ")
    return [Difference(f"{subject} of {name} ({'gone' if g is None else g.status})", words[expected], words[found])]


def _unlike(what: str, where: str, expected: set[str], found: set[str]) -> list[Difference]:
    """Members of only one of two sets that have to be the same."""
    words = {True: f"a {what}" if what != "entry" else "an entry", False: f"no {what}"}
    return [
        Difference(f"{what} of {name}{where}", words[name in expected], words[name in found])
        for name in sorted(expected ^ found)
    ]


def _amounts(held: int, spent: int) -> str:
    return f"held {held}, spent {spent}"
