"""Webhook endpoints of a tenant: create, change, delete, rotate their secrets, and send test events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain import ids
from service.domain.generation_view import rfc3339
from service.domain.signing import SigningKey, in_force, new_key, new_secret, rotated
from service.domain.tenant import Tenant
from service.domain.webhook import Delivery, EventType
from service.domain.webhook_endpoint import MOST_ENDPOINTS, MOST_HEADERS, Endpoint, Failures
from service.domain.webhook_endpoint_view import FailingView
from service.errors import Conflict, FieldError, Invalid, NotFound, PreconditionFailed, TooManyTests
from service.net.resolver import lookups_of
from service.net.ssrf import AddressRefused
from service.store.webhooks.endpoints import EndpointStore
from service.tasks import Nudger
from service.usecases.conflicts import LOST, Lost, Versions, check_version, retry_on_conflict
from service.usecases.generations.refusals import deliveries_full
from service.usecases.tenants.tenants import Tenants
from service.usecases.trail.recording import note, note_change
from service.usecases.webhooks.fanout import test_event
from service.webhooks.sender import Sender

#: In place of an endpoint's id: the secret that signs webhooks to the ``webhook_url`` of a request.
DEFAULT: Final = "default"
#: Retry-After of a test event, in seconds: the second attempt of the earlier ones is over by then.
_TESTS_RETRY_AFTER: Final = 60.0
_BUSY: Final = "The endpoint is being changed by other requests; try again."


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """An endpoint as its tenant specifies it. ``headers`` None: they do not change."""

    url: str
    events: tuple[EventType, ...]
    description: str
    headers: dict[str, str] | None
    ed25519: bool
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPatch:
    """Changes of an endpoint; None: no change. Of ``headers``, those with None are removed, and all others stay."""

    url: str | None = None
    events: tuple[EventType, ...] | None = None
    description: str | None = None
    headers: Mapping[str, str | None] | None = None
    ed25519: bool | None = None
    enabled: bool | None = None

    def applied_to(self, endpoint: Endpoint) -> EndpointSpec:
        """Return the changed endpoint. Raises Invalid: it would have too many headers."""
        headers = {**endpoint.headers, **(self.headers or {})}
        left = {name: text for name, text in headers.items() if text is not None}
        if len(left) > MOST_HEADERS:
            fault = f"must have at most {MOST_HEADERS} headers, has {len(left)} with those that stay"
            raise Invalid(FieldError("/headers", fault, "headers_size"))
        return EndpointSpec(
            url=endpoint.url if self.url is None else self.url,
            events=endpoint.events if self.events is None else self.events,
            description=endpoint.description if self.description is None else self.description,
            headers=left,
            ed25519=endpoint.ed25519 if self.ed25519 is None else self.ed25519,
            enabled=endpoint.disabled is None if self.enabled is None else self.enabled,
        )


class Endpoints:
    def __init__(
        self,
        store: EndpointStore,
        tenants: Tenants,
        sender: Sender,
        nudger: Nudger,
        *,
        retention: timedelta,
        disable_after: timedelta,
        clock: Clock,
    ) -> None:
        self._store = store
        self._tenants = tenants
        self._sender = sender
        self._nudger = nudger
        self._retention = retention
        self._disable_after = disable_after
        self._clock = clock

    async def create(self, tenant: Tenant, spec: EndpointSpec) -> Endpoint:
        """Create an endpoint. Raises Invalid: the URL is refused. Conflict: the tenant may have no more."""
        await self._check(tenant, spec.url)
        now = self._clock()
        fresh = Endpoint(
            id=ids.new(ids.ENDPOINT, now),
            tenant_id=tenant.id,
            url=spec.url,
            keys=(new_key(ed25519=spec.ed25519),),
            created_at=now,
        )
        return await self._put(self._described(fresh, spec), tenant.limits.webhook_endpoints)

    async def list(self, tenant: Tenant) -> list[Endpoint]:
        return await self._store.of_tenant(tenant.id)

    async def get(self, tenant: Tenant, endpoint_id: str) -> Endpoint:
        """Return an endpoint. An unknown one and another tenant's raise the same NotFound."""
        found = await self._store.load(tenant.id, endpoint_id) if ids.is_id(ids.ENDPOINT, endpoint_id) else None
        if found is None:
            raise NotFound("There is no such webhook endpoint.")
        return found

    async def replace(
        self, tenant: Tenant, endpoint_id: str, spec: EndpointSpec, *, versions: Versions = None
    ) -> Endpoint:
        """Replace all but id and secrets. Enabling resets the failures.

        Raises as ``create``, NotFound, and PreconditionFailed: the endpoint has another version than ``versions``.
        """
        await self._check(tenant, spec.url)
        return await self._update(tenant, endpoint_id, lambda current: self._described(current, spec), versions)

    async def change(
        self, tenant: Tenant, endpoint_id: str, patch: EndpointPatch, *, versions: Versions = None
    ) -> Endpoint:
        """Change the given fields only. Enabling resets the failures. Raises as ``replace``."""
        if patch.url is not None:
            await self._check(tenant, patch.url)
        return await self._update(
            tenant, endpoint_id, lambda current: self._described(current, patch.applied_to(current)), versions
        )

    async def delete(self, tenant: Tenant, endpoint_id: str, *, versions: Versions = None) -> None:
        """Delete an endpoint. Raises NotFound, and PreconditionFailed as ``replace``."""

        async def attempt() -> Lost | None:
            before = await self.get(tenant, endpoint_id)
            check_version(before.version, versions, "endpoint")
            if not await self._store.delete(before):
                return LOST
            note_change(before, None)
            return None

        if await retry_on_conflict(attempt) is LOST:
            raise PreconditionFailed(_BUSY)

    async def failing(self, endpoints: Sequence[Endpoint]) -> Sequence[FailingView | None]:
        """Return the failures of each endpoint since its last success; None: there are none."""
        found = await self._store.failures(endpoints)
        return [None if each is None else self._failing(each) for each in found]

    def _failing(self, failures: Failures) -> FailingView:
        share = (self._clock() - failures.since) / self._disable_after if failures.is_streak else 0
        return {
            "since": rfc3339(failures.since),
            "attempts": failures.count,
            "percent": min(100, int(100 * share)),
        }

    async def public_keys(self, tenant_id: str, endpoint_id: str) -> tuple[SigningKey, ...]:
        """Return the Ed25519 keys that sign now. Raises NotFound if there is none."""
        known = ids.is_id(ids.TENANT, tenant_id) and ids.is_id(ids.ENDPOINT, endpoint_id)
        endpoint = await self._store.load(tenant_id, endpoint_id) if known else None
        keys = () if endpoint is None else tuple(key for key in endpoint.signing(self._clock()) if key.private)
        if not keys:
            raise NotFound("No webhook endpoint of this id signs with Ed25519.")
        return keys

    async def keys(self, tenant: Tenant, endpoint_id: str) -> tuple[SigningKey, ...]:
        """Return the keys that sign now, the current one first."""
        if endpoint_id == DEFAULT:
            return (await self._tenants.get(tenant.id)).signing(self._clock())
        return (await self.get(tenant, endpoint_id)).signing(self._clock())

    async def rotate(self, tenant: Tenant, endpoint_id: str, *, overlap: timedelta) -> tuple[SigningKey, ...]:
        """Create a new secret, and a new Ed25519 key if there is one. The old ones sign too until their overlaps end.

        Raises:
            NotFound: there is no such endpoint.
            OverlapPromised: the limit of secrets that sign at once is reached.

        """
        now = self._clock()
        if endpoint_id == DEFAULT:
            secret = new_secret()
            changed = await self._tenants.update(tenant.id, lambda t: _with_secret(t, secret, overlap, self._clock))
            return changed.signing(now)
        rotated_endpoint = await self._update(
            tenant,
            endpoint_id,
            lambda current: current.rotated(new_key(ed25519=current.ed25519), overlap=overlap, now=now),
        )
        return rotated_endpoint.signing(now)

    async def test(self, tenant: Tenant, endpoint_id: str) -> Delivery:
        """Send a test event.

        Raises:
            Conflict: the endpoint is disabled.
            DeliveriesFull, TooManyTests: a limit of the tenant is reached.

        """

        async def attempt() -> Delivery | Lost:
            endpoint, now = await self.get(tenant, endpoint_id), self._clock()
            if endpoint.disabled is not None:
                raise Conflict("The endpoint is disabled; enable it first.")
            delivery = test_event(endpoint, now)
            announced = await self._store.announce(
                endpoint,
                [delivery],
                now=now,
                retention=tenant.limits.retention or self._retention,
                limits=tenant.limits,
            )
            if announced.refusal == "deliveries_full":
                raise deliveries_full(announced.count)
            if announced.refusal == "too_many_tests":
                raise TooManyTests(
                    f"{announced.count} test events are not delivered yet.", retry_after=_TESTS_RETRY_AFTER
                )
            self._nudger.nudge_all(announced.nudges)
            return delivery if announced.won else LOST

        delivery = await retry_on_conflict(attempt)
        if delivery is LOST:
            raise PreconditionFailed(_BUSY)
        note(delivery_id=delivery.id)
        return delivery

    async def enable(self, tenant: Tenant, endpoint_id: str) -> Endpoint:
        """Send events to an endpoint again; its failures are reset. Raises NotFound, PreconditionFailed."""
        return await self._update(tenant, endpoint_id, lambda current: current.enabled())

    async def disable(self, tenant: Tenant, endpoint_id: str) -> Endpoint:
        """Send no more events to an endpoint: its deliveries become dead letters. Raises as ``enable``."""
        return await self._update(tenant, endpoint_id, lambda current: current.disabled_for("requested", self._clock()))

    async def _update(
        self, tenant: Tenant, endpoint_id: str, change: Callable[[Endpoint], Endpoint], versions: Versions = None
    ) -> Endpoint:
        async def attempt() -> Endpoint | Lost:
            before = await self.get(tenant, endpoint_id)
            check_version(before.version, versions, "endpoint")
            after = change(before)
            written = await self._store.put(after, forgive=before.disabled is not None and after.disabled is None)
            if written == "orphan":
                raise NotFound("There is no such webhook endpoint.")
            if not isinstance(written, Endpoint):
                return LOST
            note_change(before, written)
            return written

        written = await retry_on_conflict(attempt)
        if written is LOST:
            raise PreconditionFailed(_BUSY)
        return written

    async def _put(self, fresh: Endpoint, limit: int | None) -> Endpoint:
        written = await self._store.put(fresh, limit=limit)
        if isinstance(written, Endpoint):
            note_change(None, written, target=written.id)
            return written
        if written == "full":
            most = MOST_ENDPOINTS if limit is None else min(limit, MOST_ENDPOINTS)
            raise Conflict(f"The tenant has {most} webhook endpoints, the most that it may have.")
        raise NotFound("There is no such tenant.")

    def _described(self, endpoint: Endpoint, spec: EndpointSpec) -> Endpoint:
        described = replace(
            endpoint,
            url=spec.url,
            events=spec.events,
            description=spec.description,
            headers=endpoint.headers if spec.headers is None else spec.headers,
        )
        described = described.with_ed25519(wanted=spec.ed25519)
        return described.enabled() if spec.enabled else described.disabled_for("requested", self._clock())

    async def _check(self, tenant: Tenant, url: str) -> None:
        try:
            with lookups_of(tenant.id):
                await self._sender.check(url)
        except AddressRefused as refusal:
            raise Invalid(FieldError("/url", refusal.of_webhook(), "address_refused")) from None


def _with_secret(tenant: Tenant, secret: str, overlap: timedelta, clock: Clock) -> Tenant:
    now = clock()
    keys = rotated(tenant.signing(now), SigningKey(secret), overlap=overlap, now=now)
    return replace(tenant, webhook_secret=secret, retired_webhook_keys=in_force(keys[1:], now))
