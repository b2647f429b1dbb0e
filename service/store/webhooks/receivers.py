"""Receivers whose attempts only fail, over all tenants: an index that each attempt updates."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.domain import ids
from service.domain.webhook import Attempt
from service.domain.webhook_endpoint import Endpoint, Failures, ReceiverPosition
from service.store import keys
from service.store.redis.client import Redis, Script
from service.store.webhooks.deliveries import load
from service.store.webhooks.endpoints import EndpointStore

_FAILING: Final = Script("failing_receivers")
#: Values of a row in the reply of the script.
_ROW: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingReceiver:
    """A receiver whose attempts only fail."""

    queue_name: str
    """Of its endpoint queue."""
    tenant_id: str
    tenant_name: str | None
    """None: the tenant was deleted."""
    endpoint: Endpoint | None
    """None: it receives the webhooks to a ``webhook_url``, or its endpoint was deleted."""
    url: str
    """URL of one of its pending deliveries, or of its endpoint; "" if there is none."""
    failures: Failures
    pending: int
    """Deliveries that wait for their next attempt."""
    last_attempt: Attempt | None
    """Of the pending delivery that is due first; None: it has no attempt yet, or none is pending."""


class ReceiverStore:
    """Reads the index of failing receivers."""

    def __init__(self, redis: Redis, endpoints: EndpointStore) -> None:
        self._redis = redis
        self._endpoints = endpoints

    async def failing(
        self, before: datetime, *, limit: int, after: ReceiverPosition | None = None, brief: bool = False
    ) -> tuple[list[FailingReceiver], int]:
        """Return receivers that only fail since ``before``, those that fail longest first, and their number.

        ``after``: the last one of the page before. ``brief``: without the last attempt, and without the URL of a
        receiver that has no endpoint.
        """
        name, since = ("", before) if after is None else (after.queue_name, after.since)
        count, *rows = await self._redis.run(
            _FAILING,
            {"failing_receivers": keys.FAILING_RECEIVERS},
            {
                "before_ms": ids.milliseconds(before),
                "limit": limit,
                "after": name,
                "after_ms": ids.milliseconds(since),
                "brief": "1" if brief else "",
            },
            replicated=False,
        )
        return [self._receiver(rows[n : n + _ROW]) for n in range(0, len(rows), _ROW)], count

    def _receiver(self, row: Sequence[Any]) -> FailingReceiver:
        name, first, last, failures, pending, tenant, sealed, record = row
        delivery = load(record) if record else None
        endpoint = self._endpoints.open(sealed) if sealed else None
        return FailingReceiver(
            queue_name=name.decode(),
            tenant_id=name.decode().partition(":")[0],
            tenant_name=json.loads(tenant)["name"] if tenant else None,
            endpoint=endpoint,
            url=endpoint.url if endpoint else delivery.url if delivery else "",
            failures=Failures(ids.from_milliseconds(int(first)), ids.from_milliseconds(int(last)), int(failures or 0)),
            pending=int(pending),
            last_attempt=delivery.attempts[-1] if delivery and delivery.attempts else None,
        )
