"""Compare-and-set that is repeated after a lost race.

A writer reads a record, changes it, and writes it only if its version is still the one that was read. Where another
process was first, the whole attempt is repeated, with the record as it is now.
"""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final, Literal, TypeVar

from service.errors import PreconditionFailed

T = TypeVar("T")

Versions = frozenset[int] | None
"""The versions of an object at which a caller accepts to change it; None: any."""

#: Each lost race is another writer's success, so that several in a row are rare, and this many are an error.
MAX_ATTEMPTS: Final = 20


class Race(Enum):
    LOST = "lost"


LOST: Final = Race.LOST
Lost = Literal[Race.LOST]


async def retry_on_conflict(attempt: Callable[[], Awaitable[T | Lost]]) -> T | Lost:
    """Repeat the attempt until it returns a result; return ``LOST`` after ``MAX_ATTEMPTS`` lost races in a row.

    The attempt reads, changes and writes. It returns ``LOST`` if another process has changed the record meanwhile.
    """
    for _ in range(MAX_ATTEMPTS):
        if (result := await attempt()) is not LOST:
            return result
    return LOST


def check_version(version: int, accepted: Versions, noun: str) -> None:
    """Raise PreconditionFailed if the caller does not accept the version of the object as it is stored now."""
    if accepted is not None and version not in accepted:
        raise PreconditionFailed(f"The {noun} is at version {version} by now; read it again.")
