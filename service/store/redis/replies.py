"""Replies of Redis: values, or refusals as errors of this project."""

from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from service.errors import StoreFull, StoreUnavailable

#: Temporary refusals; inside a script they are text.
_TEMPORARY: Final = (MasterDownError, ClusterDownError, TryAgainError)
_TEMPORARY_TEXTS: Final = ("MISCONF", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "BUSY ")

_NO_WRITES: Final = "Redis accepts no writes at the moment."
_FULL: Final = "Redis is full and accepts nothing new."


class Demoted(StoreUnavailable):
    """The server is a replica now: another server is the master."""


async def read_reply(connection: AbstractConnection) -> Any:
    """Read the next reply. A refusal is returned, not raised, since replies to other commands follow."""
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        if isinstance(refusal, ReadOnlyError) or "READONLY" in str(refusal):
            return Demoted(_NO_WRITES)
        if isinstance(refusal, OutOfMemoryError) or "OOM " in str(refusal):
            return StoreFull(_FULL)
        if isinstance(refusal, _TEMPORARY) or any(text in str(refusal) for text in _TEMPORARY_TEXTS):
            return StoreUnavailable(_NO_WRITES)
        return refusal
