"""The floor: what FastAPI and redis-py cost by themselves, for a create and a read that do nothing else.

Plain habits on purpose: the body as a parameter, a model as the answer, one command per request from a pool.
"""

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, TypedDict

import uvicorn
from fastapi import Depends, FastAPI, Request
from redis.asyncio import BlockingConnectionPool, Redis

from service.domain import ids
from service.domain.request import CreateGeneration
from service.runtime import utc_now
from tests.bench.load import CONNECTIONS

PATH: Final = "/generations"
REDIS_URL: Final = "FLOOR_REDIS_URL"
#: The record, its place in two indexes and two due sets: as many writes as a generation needs.
CREATE: Final = """
redis.call("HSET", KEYS[1], "v", 1, "s", ARGV[2], "d", ARGV[3])
for n = 2, 5 do
  redis.call("ZADD", KEYS[n], ARGV[4], ARGV[1])
end
return 1
"""
INDEXES: Final = ("{floor}:tenant", "{floor}:end_user", "{floor}:dispatch", "{floor}:sweep")


class Accepted(TypedDict):
    id: str
    status: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    pool = BlockingConnectionPool.from_url(os.environ[REDIS_URL], max_connections=CONNECTIONS, decode_responses=True)
    async with Redis(connection_pool=pool) as redis:
        app.state.redis, app.state.create = redis, await redis.script_load(CREATE)
        yield


app = FastAPI(lifespan=lifespan)


def store(request: Request) -> Redis:
    found: Redis = request.app.state.redis
    return found


@app.post(PATH, status_code=202)
async def create(body: CreateGeneration, request: Request, redis: Annotated[Redis, Depends(store)]) -> Accepted:
    name = ids.new(ids.GENERATION, utc_now())
    keys, due = (f"{{floor}}:generation:{name}", *INDEXES), time.time_ns() // 1_000_000
    await redis.evalsha(request.app.state.create, len(keys), *keys, name, "queued", body.model_dump_json(), due)
    return {"id": name, "status": "queued"}


@app.get(PATH + "/{generation_id}")
async def read(generation_id: str, redis: Annotated[Redis, Depends(store)]) -> dict[str, str]:
    record: dict[str, str] = await redis.hgetall(f"{{sg}}:generation:{generation_id}")
    return record


if __name__ == "__main__":
    uvicorn.run(  # as ``seedance-gateway serve`` runs the gateway
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
    )
