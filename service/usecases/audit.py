"""The audit: ledger = counters of the windows = what the generations say; slots likewise."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from service.domain.money import Standing, day
from service.store.generations import GenerationStore
from service.store.keys import KEPT_SECONDS
from service.store.money import Entry, MoneyStore, first_day
from service.usecases.moves import Clock

#: Windows and ledger are whole for so long: what is older goes from each at a time of its own. Less a day, for clocks.
_WHOLE: Final = timedelta(seconds=KEPT_SECONDS) - timedelta(days=1)

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

    def told(self) -> list[Difference]:
        """The first of them: enough to see what kind they are."""
        return self.differences[:MOST_TOLD]

    @property
    def clean(self) -> bool:
        return not self.differences


class Audit:
    """Reads everything once, page by page. Under traffic a move between two reads can look like a difference."""

    def __init__(self, money: MoneyStore, generations: GenerationStore, *, clock: Clock) -> None:
        self._money = money
        self._generations = generations
        self._clock = clock

    async def run(self) -> Findings:
        expected: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        open_holds: dict[str, int] = {}
        entries = 0
        oldest = self._clock() - _WHOLE
        async for entry in self._money.ledger():
            if entry.created_at >= oldest:
                entries += 1
                _book(entry, expected, open_holds)
        differences = await self._windows(expected, day(oldest))
        differences += await self._holds(open_holds)
        slots = await self._money.slots()
        differences += await self._slots(slots, await self._money.claimed(), open_holds)
        differences += await self._tenant_slots(slots)
        return Findings(len(expected), entries, len(slots), differences)

    async def _windows(self, expected: dict[str, list[int]], oldest: str) -> list[Difference]:
        names = set(expected) | {name async for name in self._money.windows()}
        differences = []
        for name in sorted(name for name in names if first_day(name) > oldest):
            held, spent = expected.get(name, [0, 0])
            standing = await self._money.standing(name)
            if (standing.held, standing.spent) != (held, spent):
                differences.append(Difference(name, _amounts(Standing(held, spent)), _amounts(standing)))
        return differences

    async def _holds(self, open_holds: dict[str, int]) -> list[Difference]:
        """Every open hold belongs to a generation that has not ended, and is its estimate."""
        differences = []
        for generation_id, held in open_holds.items():
            g = await self._generations.load(generation_id)
            alive = 0 if g is None or g.is_terminal else g.estimated_cost
            if alive != held:
                differences.append(Difference(f"hold of {generation_id}", f"held {alive}", f"held {held}"))
        return differences

    async def _slots(self, slots: set[str], claimed: set[str], open_holds: dict[str, int]) -> list[Difference]:
        """The slot set is the generations that fal may have, and those just claimed for it."""
        differences = []
        for generation_id in sorted(slots | set(open_holds)):
            g = await self._generations.load(generation_id)
            owed = generation_id in claimed or (g is not None and g.holds_slot)
            if owed != (generation_id in slots):
                status = "gone" if g is None else g.status
                found = "a slot" if generation_id in slots else "no slot"
                differences.append(
                    Difference(f"slot of {generation_id} ({status})", "a slot" if owed else "no slot", found)
                )
        return differences

    async def _tenant_slots(self, slots: set[str]) -> list[Difference]:
        """Each slot of the account is one of its tenant, and no tenant has one besides."""
        of_tenants = {name async for name in self._money.tenant_slots()}
        return [
            Difference(
                f"slot of {name} at its tenant", *(("a slot", "no slot") if name in slots else ("no slot", "a slot"))
            )
            for name in sorted(slots ^ of_tenants)
        ]


def _book(entry: Entry, expected: defaultdict[str, list[int]], open_holds: dict[str, int]) -> None:
    for window in entry.windows:
        expected[window][0] += entry.held
        expected[window][1] += entry.spent
    left = open_holds.get(entry.generation_id, 0) + entry.held
    if left:
        open_holds[entry.generation_id] = left
    else:
        open_holds.pop(entry.generation_id, None)


def _amounts(standing: Standing) -> str:
    return f"held {standing.held}, spent {standing.spent}"
