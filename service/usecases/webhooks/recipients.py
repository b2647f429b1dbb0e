"""Receivers of the events of an act, before it happens: bounded, for the page that asks for a confirmation."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from service.domain.webhook import EventType
from service.domain.webhook_endpoint import Endpoint
from service.store.webhooks.endpoints import EndpointStore

#: Tenants whose endpoints are read: one command each, and a tenant has 20 endpoints at most.
MOST_TENANTS: Final = 5
#: Hosts that a text names.
_MOST_HOSTS: Final = 5


@dataclass(frozen=True, slots=True)
class Recipients:
    """``urls``: of the enabled endpoints that subscribe to an event, and of requests. ``more``: tenants not read."""

    urls: Sequence[str] = ()
    more: int = 0

    @property
    def summary(self) -> str:
        """Return how many receivers there are, and the hosts of most of them."""
        rest = f", and those of {self.more:,} more tenants" if self.more else ""
        if not self.urls:
            return f"no receiver{rest}" if rest else "no receiver: no endpoint subscribes to the event"
        hosts = Counter(urlsplit(url).hostname or url for url in self.urls).most_common()
        named = ", ".join(host if count == 1 else f"{host} ({count})" for host, count in hosts[:_MOST_HOSTS])
        others = f" and {len(hosts) - _MOST_HOSTS} more hosts" if len(hosts) > _MOST_HOSTS else ""
        number = len(self.urls)
        return f"{number} receiver{'' if number == 1 else 's'}: {named}{others}{rest}"


class RecipientService:
    def __init__(self, endpoints: EndpointStore) -> None:
        self._endpoints = endpoints

    async def of_event(
        self, tenant_ids: Sequence[str], event: EventType, *, webhook_urls: Iterable[str | None] = ()
    ) -> Recipients:
        """Return the receivers of an event of these tenants. ``webhook_urls``: of the requests; None: it has none."""
        urls = [each.url for each in await self._read(tenant_ids) if each.disabled is None and each.wants(event)]
        own = [url for url in webhook_urls if url is not None]
        return Recipients([*urls, *own], max(0, len(tenant_ids) - MOST_TENANTS))

    async def by_id(self, tenant_ids: Sequence[str]) -> dict[str, Endpoint]:
        """Return the endpoints of these tenants by their ids, of ``MOST_TENANTS`` at most."""
        return {each.id: each for each in await self._read(tenant_ids)}

    async def _read(self, tenant_ids: Sequence[str]) -> list[Endpoint]:
        return [each for tenant_id in tenant_ids[:MOST_TENANTS] for each in await self._endpoints.of_tenant(tenant_id)]
