"""Daily usage: generations and spent money."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Day:
    """One tenant's day (UTC), by the creation of its generations. Money in micro-USD.

    ``outcomes`` counts ``succeeded``, ``canceled`` and ``failed:<error code>``.
    """

    date: str
    created: int = 0
    spent: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndUserSpending:
    pseudonym: str
    end_user_id: str | None
    """None: the tenant itself, or erased."""
    spent: int
