"""Bounds on the bytes that requests hold in one process, in memory or on disk: of one tenant, and of all."""

from collections import Counter
from typing import Final, Literal, Self

from service.errors import TooManyBytes, Unavailable
from service.observability import metrics
from service.usecases.generations.concurrency import RETRY_AFTER


class ByteLimiter:
    """Counts the bytes that are leased. A tenant cannot lease all: its bound is below the bound of the process."""

    def __init__(self, where: Literal["memory", "disk"], *, total: int, tenant: int) -> None:
        self._gauge = metrics.BYTES_IN_PROGRESS.labels(where)
        self._total = total
        self._tenant = tenant
        self._leased: Counter[str] = Counter()
        self._sum = 0

    @property
    def leased(self) -> int:
        return self._sum

    def lease(self, tenant_id: str, size: int) -> "ByteLease":
        """Lease this many bytes. Raises as ``ByteLease.resize``."""
        lease = ByteLease(self, tenant_id)
        lease.resize(size)
        return lease

    def change(self, tenant_id: str, by: int) -> None:
        if by > 0 and self._leased[tenant_id] + by > self._tenant:
            raise TooManyBytes(
                f"The bodies of this tenant that are in progress would have more than {self._tenant} bytes.",
                retry_after=RETRY_AFTER,
            )
        if by > 0 and self._sum + by > self._total:
            raise Unavailable(f"All bodies that are in progress would have more than {self._total} bytes.")
        self._sum += by
        self._gauge.inc(by)
        self._leased[tenant_id] += by
        if not self._leased[tenant_id]:
            del self._leased[tenant_id]


class ByteLease:
    """Bytes that one request holds, until it is released or its context ends."""

    def __init__(self, limiter: ByteLimiter, tenant_id: str) -> None:
        self._limiter: Final = limiter
        self._tenant_id: Final = tenant_id
        self.size = 0

    def resize(self, size: int) -> None:
        """Hold this many bytes from now on.

        Raises:
            TooManyBytes: the tenant's bound is reached.
            Unavailable: the bound of the process is reached.

        """
        self._limiter.change(self._tenant_id, size - self.size)
        self.size = size

    def cover(self, size: int) -> None:
        """Hold at least this many bytes. Raises as ``resize``."""
        if size > self.size:
            self.resize(size)

    def release(self) -> None:
        self.resize(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
