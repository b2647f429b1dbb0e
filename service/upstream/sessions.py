"""How sessions with fal are opened: the operator's proxy or none, no cookies, answers as they were sent."""

from collections.abc import Mapping

import aiohttp

from service.upstream.answer_body import IDENTITY


def json_headers(key: str | None = None) -> dict[str, str]:
    """Return the headers of requests for JSON; ``key``: fal's key, which the queue and the bills need."""
    authorization = {} if key is None else {"authorization": f"Key {key}"}
    return {**authorization, "accept": "application/json", "user-agent": "seedance-gateway", **IDENTITY}


def open_session(
    *,
    headers: Mapping[str, str],
    timeout: aiohttp.ClientTimeout,
    proxy: str | None,
    connector: aiohttp.TCPConnector | None = None,
) -> aiohttp.ClientSession:
    """Open a session that ignores the variables of the environment and unpacks nothing."""
    return aiohttp.ClientSession(
        headers=headers,
        timeout=timeout,
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        proxy=proxy,
        trust_env=False,
    )
