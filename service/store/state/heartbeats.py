"""Heartbeats of processes without a port, which health checks and metrics read."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain import ids
from service.store import keys
from service.store.redis.client import Redis
from service.store.times import milliseconds, moment

#: Time between two heartbeats of a worker.
INTERVAL: Final = timedelta(seconds=5)
#: A worker without a heartbeat for this long is removed.
_LIFETIME: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """``beat``: when beat last ran; ``workers``: the time of each worker's last heartbeat, by queue and by name."""

    beat: datetime | None
    workers: dict[str, dict[str, datetime]]


class HeartbeatStore:
    """Writes and reads heartbeats."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def note_beat(self, now: datetime) -> None:
        """Write the heartbeat of beat."""
        await self._redis.execute("SET", keys.BEAT, ids.milliseconds(now), replicated=False)

    async def note_worker(
        self, name: str, queues: Iterable[str], now: datetime, *, skew: timedelta = timedelta()
    ) -> None:
        """Write the heartbeat of a worker.

        ``skew``: how far the clock of the worker's machine is ahead of the clock of Redis.
        """
        score, expired = ids.milliseconds(now), ids.milliseconds(now - _LIFETIME)
        members = [value for queue in queues for value in (score, f"{queue} {name}")]
        commands = (
            ("ZADD", keys.WORKERS, *members),
            ("ZREMRANGEBYSCORE", keys.WORKERS, "-inf", expired),
            ("SET", keys.skew_of_worker(name), milliseconds(skew), "PX", milliseconds(_LIFETIME)),
        )
        await self._redis.gather(commands, replicated=False)

    async def skews(self, heartbeats: Heartbeats) -> dict[str, timedelta]:
        """Return how far the clock of each worker's machine is ahead of the clock of Redis."""
        names = sorted({name for workers in heartbeats.workers.values() for name in workers})
        found = await self._redis.get_many(map(keys.skew_of_worker, names))
        return {
            name: timedelta(milliseconds=int(skew)) for name, skew in zip(names, found, strict=True) if skew is not None
        }

    async def read(self) -> Heartbeats:
        """Return the last heartbeats of beat and of all workers."""
        beat, pairs = await self._redis.gather(
            (("GET", keys.BEAT), ("ZRANGE", keys.WORKERS, 0, -1, "WITHSCORES")),
        )
        workers: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
        for member, score in zip(pairs[::2], pairs[1::2], strict=True):
            queue, _, name = member.decode().partition(" ")
            workers[queue][name] = ids.from_milliseconds(int(float(score)))
        return Heartbeats(moment(beat), dict(workers))
