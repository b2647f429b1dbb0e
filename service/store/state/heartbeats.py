"""Signs of life that processes without a port leave in the store, for whoever asks whether they are there."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain import ids
from service.store import keys
from service.store.redis.client import Redis

#: How often a worker says that it is there.
INTERVAL: Final = timedelta(seconds=5)
#: A worker unheard of for this long is forgotten.
_FORGOTTEN: Final = timedelta(minutes=10)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """``beat``: when beat last ran; ``workers``: by queue, by name, when each last wrote its heartbeat."""

    beat: datetime | None
    workers: dict[str, dict[str, datetime]]


class HeartbeatStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def note_beat(self, now: datetime) -> None:
        await self._redis.execute("SET", keys.BEAT, ids.milliseconds(now), replicated=False)

    async def note_worker(
        self, name: str, queues: Iterable[str], now: datetime, *, skew: timedelta = timedelta()
    ) -> None:
        """``skew``: how far the clock of the worker's machine is ahead of the store's."""
        heard = ids.milliseconds(now)
        members = [word for queue in queues for word in (heard, f"{queue} {name}")]
        old = ids.milliseconds(now - _FORGOTTEN)
        skewed = ("SET", keys.skew_of_worker(name), skew // _MILLISECOND, "PX", _FORGOTTEN // _MILLISECOND)
        commands = (("ZADD", keys.WORKERS, *members), ("ZREMRANGEBYSCORE", keys.WORKERS, "-inf", old), skewed)
        await self._redis.gather(commands, replicated=False)

    async def skews(self, heard: Heartbeats) -> dict[str, timedelta]:
        """Return of each worker how far the clock of its machine is ahead of the store's."""
        names = sorted({name for known in heard.workers.values() for name in known})
        found = await self._redis.gather(("GET", keys.skew_of_worker(name)) for name in names)
        return {name: int(skew) * _MILLISECOND for name, skew in zip(names, found, strict=True) if skew is not None}

    async def read(self) -> Heartbeats:
        beat, pairs = await self._redis.gather(
            (("GET", keys.BEAT), ("ZRANGE", keys.WORKERS, 0, -1, "WITHSCORES")),
        )
        workers: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
        for member, score in zip(pairs[::2], pairs[1::2], strict=True):
            queue, _, name = member.decode().partition(" ")
            workers[queue][name] = ids.from_milliseconds(int(float(score)))
        return Heartbeats(None if beat is None else ids.from_milliseconds(int(beat)), dict(workers))
