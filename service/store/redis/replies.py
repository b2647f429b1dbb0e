"""Answers of Redis as they are read: values, or refusals as the errors of this project."""

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

#: Refusals that say "not now", not "wrong question"; inside a script they come as text.
_NOT_NOW: Final = (MasterDownError, ClusterDownError, TryAgainError)
_NOT_NOW_WORDS: Final = ("MISCONF", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "BUSY ")

_NO_WRITES: Final = "The store takes no writes at the moment."
_FULL: Final = "Redis is full, and accepts nothing new."


class Demoted(StoreUnavailable):
    """We talk to a replica: the master has moved."""


async def read_reply(connection: AbstractConnection) -> Any:
    """The next answer; a refusal is returned, not raised, since others' answers follow."""
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        if isinstance(refusal, ReadOnlyError) or "READONLY" in str(refusal):
            return Demoted(_NO_WRITES)
        if isinstance(refusal, OutOfMemoryError) or "OOM " in str(refusal):
            return StoreFull(_FULL)
        if isinstance(refusal, _NOT_NOW) or any(word in str(refusal) for word in _NOT_NOW_WORDS):
            return StoreUnavailable(_NO_WRITES)
        return refusal
