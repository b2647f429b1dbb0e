"""Whether Redis can be trusted with jobs: it takes writes, keeps them on disk, and evicts nothing."""

from typing import Final

from service.errors import StoreUnavailable
from service.store import keys
from service.store.redis import Redis

_OK: Final = "ok"


async def check(redis: Redis) -> dict[str, str]:
    """One entry per check: ``ok``, or what is wrong. Durability is told, not demanded: it is the operator's choice."""
    try:
        await redis.execute("SET", keys.PROBE, 1, "PX", 10_000)
        info = _fields(await redis.execute("INFO", "memory"))
    except StoreUnavailable as error:
        return {"redis": error.detail}
    policy = info.get("maxmemory_policy", "noeviction")
    evicts = policy != "noeviction" and info.get("maxmemory", "0") != "0"
    return {"redis": _OK, "eviction": f"Redis may evict jobs: maxmemory-policy is {policy}." if evicts else _OK}


def _fields(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in lines}
