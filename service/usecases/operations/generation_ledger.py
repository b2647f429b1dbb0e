"""The lines of the ledger of one generation, found by the times at which they were written."""

from dataclasses import dataclass

from service.domain import ids
from service.domain.generation import Generation
from service.errors import NotFound
from service.store.generations.generations import GenerationStore
from service.store.money.ledger_lines import LedgerLines, Line


@dataclass(frozen=True, slots=True)
class GenerationLedger:
    """``is_complete``: the lines add up to the record; otherwise others, like adjustments, are elsewhere."""

    generation: Generation
    lines: list[Line]

    @property
    def held(self) -> int:
        return sum(line.held for line in self.lines)

    @property
    def spent(self) -> int:
        return sum(line.spent for line in self.lines)

    @property
    def is_complete(self) -> bool:
        g = self.generation
        expected = (0, g.actual_cost or 0) if g.finished_at is not None else (g.estimated_cost, 0)
        return (self.held, self.spent) == expected


class GenerationLedgers:
    """Reads the ledger around the creation and the end of a generation. The work does not grow with the ledger."""

    def __init__(self, generations: GenerationStore, lines: LedgerLines) -> None:
        self._generations = generations
        self._lines = lines

    async def read(self, generation_id: str) -> GenerationLedger:
        """Return the lines of a generation. Raises NotFound."""
        g = await self._generations.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        if g is None:
            raise NotFound("There is no such generation. Its record may be deleted after its retention.")
        moments = [moment for moment in (g.created_at, g.finished_at) if moment is not None]
        return GenerationLedger(g, await self._lines.near(generation_id, moments))
