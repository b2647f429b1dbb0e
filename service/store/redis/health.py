"""Checks of the Redis server: it accepts writes, evicts nothing, has memory, and its clock can be read."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis.exceptions import ResponseError

from service.errors import StoreUnavailable
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.memory import Memory, fields, measure
from service.store.redis.scripts import FILES, Script

OK: Final = "ok"
#: The oldest server that the tests run with. Valkey reports the version of Redis that it is compatible with.
OLDEST: Final = (7, 0)
#: Failed checks that do not make a gateway unready: with full memory it still reads, cancels and receives callbacks.
TOLERATED: Final = frozenset({"memory"})


async def check(redis: Redis) -> dict[str, str]:
    """Return one entry for each check: ``ok``, or the problem. Durability is not checked: it is the operator's choice.

    A failed check in ``TOLERATED`` is no reason to take a gateway out of rotation.
    """
    try:
        await _allowed(redis, "SET", keys.READINESS_PROBE, 1, "PX", 10_000)
        info = fields(await _allowed(redis, "INFO", "memory"))
    except StoreUnavailable as error:
        return {"redis": f"unavailable: {error.cause}" if error.cause else error.detail}
    policy = info.get("maxmemory_policy", "noeviction")
    evicts = policy != "noeviction" and info.get("maxmemory", "0") != "0"
    used = memory(redis, info)
    return {
        "redis": OK,
        "eviction": f"Redis may evict jobs: maxmemory-policy is {policy}." if evicts else OK,
        "memory": f"Creates are refused: {used.summary}." if used.refuses_creates else OK,
    }


def memory(redis: Redis, info: Mapping[str, str]) -> Memory:
    """The reading of the memory by which creates are accepted or refused."""
    return measure(info, redis.memory.policy)


async def info(redis: Redis) -> dict[str, str]:
    """Return the fields of ``INFO`` as text."""
    return fields(await _allowed(redis, "INFO"))


def version_problem(info: Mapping[str, str]) -> str | None:
    """Return what is wrong with the version of the server. None: it is new enough. ``info``: the fields of ``INFO``."""
    found = info.get("redis_version", "unknown")
    parts = tuple(int(part) for part in found.split(".")[:2] if part.isdecimal())
    if parts >= OLDEST:
        return None
    return f"Redis {found} is too old. Run Redis {'.'.join(map(str, OLDEST))} or later, or Valkey."


async def refuse_old(redis: Redis) -> None:
    """Refuse to start with a server that is too old. A server that cannot be asked is not refused.

    Raises:
        RuntimeError: the server is too old.

    """
    try:
        found = await info(redis)
    except StoreUnavailable:
        return
    if "redis_version" in found and (problem := version_problem(found)):
        raise RuntimeError(problem)


async def setting(redis: Redis, name: str) -> str | None:
    """Return a setting of the server; None: the server does not reveal it, for example a managed one."""
    try:
        found = await redis.execute("CONFIG", "GET", name)
    except ResponseError:
        return None
    return found[1].decode() if found else None


async def now(redis: Redis) -> datetime:
    """Return the time of Redis, which is the time of the deployment."""
    seconds, microseconds = await _allowed(redis, "TIME")
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(microseconds))


async def load_scripts(redis: Redis) -> list[str]:
    """Load all scripts into the server; return the names of those that it refuses."""
    refused = []
    for name in FILES:
        script = Script(name)
        try:
            await redis.execute("SCRIPT", "LOAD", script.text)
        except ResponseError:
            refused.append(name)
    return refused


async def _allowed(redis: Redis, *command: str | int) -> Any:
    """Run a command that the gateway needs: a refusal by access rights or by a cluster is StoreUnavailable."""
    try:
        return await redis.execute(*command, replicated=False)
    except ResponseError as refusal:
        raise StoreUnavailable(f"Redis refuses {command[0]} ({type(refusal).__name__}: {refusal}).") from refusal
