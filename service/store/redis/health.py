"""Whether Redis can be trusted with jobs: it takes writes, keeps them on disk, and evicts nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis.exceptions import ResponseError

from service.errors import StoreUnavailable
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.memory import Memory, fields, measure
from service.store.redis.scripts import FILES, Script

_OK: Final = "ok"
#: With memory full a gateway still reads, cancels and takes callbacks.
TOLERATED: Final = frozenset({"memory"})


async def check(redis: Redis) -> dict[str, str]:
    """One entry per check: ``ok``, or what is wrong. Durability is told, not demanded: it is the operator's choice.

    What is wrong with a check of ``TOLERATED`` is no reason to take a gateway out of rotation.
    """
    try:
        await _allowed(redis, "SET", keys.READINESS_PROBE, 1, "PX", 10_000)
        info = fields(await _allowed(redis, "INFO", "memory"))
    except StoreUnavailable as error:
        return {"redis": error.detail}
    policy = info.get("maxmemory_policy", "noeviction")
    evicts = policy != "noeviction" and info.get("maxmemory", "0") != "0"
    used = memory(redis, info)
    return {
        "redis": _OK,
        "eviction": f"Redis may evict jobs: maxmemory-policy is {policy}." if evicts else _OK,
        "memory": f"Creates are refused: {used.told}." if used.refuses_creates else _OK,
    }


def memory(redis: Redis, info: Mapping[str, str]) -> Memory:
    """As creates are judged by."""
    return measure(info, redis.memory.policy)


async def info(redis: Redis) -> dict[str, str]:
    """What the server says of itself; numbers and all, as text."""
    return fields(await _allowed(redis, "INFO"))


async def setting(redis: Redis, name: str) -> str | None:
    """One of the server's own settings; None where it does not tell, as managed ones do."""
    try:
        found = await redis.execute("CONFIG", "GET", name)
    except ResponseError:
        return None
    return found[1].decode() if found else None


async def now(redis: Redis) -> datetime:
    """Return the time of Redis, which is the deployment's."""
    seconds, microseconds = await _allowed(redis, "TIME")
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(microseconds))


async def teach_scripts(redis: Redis) -> list[str]:
    """The names of scripts that the server does not take; the others it knows from here on."""
    refused = []
    for name in FILES:
        script = Script(name)
        try:
            await redis.execute("SCRIPT", "LOAD", script.text)
        except ResponseError:
            refused.append(name)
    return refused


async def _allowed(redis: Redis, *command: str | int) -> Any:
    """What nothing goes without: a user that may not, or a cluster's node that has not our slot, is a store away."""
    try:
        return await redis.execute(*command, replicated=False)
    except ResponseError as refusal:
        raise StoreUnavailable(f"Redis refuses {command[0]} ({type(refusal).__name__}: {refusal}).") from refusal
