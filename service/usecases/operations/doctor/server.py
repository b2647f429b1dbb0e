"""Redis: new enough, durable, never evicting, with room, on time, and able to run our scripts."""

from typing import Final

from service.clock import MOST_SKEW, Clock
from service.config.redis_urls import is_sentinel
from service.config.settings import Settings
from service.store.redis import health
from service.store.redis.client import Redis
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

_OLDEST: Final = (6, 2)
#: Of the memory at which creates are refused.
_TIGHT: Final = 0.9
#: Beyond MOST_SKEW the processes of this machine claim nothing; this is half of that.
_SKEWED: Final = MOST_SKEW / 2


def version(info: dict[str, str]) -> Finding:
    found = info.get("redis_version", "unknown")
    parts = tuple(int(part) for part in found.split(".")[:2] if part.isdecimal())
    if parts < _OLDEST:
        return fail("redis version", found, "Run Redis 6.2 or later.")
    return ok("redis version", found)


async def durability(redis: Redis, info: dict[str, str]) -> Finding:
    name = "redis durability"
    if info.get("aof_enabled") != "1":
        return fail(name, "the append-only file is off: a restart loses jobs", "Set `appendonly yes` (redis.conf).")
    if info.get("aof_last_write_status", "ok") != "ok":
        return fail(name, "the last write to the append-only file failed", "Look at Redis' log and its disk.")
    match await health.setting(redis, "appendfsync"):
        case "always":
            return ok(name, "every write is on disk before it is answered")
        case "everysec":
            return warn(name, "a crash of Redis may lose a second of accepted jobs", "Set `appendfsync always`.")
        case None:
            return warn(name, "this Redis does not tell `appendfsync`", "Ask its provider what a crash may lose.")
    return fail(name, "writes reach the disk when the kernel likes to", "Set `appendfsync always`.")


def eviction(info: dict[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok("redis eviction", policy)
    limit = info.get("maxmemory", "0")
    judge = warn if limit == "0" else fail
    return judge("redis eviction", f"{policy}: jobs make room for jobs", "Set `maxmemory-policy noeviction`.")


def memory(redis: Redis, info: dict[str, str]) -> Finding:
    """By the same limit and share as creates are refused by."""
    name, found = "redis memory", health.memory(redis, info)
    if found.create_limit is None:
        return warn(name, found.told, "Set GATEWAY_REDIS_MEMORY_LIMIT to what its provider grants.")
    told = f"{found.told}; creates are refused from {redis.memory.policy.create_share:.0%} on"
    remedy = "Give it more memory, or shorten GATEWAY_RETENTION."
    if found.refuses_creates:
        return fail(name, f"{told}, which is now", remedy)
    return warn(name, told, remedy) if found.used >= found.create_limit * _TIGHT else ok(name, told)


def replicas(info: dict[str, str], settings: Settings) -> Finding:
    """With N nodes, N // 2 replicas and the master are a majority: any majority that survives has one of them."""
    name, wanted = "redis replicas", settings.redis_wait_replicas
    there = int(info.get("connected_slaves", 0))
    if there < wanted:
        remedy = "Bring replicas back: until then nothing is accepted (GATEWAY_REDIS_WAIT_REPLICAS)."
        return fail(name, f"{there} connected, {wanted} must have each write", remedy)
    needed = (there + 1) // 2
    if not needed and not wanted and is_sentinel(settings.redis_url):
        return warn(name, "none connected: a failover has nothing to fail over to", "Bring replicas back.")
    if wanted < needed:
        told = f"{there} connected, {wanted} waited for: a failover may lose writes that were answered"
        return warn(name, told, f"Set GATEWAY_REDIS_WAIT_REPLICAS={needed}: a majority of {there + 1} nodes.")
    return ok(name, f"{there} connected, {wanted} waited for")


async def clock_skew(redis: Redis, clock: Clock) -> Finding:
    before = clock()
    theirs = await health.now(redis)
    ours = before + (clock() - before) / 2
    skew = abs(ours - theirs)
    told = f"{skew.total_seconds():.3f} s between this machine and Redis'"
    remedy = "Let NTP set the clocks of all machines."
    if skew > MOST_SKEW:
        return fail("clock", told, remedy)
    return warn("clock", told, remedy) if skew > _SKEWED else ok("clock", told)


async def scripts(redis: Redis) -> Finding:
    if refused := await health.teach_scripts(redis):
        remedy = "Allow EVAL, EVALSHA and SCRIPT to this user, and run Redis 6.2 or later."
        return fail("redis scripts", f"refused: {', '.join(refused)}", remedy)
    return ok("redis scripts", "all are taken")
