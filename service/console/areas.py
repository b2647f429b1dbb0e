"""The navigation: areas, their pages, and the rights that each needs."""

from dataclasses import dataclass
from typing import Final

from service.domain.operator import Role
from service.domain.tenant import Scope
from service.usecases.console.identity import Identity


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the navigation."""

    path: str
    title: str
    needs: Role | Scope


@dataclass(frozen=True, slots=True)
class Area:
    title: str
    entries: tuple[Entry, ...]


#: A new page that a reader should find without a link adds its entry here.
AREAS: Final = (
    Area(
        "On call",
        (
            Entry("/oncall", "Status", Role.VIEWER),
            Entry("/oncall/generations", "Generations", Role.VIEWER),
            Entry("/oncall/tenants", "Tenants and queues", Role.VIEWER),
            Entry("/oncall/unconfirmed", "Unconfirmed", Role.VIEWER),
            Entry("/oncall/paid-and-lost", "Paid and lost", Role.VIEWER),
            Entry("/oncall/receivers", "Failing receivers", Role.VIEWER),
            Entry("/oncall/deliveries", "Deliveries", Role.VIEWER),
            Entry("/oncall/bulk", "Bulk jobs", Role.VIEWER),
            Entry("/oncall/trail", "Audit trail", Role.VIEWER),
        ),
    ),
    Area(
        "Money",
        (
            Entry("/money", "Overview", Role.VIEWER),
            Entry("/money/usage", "Usage", Role.VIEWER),
            Entry("/money/budgets", "Budgets", Role.VIEWER),
            Entry("/money/audit", "Audit", Role.VIEWER),
        ),
    ),
    Area(
        "Tenant",
        (
            Entry("/tenant", "Overview", Scope.READ),
            Entry("/tenant/generations", "Generations", Scope.READ),
            Entry("/tenant/usage", "Usage", Scope.READ),
            Entry("/tenant/endpoints", "Webhooks", Scope.READ),
            Entry("/tenant/deliveries", "Deliveries", Scope.READ),
            Entry("/tenant/end-users", "End users", Scope.READ),
            Entry("/tenant/keys", "Keys", Scope.READ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class ShownEntry:
    path: str
    title: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class ShownArea:
    title: str
    entries: tuple[ShownEntry, ...]
    is_current: bool


def areas_of(identity: Identity | None, path: str) -> list[ShownArea]:
    """Return the areas and pages that an identity may read. The current entry is the longest beginning of ``path``."""
    if identity is None:
        return []
    found = [(area, [entry for entry in area.entries if identity.may(entry.needs)]) for area in AREAS]
    paths = [entry.path for _, entries in found for entry in entries]
    current = max((each for each in paths if f"{path}/".startswith(f"{each}/")), key=len, default="")
    return [
        ShownArea(
            area.title,
            tuple(ShownEntry(entry.path, entry.title, entry.path == current) for entry in entries),
            any(entry.path == current for entry in entries),
        )
        for area, entries in found
        if entries
    ]


def home_of(identity: Identity) -> str | None:
    """Return the first page that an identity may read; None: there is none."""
    return next((entry.path for area in AREAS for entry in area.entries if identity.may(entry.needs)), None)
