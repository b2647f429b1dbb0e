"""The audit trail, as tests read it."""

from service.domain.chain import Link
from service.domain.trail import Entry
from service.runtime import Runtime


def is_of_trail(key: str) -> bool:
    """Return whether a key is one of the trail, which also records an act that changes nothing else."""
    return ":trail" in key or ":acts:" in key


async def links(runtime: Runtime) -> list[Link]:
    """Return all entries as they are stored, the oldest first."""
    return [link async for step in runtime.stores.trail_reader.links() for link in step]


async def entries(runtime: Runtime) -> list[Entry]:
    """Return all entries, the oldest first."""
    return [link.load() for link in await links(runtime)]
