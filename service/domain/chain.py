"""The hash chain of the audit trail. The hash of an entry covers its number, its record and the hash before it.

A changed, removed, inserted or reordered entry breaks the chain. The head names the last entry, so that removed last
entries are found; it also counts the entries that retention removed, so that removed first entries are found.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final, Self

from service.domain.trail import ENTRY, Entry

#: Hash before the first entry of all.
GENESIS: Final = "0" * 64


def chained(before: str, number: int, record: bytes) -> str:
    """Return the hash of an entry in hex, from the hash of the entry before it, its number and its own record."""
    return hashlib.sha256(b"%s\n%d\n%s" % (before.encode(), number, record)).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is stored. ``position`` orders entries and has the time at which the entry was recorded."""

    position: str
    number: int
    record: bytes
    before: str
    hash: str

    def load(self) -> Entry:
        return ENTRY.validate_json(self.record)

    @property
    def recorded_ms(self) -> int:
        """Milliseconds since 1970, by the clock of Redis."""
        return int(self.position.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Head:
    """Number and hash of the last entry, and the number of the entries that retention has removed."""

    number: int = 0
    hash: str = GENESIS
    trimmed: int = 0


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain is broken: ``number`` is that of the first entry that is wrong."""

    number: int
    fault: str


@dataclass(frozen=True, slots=True)
class Verified:
    """How far a verification has come: the last verified entry. ``position`` "": it has not begun."""

    position: str = ""
    number: int = 0
    hash: str = GENESIS

    def after(self, link: Link) -> tuple[Self, Break | None]:
        """Verify the next entry. A break does not end the verification: it continues from the entry as it is."""
        return replace(self, position=link.position, number=link.number, hash=link.hash), self._fault(link)

    def _fault(self, link: Link) -> Break | None:
        if link.number != self.number + 1:
            return Break(
                min(link.number, self.number + 1), f"entry {self.number + 1} is missing: {link.number} follows"
            )
        if link.before != self.hash:
            return Break(link.number, "the hash of the entry before it is another one")
        if chained(link.before, link.number, link.record) != link.hash:
            return Break(link.number, "its record does not have its hash")
        return None

    def begun_at(self, first: Link, trimmed: range) -> tuple[Self, Break | None]:
        """Begin with the first stored entry. ``trimmed``: how many retention has removed, before and after the read.

        The hash before the first entry cannot be verified where the entry before it was removed.
        """
        gone = first.number - 1
        start = replace(self, position="", number=gone, hash=first.before if gone > 0 else GENESIS)
        if gone in trimmed:
            return start, None
        return start, Break(first.number, f"the entries before it are missing; retention has removed {trimmed[0]}")

    def fault_at_end(self, head: Head) -> Break | None:
        """Return whether the last entry is not the one that the head names. ``head`` was read before the entries."""
        if self.number < head.number:
            return Break(self.number + 1, f"it is missing; the last entry was {head.number}")
        if self.number == head.number and self.hash != head.hash:
            return Break(head.number, "the last entry has another hash than the head of the chain")
        return None
