"""Connections to Redis: to the server of a URL, or to the master that the Sentinels name at that time."""

from pathlib import Path
from typing import Any, Final

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo

from service.config.redis_urls import Sentinels

#: Share of the time of an exchange that one Sentinel may use; the next Sentinel is asked after that.
_SENTINEL_SHARE: Final = 0.2
#: Made once: redis-py reads its own version from a file for it, which takes as much CPU as the rest of a connection.
_DRIVER: Final = DriverInfo()


def open_pool(url: str, *, timeout: float, ca_file: Path | None) -> tuple[ConnectionPool, Sentinel | None]:
    """Return a pool that makes connections, and the Sentinels that name the master, if there are any."""
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": None,  # one asyncio.timeout around each exchange is cheaper than one per read and write
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "seedance-gateway",
        "driver_info": _DRIVER,
    }
    trust = {} if ca_file is None else {"ssl_ca_certs": str(ca_file)}
    sentinels = Sentinels.parse(url)
    if sentinels is None:
        return ConnectionPool.from_url(url, **options, **(trust if url.startswith("rediss://") else {})), None
    asked = _sentinels(sentinels, timeout=timeout * _SENTINEL_SHARE, trust=trust)
    pool = SentinelConnectionPool(
        sentinels.service,
        asked,
        ssl=sentinels.tls,
        db=sentinels.database,
        **sentinels.redis.options(),
        **options,
        **(trust if sentinels.tls else {}),
    )
    return pool, asked


def _sentinels(sentinels: Sentinels, *, timeout: float, trust: dict[str, str]) -> Sentinel:
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": _DRIVER,
        **sentinels.sentinel.options(),
        **({"ssl": True, **trust} if sentinels.tls else {}),
    }
    return Sentinel(sentinels.hosts, sentinel_kwargs=options)
