"""Client for fal's file storage, from which the model fetches images."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Self

import httpx

from service.domain.dispatch_gate import HOLD_TEXTS, HoldReason
from service.errors import UpstreamUnavailable
from service.net.authorities import authorities
from service.observability.causes import cause
from service.upstream.answer_body import IDENTITY, LARGEST_DOCUMENT, AnswerTooLarge
from service.upstream.exchange import exchange
from service.upstream.hosts import FalHosts
from service.upstream.http_result import HttpResponse

#: Retry-After while fal refuses the account: people have to act first.
_LOCKED_RETRY_AFTER: Final = 60.0
_NO_ANSWER: Final = (httpx.HTTPError, TimeoutError, AnswerTooLarge)


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where the bytes of a file go. The PUT repeats the content type that the target was created with, as signatures of
    object stores demand, also if the bytes turned out to be of another.
    """

    upload_url: str
    file_url: str
    content_type: str


class FalStorage:
    """Uploads in the two steps of the official JavaScript client: initiate, then PUT the bytes."""

    def __init__(self, hosts: FalHosts, *, rest_url: str, key: str, timeout: float, proxy: str | None = None) -> None:
        self._hosts = hosts
        self._rest_url = rest_url
        self._key = key
        self._timeout = timeout
        self._http = httpx.AsyncClient(
            headers=IDENTITY,
            timeout=timeout,
            follow_redirects=False,
            proxy=proxy,
            trust_env=False,
            verify=authorities(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create_target(self, *, content_type: str, file_name: str) -> UploadTarget:
        """Return the URL to PUT a file to and its public URL. Raises UpstreamUnavailable."""
        try:
            async with asyncio.timeout(self._timeout):
                return UploadTarget(*await self._initiate(content_type, file_name), content_type)
        except _NO_ANSWER as error:
            raise UpstreamUnavailable(f"fal's storage did not answer: {cause(error)}.") from error

    async def put(self, target: UploadTarget, chunks: AsyncIterator[bytes], *, size: int | None = None) -> None:
        """Upload the bytes. Raises UpstreamUnavailable."""
        headers = {"content-type": target.content_type} | ({} if size is None else {"content-length": str(size)})
        try:
            # No total timeout: the use case bounds the whole upload, and httpx bounds each write.
            await _read(self._http.stream("PUT", target.upload_url, content=chunks, headers=headers))
        except _NO_ANSWER as error:
            raise UpstreamUnavailable(f"fal's storage did not answer: {cause(error)}.") from error

    async def _initiate(self, content_type: str, file_name: str) -> tuple[str, str]:
        initiation = self._http.stream(
            "POST",
            f"{self._rest_url}/storage/upload/initiate",
            params={"storage_type": "fal-cdn-v3"},
            json={"content_type": content_type, "file_name": file_name},
            headers={"authorization": f"Key {self._key}"},
        )
        match (await _read(initiation, refuses_account=True)).body:
            case {"upload_url": str(upload_url), "file_url": str(file_url)}:
                # The bytes and their secret URL go to no host but fal's, whatever the response names.
                if not (self._hosts.own(upload_url) and self._hosts.own(file_url)):
                    raise UpstreamUnavailable("fal's storage returned an upload URL of another host.")
                return upload_url, file_url
        raise UpstreamUnavailable("fal's storage returned no upload URL.")


async def _read(stream: AbstractAsyncContextManager[httpx.Response], *, refuses_account: bool = False) -> HttpResponse:
    """Send the request, and return its answer. Raises UpstreamUnavailable for a status other than 2xx.

    ``refuses_account``: a 401 or 403 is about the key of the account, and not about a signed URL.
    """
    answer = await exchange(stream, most=LARGEST_DOCUMENT)
    if refuses_account and answer.status in (401, 403):
        raise UpstreamUnavailable(HOLD_TEXTS[HoldReason.ACCOUNT_LOCKED], retry_after=_LOCKED_RETRY_AFTER)
    if not httpx.codes.is_success(answer.status):
        raise UpstreamUnavailable(f"fal's storage answered {answer.status}.")
    return answer
