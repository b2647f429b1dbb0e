"""The first floor: the cost of FastAPI and redis-py alone, for a create and a read that do nothing else.

Usual code on purpose: the body as a parameter, a typed response, one command per request from a pool.
"""

import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request
from redis.asyncio import BlockingConnectionPool, Redis
from typing_extensions import TypedDict

from service.domain.request import CreateGeneration
from tests.bench.load import CONNECTIONS
from tests.bench.server import serve

PATH: Final = "/generations"
REDIS_URL: Final = "FLOOR_REDIS_URL"
#: The record, its entries in two indexes and two due sets: the writes that a generation needs.
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


@app.post(PATH, status_code=202)
async def create(body: CreateGeneration, request: Request) -> Accepted:
    state, name = request.app.state, uuid.uuid4().hex
    keys = (f"{{floor}}:generation:{name}", *INDEXES)
    await state.redis.evalsha(state.create, len(keys), *keys, name, "queued", body.model_dump_json(), time.time())
    return {"id": name, "status": "queued"}


@app.get(PATH + "/{generation_id}")
async def read(generation_id: str, request: Request) -> dict[str, str]:
    record: dict[str, str] = await request.app.state.redis.hgetall(f"{{sg}}:generation:{generation_id}")
    return record


if __name__ == "__main__":
    serve(app)
