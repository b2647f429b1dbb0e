"""The audit trail, as tests read it."""

import re
from typing import Final

from service.domain.chain import Link
from service.domain.trail import Entry
from service.runtime import Runtime
from tests.support.trail_scene import MARK

_CREDENTIAL: Final = re.compile(r"whsec_|whsk_|sg[ko]_[0-9a-z]{12}_|eyJ[A-Za-z0-9_-]{10,}\.")


def is_of_trail(key: str) -> bool:
    """Return whether a key is one of the trail, which also records an act that changes nothing else."""
    return ":trail" in key or ":acts:" in key


async def links(runtime: Runtime) -> list[Link]:
    """Return all entries as they are stored, the oldest first."""
    return [link async for step in runtime.stores.trail_reader.links() for link in step]


async def last_number(runtime: Runtime) -> int:
    """Return the number of the last entry."""
    return (await runtime.stores.trail_reader.head()).number


async def entries_after(runtime: Runtime, number: int) -> list[Entry]:
    """Return the entries that were appended after another one."""
    added = (await last_number(runtime)) - number
    found = await runtime.stores.trail_reader.newest(limit=added) if added else []
    return [link.load() for link in reversed(found)]


async def assert_no_secret(runtime: Runtime, logs: str) -> None:
    """Check that no entry and no line of the logs has the mark of secrets and of persons, or a credential's text."""
    records = [link.record.decode() for link in await links(runtime)]
    lines = [line for line in logs.splitlines() if '"event":' in line]
    assert records
    assert len([line for line in lines if '"event":"trail_entry"' in line]) >= len(records)
    for text in (*records, *lines):
        assert MARK not in text
        assert not _CREDENTIAL.search(text), text


async def entries(runtime: Runtime) -> list[Entry]:
    """Return all entries, the oldest first."""
    return [link.load() for link in await links(runtime)]
