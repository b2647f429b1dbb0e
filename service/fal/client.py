"""The wire to fal's queue: four verbs, no retries, no opinions. ``messages`` says what the answers mean."""

import asyncio
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from service import metrics
from service.fal.wire import NoReply, Wire, reply

#: httpx's pool slows down with the square of its size; a few dozen connections carry all the polls there are.
_POLL_CONNECTIONS: Final = 32

#: Shorter than the whole exchange may take, so that a connect that hangs is told from a lost answer.
_CONNECT_SECONDS: Final = 5.0

#: Raised by httpx before the first byte of a request is on its way.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class FalClient:
    """Calls to ``queue.fal.run`` with the account's key.

    Submits use connections of their own, a fresh one each: a kept-alive connection that fal closes just as we write
    on it would leave the outcome of a paid call unknown.
    """

    def __init__(self, *, queue_url: str, key: str, model: str, timeout: float) -> None:
        headers = {"authorization": f"Key {key}", "accept": "application/json", "user-agent": "seedance-gateway"}
        self._timeout = timeout
        self._model = model
        self._queue_url = queue_url
        self._requests_url = f"{queue_url}/{'/'.join(model.split('/')[:2])}/requests"  # status URLs drop the sub-path
        self._submits = _client(headers, timeout, httpx.Limits(max_keepalive_connections=0))
        self._reads = _client(headers, timeout, httpx.Limits(max_connections=_POLL_CONNECTIONS))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._submits.aclose()
        await self._reads.aclose()

    async def submit(self, arguments: dict[str, Any], *, webhook_url: str | None = None) -> Wire:
        """The paid call. Made once, whatever happens."""
        params = {} if webhook_url is None else {"fal_webhook": webhook_url}
        request = self._submits.build_request("POST", f"{self._queue_url}/{self._model}", json=arguments, params=params)
        return await self._exchange("submit", self._submits, request)

    async def status(self, request_id: str, *, logs: bool = True) -> Wire:
        url = f"{self._request_url(request_id)}/status"
        return await self._exchange("status", self._reads, self._get(url, {"logs": "1" if logs else "0"}))

    async def result(self, request_id: str) -> Wire:
        return await self._exchange("result", self._reads, self._get(self._request_url(request_id), {}))

    async def cancel(self, request_id: str) -> Wire:
        request = self._reads.build_request("PUT", f"{self._request_url(request_id)}/cancel")
        return await self._exchange("cancel", self._reads, request)

    def _get(self, url: str, params: dict[str, str]) -> httpx.Request:
        return self._reads.build_request("GET", url, params=params)

    def _request_url(self, request_id: str) -> str:
        return f"{self._requests_url}/{quote(request_id, safe='')}"

    async def _exchange(self, operation: str, client: httpx.AsyncClient, request: httpx.Request) -> Wire:
        with metrics.UPSTREAM_SECONDS.labels(operation).time():
            wire = await self._send(client, request)
        outcome = wire.reason.split(":")[0] if isinstance(wire, NoReply) else str(wire.status)
        metrics.UPSTREAM_CALLS.labels(operation, outcome).inc()
        return wire

    async def _send(self, client: httpx.AsyncClient, request: httpx.Request) -> Wire:
        try:
            async with asyncio.timeout(self._timeout):  # httpx's own timeouts are per read, not in total
                response = await client.send(request)
        except _NOT_SENT as error:
            return NoReply(sent=False, reason=type(error).__name__)
        except (httpx.HTTPError, TimeoutError) as error:
            return NoReply(sent=True, reason=type(error).__name__)
        return reply(response.status_code, response.headers, response.content)


def _client(headers: dict[str, str], timeout: float, limits: httpx.Limits) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        headers=headers,
        timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
        limits=limits,
        follow_redirects=False,
        trust_env=False,
    )
