"""Reads request bodies within bounds: bytes, time, least rate, and the tenant's share of the process's memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from service.api.http.request_headers import header
from service.errors import Timeout, TooLarge, TooManyBytes, Unavailable, UnsupportedMedia
from service.runtime import Runtime
from service.usecases.generations.byte_limits import ByteLease

#: Scope key that the server sets: the whole body has arrived. It is small, since the server stops reading at 64 KiB.
HAS_ARRIVED: Final = "gateway.has_arrived"
#: Scope key of the memory that the body of the request holds.
_LEASE: Final = "gateway.body_lease"
#: The least rate must be reached in every period of this many seconds.
_PERIOD: Final = 10.0
#: Bytes of an upload that are in memory on their way to the disk: the buffers of server and spool.
_UPLOAD_BUFFERS: Final = 512 * 1024
#: Characters of an unknown encoding that an error repeats.
_LONGEST_NAME: Final = 64
#: Longest number in ``Content-Length`` that is read. Python reads no number of more than 4,300 digits.
_MOST_DIGITS: Final = 15
_JSON: Final = "application/json"
#: Media type of a PATCH by RFC 7396. Every PATCH of this API is one.
_MERGE_PATCH: Final = "application/merge-patch+json"


async def json_body(request: Request, *, limit: int | None = None) -> bytes:
    """Read a JSON body. Raises UnsupportedMedia, and as ``whole_body``."""
    _require_json(request)
    return await whole_body(request, limit=limit)


async def optional_json_body(request: Request) -> bytes:
    """Read a JSON body that may be missing: it is then empty, whatever its content type. Raises as ``json_body``."""
    body = await whole_body(request)
    if body:
        _require_json(request)
    return body


def _require_json(request: Request) -> None:
    media = header(request.scope, b"content-type").partition(";")[0].strip().lower()
    if media != _JSON and not (media == _MERGE_PATCH and request.method == "PATCH"):
        raise UnsupportedMedia("Send the body as application/json.")


async def whole_body(request: Request, *, limit: int | None = None, within: float | None = None) -> bytes:
    """Read the body: at most ``limit`` bytes, by default of a JSON body, in ``within`` seconds, by default of uploads.

    A body that has not arrived with its first message holds memory of its tenant until ``release_memory``.

    Raises:
        TooLarge: the body is larger than ``limit``.
        Timeout: it arrives too slowly.
        TooManyBytes, Unavailable: bodies that are being read hold too much memory.

    """
    if HAS_ARRIVED in request.scope:
        return await _arrived_body(request, limit)
    reader = _Reader(request, limit, within)
    if reader.declared > _UPLOAD_BUFFERS:
        reader.hold_memory(reader.declared)  # before the client sends it
    piece = await reader.next()
    if reader.has_ended():
        return piece
    body = bytearray(piece)  # a list of pieces would need fifty times the memory if each has one byte
    while not reader.has_ended():
        reader.hold_memory(max(reader.declared, len(body)))
        body += await reader.next()
    return bytes(body)


async def _arrived_body(request: Request, limit: int | None) -> bytes:
    """Return a body that has arrived: without timers, which would take a tenth of the time of a create."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message["body"]
    most = _limit(request, limit)
    if len(body) > most:
        raise _too_large(most)
    _check_encoding(request)
    return body


def _limit(request: Request, limit: int | None) -> int:
    runtime: Runtime = request.scope["app"].state.runtime
    return runtime.settings.max_body_bytes if limit is None else limit


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes.")


def streamed_body(request: Request, *, limit: int) -> AsyncIterator[bytes]:
    """Return the body as it arrives. It holds a fixed amount of memory of its tenant.

    Raises TooLarge at once if the declared length exceeds ``limit``, and while it arrives as ``whole_body``.
    """
    return _pieces(request, _Reader(request, limit, None))


async def _pieces(request: Request, reader: "_Reader") -> AsyncIterator[bytes]:
    reader.hold_memory(min(reader.declared or _UPLOAD_BUFFERS, _UPLOAD_BUFFERS))
    while not reader.has_ended():
        if piece := await reader.next():
            yield piece
    release_memory(request.scope)


def declared_length(request: Request) -> int:
    """Return ``Content-Length``; 0 without it."""
    digits = header(request.scope, b"content-length").lstrip("0")
    if not digits.isdecimal():
        return 0
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _check_encoding(request: Request) -> None:
    """Raise UnsupportedMedia if the body is encoded: a decoded body could be a thousand times as large."""
    lines = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"content-encoding"]
    if not lines:
        return
    names = map(str.strip, ",".join(lines).split(","))
    if unknown := [name for name in names if name.lower() not in ("", "identity")]:
        raise UnsupportedMedia(
            f"Content-Encoding {', '.join(unknown)[:_LONGEST_NAME]} is not supported; send the body without it."
        )


def release_memory(scope: Scope) -> None:
    """Release the memory of the body: it has been processed."""
    lease: ByteLease | None = scope.pop(_LEASE, None)
    if lease is not None:
        lease.release()


class _Reader:
    """Reads one body, message by message."""

    def __init__(self, request: Request, limit: int | None, within: float | None) -> None:
        gateway: Runtime = request.app.state.runtime
        settings = gateway.settings
        self._request = request
        self._memory = gateway.generations.body_memory
        self._limit = _limit(request, limit)
        self._within = settings.upload_timeout.total_seconds() if within is None else within
        self._quantum = settings.body_least_rate * _PERIOD
        self._now = asyncio.get_running_loop().time
        now = self._now()
        self._end = now + self._within
        self._deadline = min(self._end, now + _PERIOD)
        self._received = self._received_in_period = 0
        self._more = True
        self.declared = declared_length(request)
        if self.declared > self._limit:
            raise _too_large(self._limit)
        _check_encoding(request)

    def has_ended(self) -> bool:
        return not self._more

    async def next(self) -> bytes:
        """Return what has arrived, which may be nothing."""
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._request.receive()
        except TimeoutError:
            raise self._too_slow() from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body: bytes = message.get("body", b"")
        self._more = message.get("more_body", False)
        self._received += len(body)
        self._received_in_period += len(body)
        if self._received > self._limit:
            raise _too_large(self._limit)
        if self._received_in_period >= self._quantum:
            self._received_in_period = 0
            self._deadline = min(self._end, self._now() + _PERIOD)
        return body

    def hold_memory(self, size: int) -> None:
        """Hold at least this many bytes of memory for the request.

        Bodies without a tenant, of operators and of fal, count as those of one more tenant.
        """
        scope = self._request.scope
        tenant_id: str = scope.get("tenant") or ""
        lease: ByteLease | None = scope.get(_LEASE)
        try:
            if lease is None:
                scope[_LEASE] = self._memory.lease(tenant_id, size)
            else:
                lease.cover(size)
        except TooManyBytes:
            if tenant_id:
                raise
            raise Unavailable("Too many bytes are in progress.") from None

    def _too_slow(self) -> Timeout:
        if self._now() >= self._end:
            return Timeout(f"The body took longer than {self._within:g} seconds.")
        return Timeout(f"Less than {self._quantum:g} bytes of the body arrived in {_PERIOD:g} seconds.")
