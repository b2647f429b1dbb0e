"""Places that a tenant may hold at one process: nobody's waiting calls or open streams take all there is."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from service.domain.tenant import Tenant
from service.errors import TooManyWaiting
from service.observability import metrics

#: One too many: another may have ended after this.
FULL_SECONDS: Final = 5.0


class ConcurrencyLimiter:
    def __init__(self, most: int) -> None:
        self.most: Final = most
        """Of one tenant."""
        self._taken: Counter[str] = Counter()

    def take(self, tenant_id: str) -> bool:
        """False: it has all that it may; what was taken is to be given back."""
        if self._taken[tenant_id] >= self.most:
            return False
        self._taken[tenant_id] += 1
        return True

    def give_back(self, tenant_id: str) -> None:
        self._taken[tenant_id] -= 1
        if not self._taken[tenant_id]:
            del self._taken[tenant_id]


class LongPollLimiter:
    """Calls that are held until a generation has moved or ended."""

    def __init__(self, *, most: int) -> None:
        self._places = ConcurrencyLimiter(most)

    @contextmanager
    def place(self, tenant: Tenant) -> Iterator[None]:
        """Raises TooManyWaiting."""
        if not self._places.take(tenant.id):
            raise TooManyWaiting(f"More than {self._places.most} calls are waiting.", retry_after=FULL_SECONDS)
        metrics.WAITING_CALLS.inc()
        try:
            yield
        finally:
            metrics.WAITING_CALLS.dec()
            self._places.give_back(tenant.id)
