"""A client of the queue API for tests."""

import asyncio
import time
from typing import Any

import httpx

APP = "/queue/bytedance/seedance-2.0"
ENDPOINT = f"{APP}/image-to-video"
#: A URL on fal's own CDN, for which the sandbox uses a bundled photo.
IMAGE = "https://v3b.fal.media/files/b/0a8eba37/rocket.jpg"
QUICK = "sandbox:no-video a rocket lifts off"


class Fal:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def post(
        self,
        prompt: str = QUICK,
        *,
        webhook: str | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        **fields: Any,
    ) -> httpx.Response:
        params = {**(query or {}), **({"fal_webhook": webhook} if webhook else {})}
        body = {"prompt": prompt, "image_url": IMAGE, **fields}
        return await self.http.post(ENDPOINT, json=body, params=params, headers=headers)

    async def submit(self, prompt: str = QUICK, **options: Any) -> str:
        answer = await self.post(prompt, **options)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["request_id"])

    async def status(self, request_id: str, **query: str) -> httpx.Response:
        return await self.http.get(f"{APP}/requests/{request_id}/status", params=query)

    async def state(self, request_id: str) -> str:
        return str((await self.status(request_id)).json()["status"])

    async def result(self, request_id: str) -> httpx.Response:
        return await self.http.get(f"{APP}/requests/{request_id}")

    async def cancel(self, request_id: str) -> httpx.Response:
        return await self.http.put(f"{APP}/requests/{request_id}/cancel")

    async def reach(self, request_id: str, state: str, *, within: float = 60) -> None:
        deadline = time.monotonic() + within
        while (now := await self.state(request_id)) != state:
            assert time.monotonic() < deadline, f"{request_id} is {now}, not {state}"
            await asyncio.sleep(0.01)

    async def finish(self, request_id: str) -> httpx.Response:
        await self.reach(request_id, "COMPLETED")
        return await self.result(request_id)

    async def outcome(self, prompt: str = QUICK, **options: Any) -> httpx.Response:
        return await self.finish(await self.submit(prompt, **options))

    async def record(self, request_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/_sandbox/requests/{request_id}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def records(self, prompt: str) -> list[dict[str, Any]]:
        everything = (await self.http.get("/_sandbox/requests")).json()
        return [record for record in everything if record["prompt"] == prompt]
