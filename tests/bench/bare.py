"""The second floor: a bare ASGI create. It checks a key and the body, and runs one script.

It has no framework, no limits, no money, no idempotency keys, no metrics and no log.
It uses this project's Redis client, which sends concurrent commands together. What the gateway takes longer is the cost
of its layers.
"""

import hashlib
import hmac
import os
import time
import uuid
from typing import Any, Final

from pydantic_core import from_json, to_json

from service.store.redis.client import Redis
from tests.bench.floor import CREATE, INDEXES, REDIS_URL
from tests.bench.server import serve

KEY: Final = "BARE_API_KEY"
_FIELDS: Final = frozenset({"prompt", "image_url", "duration", "end_user_id"})


class Bare:
    """The application. The server starts and ends the connection to Redis by its lifespan."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key_hash = hashlib.sha256(f"Bearer {key}".encode()).digest()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        key = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        known = hmac.compare_digest(hashlib.sha256(key).digest(), self._key_hash)
        status, answer = await self._create(receive) if known else (401, b"{}")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        async with Redis(self._url, timeout=5) as self._redis:
            self._sha = (await self._redis.execute("SCRIPT", "LOAD", CREATE)).decode()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _create(self, receive: Any) -> tuple[int, bytes]:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        given = from_json(body)
        if not (isinstance(given, dict) and given.keys() <= _FIELDS and isinstance(given.get("prompt"), str)):
            return 422, b"{}"
        name, record = uuid.uuid4().hex, to_json(given)
        keys = (f"{{floor}}:generation:{name}", *INDEXES)
        await self._redis.execute("EVALSHA", self._sha, len(keys), *keys, name, "queued", record, time.time())
        return 202, to_json({"id": name, "status": "queued"})


if __name__ == "__main__":
    serve(Bare(os.environ[REDIS_URL], os.environ[KEY]))
