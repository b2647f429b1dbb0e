"""HTTP client for fal's queue API: submit, status, result, cancel. No retries; ``messages`` interprets responses."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import httpx
from yarl import URL

from service.net.authorities import authorities
from service.observability import metrics, tracing
from service.observability.causes import cause
from service.upstream.answer_body import AnswerTooLarge, read_body
from service.upstream.exchange import exchange
from service.upstream.http_result import NoHttpResponse, Wire, read_response
from service.upstream.sessions import json_headers, open_session

#: Connections for polls. aiohttp, because a poll costs 1 to 3 ms of CPU in httpx and 0.1 ms in aiohttp.
_READ_CONNECTIONS: Final = 32

#: Shorter than the total timeout, so that a hanging connect differs from a lost response.
_CONNECT_SECONDS: Final = 5.0

#: Errors that httpx raises before it sends the first byte of a request.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
#: httpcore's event before it writes the head of a request. A CONNECT to a proxy is a request of its own.
_HEAD_BEGINS: Final = "http11.send_request_headers.started"


class _Tunnel:
    """Notes whether a request waits for its tunnel through a proxy. Until the tunnel exists, nothing of it is sent.

    A proxy may refuse the CONNECT, delay it, or close the connection: httpx raises the same errors as for the request
    itself. Without httpcore's events, as after a change of their names, the request counts as sent.
    """

    is_awaited = False

    async def __call__(self, event: str, about: dict[str, Any]) -> None:
        if event == _HEAD_BEGINS:
            self.is_awaited = about["request"].method == b"CONNECT"


class FalClient:
    """Calls to ``queue.fal.run`` with the account's key.

    Each submit uses a fresh connection: if fal closed a kept-alive connection during the write, the outcome of a paid
    call would be unknown. Reads can be repeated, so their connections are reused.
    """

    def __init__(
        self,
        *,
        queue_url: str,
        key: str,
        model: str,
        timeout: float,
        proxy: str | None = None,
        upstream: Callable[[str], str] = str,
    ) -> None:
        """``model``: of calls that name none. ``upstream``: returns fal's endpoint id of a model."""
        self._headers = json_headers(key)
        self._timeout = timeout
        self._proxy = proxy
        self._queue_url = queue_url
        self._model = model
        self._upstream = upstream

    async def __aenter__(self) -> Self:
        connect = min(self._timeout, _CONNECT_SECONDS)
        self._submits = httpx.AsyncClient(
            headers=self._headers,
            timeout=httpx.Timeout(self._timeout, connect=connect),
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            proxy=self._proxy,
            trust_env=False,
            verify=authorities(),
        )
        self._reads = open_session(
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=_READ_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=connect),
            proxy=self._proxy,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._submits.aclose()
        await self._reads.close()

    async def submit(
        self, arguments: dict[str, Any], *, model: str | None = None, webhook_url: str | None = None
    ) -> Wire:
        """Send the paid request, exactly once."""
        params = {} if webhook_url is None else {"fal_webhook": webhook_url}
        url = f"{self._queue_url}/{self._endpoint(model)}"
        return await _measured("submit", self._post(url, arguments, params))

    async def status(self, request_id: str, *, model: str | None = None) -> Wire:
        return await _measured("status", self._read("GET", f"{self._request_url(request_id, model)}/status?logs=1"))

    async def result(self, request_id: str, *, model: str | None = None) -> Wire:
        return await _measured("result", self._read("GET", self._request_url(request_id, model)))

    async def cancel(self, request_id: str, *, model: str | None = None) -> Wire:
        return await _measured("cancel", self._read("PUT", f"{self._request_url(request_id, model)}/cancel"))

    def _endpoint(self, model: str | None) -> str:
        return self._upstream(self._model if model is None else model)

    def _request_url(self, request_id: str, model: str | None) -> str:
        owner, app, *_ = self._endpoint(model).split("/")  # URLs of requests drop the sub-path
        return f"{self._queue_url}/{owner}/{app}/requests/{quote(request_id, safe='')}"

    async def _post(self, url: str, arguments: dict[str, Any], params: dict[str, str]) -> Wire:
        tunnel = _Tunnel()
        try:
            async with asyncio.timeout(self._timeout):  # httpx's own timeouts are per read, not in total
                extensions = {"trace": tunnel}
                return await exchange(
                    self._submits.stream("POST", url, json=arguments, params=params, extensions=extensions)
                )
        except _NOT_SENT as error:
            return NoHttpResponse(sent=False, reason=type(error).__name__)
        except (httpx.HTTPError, TimeoutError, AnswerTooLarge) as error:
            reason = f"Proxy{type(error).__name__.removeprefix('Proxy')}" if tunnel.is_awaited else type(error).__name__
            return NoHttpResponse(sent=not tunnel.is_awaited, reason=reason)

    async def _read(self, method: str, url: str) -> Wire:
        try:
            async with self._reads.request(method, URL(url, encoded=True), allow_redirects=False) as response:
                content = await read_body(response.headers, response.content.iter_any())
                return read_response(response.status, response.headers, content)
        except (aiohttp.ClientError, TimeoutError, AnswerTooLarge) as error:
            return NoHttpResponse(sent=True, reason=type(error).__name__, cause=cause(error))


async def _measured(operation: str, exchange: Awaitable[Wire]) -> Wire:
    """Measure a call. Status calls get no span: there are hundreds, and the poller records those with a change."""
    traced = tracing.OFF if operation == "status" else tracing.child(f"fal.{operation}", kind="client")
    with metrics.UPSTREAM_SECONDS.labels(operation).time(), traced as span:
        wire = await exchange
        outcome = wire.reason if isinstance(wire, NoHttpResponse) else str(wire.status)
        span.annotate(outcome=outcome)
    metrics.UPSTREAM_CALLS.labels(operation, outcome).inc()
    return wire
