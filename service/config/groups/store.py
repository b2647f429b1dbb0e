"""Settings of Redis, which holds all state, and of Celery's broker."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from service.config.types import BrokerUrl, RedisUrl


class StoreSettings(BaseModel):
    redis_url: Annotated[
        RedisUrl,
        Field(
            repr=False,
            description="URL of the Redis database that holds all state: `redis://`, `rediss://` (TLS), "
            "`unix:///path?db=0`, `sentinel://h:p,h:p/service/db` or `sentinels://` (TLS). It needs `appendonly yes` "
            "and no eviction.",
        ),
    ] = "redis://127.0.0.1:6379/0"
    # A worker that waits for Redis must still send its heartbeat: with more it would be restarted for nothing.
    redis_timeout: Annotated[
        float,
        Field(ge=0.1, le=10, description="Seconds that one exchange with Redis may take, 0.1 to 10."),
    ] = 5.0
    redis_ca_file: Annotated[
        Path | None,
        Field(description="PEM file of the authorities that may sign Redis' certificate; unset: the system's."),
    ] = None
    redis_wait_replicas: Annotated[
        int,
        Field(
            ge=0,
            description="Replicas that must confirm a write before the response; with fewer: 503. With replicas, set "
            "half the number of nodes, rounded down.",
        ),
    ] = 0
    redis_memory_limit: Annotated[
        int | None,
        Field(
            ge=1,
            description="Bytes that Redis may use, where Redis reports no `maxmemory`; unset: the memory of its "
            "machine.",
        ),
    ] = None
    redis_create_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of the memory limit from which creates are refused (503 `store_full`). The rest is for "
            "accepted generations.",
        ),
    ] = 0.85
    redis_tenant_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share that one tenant may use of the memory for creates that it uses already or that is left; "
            "beyond it, creates of this tenant are refused (503 `tenant_store_full`). 1: no such refusal.",
        ),
    ] = 0.8
    broker_url: Annotated[
        BrokerUrl | None,
        Field(
            repr=False,
            description="URL of Celery's broker; unset: the Redis of `GATEWAY_REDIS_URL`. Messages are hints: a lost "
            "message loses no work.",
        ),
    ] = None
