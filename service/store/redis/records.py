"""Records with a version (a member of their JSON): insert a new one, replace one that has not changed meanwhile."""

from typing import Final

from service.store.redis.client import Redis, Script

_INSERT: Final = Script("insert")
_UPDATE: Final = Script("update")
_NOTE_USE: Final = Script("note_use")


async def insert_record(redis: Redis, record: str, value: bytes, *, index: str, name: str, owner: str | None) -> bool:
    """Write a new record, and its name into an index. False: the record exists, or its owner does not.

    Raises:
        StoreFull: Redis accepts nothing new.

    """
    await redis.memory.demand_room()
    reply = await redis.run(
        _INSERT,
        {"record": record, "index": index, "owner": owner or record},
        {"record": value, "id": name, "owner_must_exist": "1" if owner else ""},
    )
    return bool(reply == b"inserted")


async def replace_record(redis: Redis, record: str, value: bytes, *, version: int) -> bool:
    """Replace a record that still has this version. False: another process has changed or deleted it."""
    return bool(await redis.run(_UPDATE, {"record": record}, {"version": version, "after": value}))


async def record_use(redis: Redis, record: str, used: str, minute: str) -> None:
    """Record the minute (RFC 3339) in which a credential was used. A deleted one gets no entry."""
    await redis.run(_NOTE_USE, {"record": record, "used": used}, {"minute": minute}, replicated=False)
