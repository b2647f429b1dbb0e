"""Checks of the Redis server: version, durability, eviction, memory, replicas, clock and scripts."""

from typing import Final

from service.clock import MOST_SKEW, Clock
from service.config.redis_urls import is_sentinel
from service.config.settings import Settings
from service.store.redis import health
from service.store.redis.client import Redis
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

#: The share of the memory limit for creates from which the check warns.
_WARNING_SHARE: Final = 0.9
#: Beyond MOST_SKEW the processes of this machine claim no work. The check warns at half of it.
_WARNING_SKEW: Final = MOST_SKEW / 2


def version(info: dict[str, str]) -> Finding:
    found = info.get("redis_version", "unknown")
    if health.version_problem(info):
        return fail("redis version", found, "Run Redis 7.0 or later, or Valkey.")
    return ok("redis version", found)


def durability(info: dict[str, str], fsync: str | None) -> Finding:
    """Check the append-only file. ``fsync``: `appendfsync`; None: this Redis does not report it."""
    name = "redis durability"
    if info.get("aof_enabled") != "1":
        return fail(
            name, "the append-only file is off: a restart loses generations", "Set `appendonly yes` (redis.conf)."
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        return fail(name, "the last write to the append-only file failed", "Check Redis' log and its disk.")
    match fsync:
        case "always":
            return ok(name, "each write is on disk before Redis replies")
        case "everysec":
            return warn(
                name, "a crash of Redis may lose the accepted generations of one second", "Set `appendfsync always`."
            )
        case None:
            return warn(name, "this Redis does not report `appendfsync`", "Ask its provider what a crash may lose.")
    return fail(name, "the operating system decides when writes reach the disk", "Set `appendfsync always`.")


def eviction(info: dict[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok("redis eviction", policy)
    limit = info.get("maxmemory", "0")
    finding = warn if limit == "0" else fail
    return finding(
        "redis eviction", f"{policy}: a full Redis deletes generations", "Set `maxmemory-policy noeviction`."
    )


def memory(redis: Redis, info: dict[str, str]) -> Finding:
    """Check the memory by the limit and the share at which creates are refused."""
    name, found = "redis memory", health.memory(redis, info)
    if found.create_limit is None:
        return warn(name, found.summary, "Set GATEWAY_REDIS_MEMORY_LIMIT to the limit of its provider.")
    detail = f"{found.summary}; creates are refused from {redis.memory.policy.create_share:.0%} on"
    remedy = "Give it more memory, or shorten GATEWAY_RETENTION."
    if found.refuses_creates:
        return fail(name, f"{detail}, which is now", remedy)
    return warn(name, detail, remedy) if found.used >= found.create_limit * _WARNING_SHARE else ok(name, detail)


def replicas(info: dict[str, str], settings: Settings) -> Finding:
    """Check that enough replicas confirm each write.

    With N nodes, N // 2 replicas and the master are a majority: any majority that survives contains one of them.
    """
    name, required = "redis replicas", settings.redis_wait_replicas
    connected = int(info.get("connected_slaves", 0))
    if connected < required:
        remedy = "Restart replicas: until then creates are refused (GATEWAY_REDIS_WAIT_REPLICAS)."
        return fail(name, f"{connected} connected, {required} must confirm each write", remedy)
    needed = (connected + 1) // 2
    if not needed and not required and is_sentinel(settings.redis_url):
        return warn(name, "none connected: a failover is not possible", "Restart replicas.")
    if required < needed:
        detail = f"{connected} connected, {required} waited for: a failover may lose confirmed writes"
        return warn(name, detail, f"Set GATEWAY_REDIS_WAIT_REPLICAS={needed}: a majority of {connected + 1} nodes.")
    return ok(name, f"{connected} connected, {required} waited for")


async def clock_skew(redis: Redis, clock: Clock) -> Finding:
    before = clock()
    redis_time = await health.now(redis)
    local_time = before + (clock() - before) / 2
    skew = abs(local_time - redis_time)
    detail = f"{skew.total_seconds():.3f} s between this machine and Redis"
    remedy = "Synchronize the clocks of all machines by NTP."
    if skew > MOST_SKEW:
        return fail("clock", detail, remedy)
    return warn("clock", detail, remedy) if skew > _WARNING_SKEW else ok("clock", detail)


async def scripts(redis: Redis) -> Finding:
    if refused := await health.load_scripts(redis):
        remedy = "Allow this user EVAL, EVALSHA and SCRIPT, and run Redis 7.0 or later."
        return fail("redis scripts", f"refused: {', '.join(refused)}", remedy)
    return ok("redis scripts", "loaded")
