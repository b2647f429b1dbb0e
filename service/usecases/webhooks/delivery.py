"""Attempts of webhook deliveries, in named phases: prepare, post, record, decide."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.clock import Clock
from service.domain.retry import RetryPolicy
from service.domain.signing import SigningKey, signed_headers
from service.domain.tenant import Tenant
from service.domain.webhook import Attempt, Delivery, DeliveryStatus
from service.domain.webhook_endpoint import Endpoint
from service.net.resolver import lookups_of
from service.observability import log, metrics, tracing
from service.store.queues.due import Claim, Claimed
from service.store.tenants.tenants import TenantStore
from service.store.webhooks.deliveries import Caps, DeliveryStore, Verdict, Written
from service.store.webhooks.endpoints import EndpointStore
from service.usecases.lifecycle.leases import LEASE
from service.usecases.webhooks.attempt_shares import AttemptShares
from service.usecases.webhooks.endpoint_health import EndpointHealthMonitor
from service.webhooks.fal_signing import fal_headers
from service.webhooks.openrouter_signing import openrouter_headers
from service.webhooks.sender import NoReceiverResponse, ReceiverResponse, Sender

_GONE = 410  # the receiver wants no more events
_BUSY = frozenset({429, 503})
#: A success that took longer does not prove a receiver: its attempts occupy a worker as those of failing ones do.
_PROVEN_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One signed POST. The bytes of the body are the same at each attempt."""

    delivery: Delivery
    endpoint: Endpoint | None
    headers: dict[str, str]
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Unsendable:
    """A delivery whose endpoint is disabled or deleted: it becomes a dead letter without an attempt."""

    delivery: Delivery


class DeliveryWorker:
    def __init__(
        self,
        deliveries: DeliveryStore,
        tenants: TenantStore,
        endpoints: EndpointStore,
        health_monitor: EndpointHealthMonitor,
        sender: Sender,
        *,
        schedule: RetryPolicy,
        caps: Caps,
        shares: AttemptShares,
        clock: Clock,
    ) -> None:
        self._deliveries = deliveries
        self._tenants = tenants
        self._endpoints = endpoints
        self._health_monitor = health_monitor
        self._sender = sender
        self._schedule = schedule
        self._caps = caps
        self._shares = shares
        self._clock = clock
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        claim = await self._deliveries.claim(
            now=self._clock(), most=most, lease=LEASE, caps=self._caps, capacity=self._shares.capacity
        )
        self._shares.begin(claim.taken)
        return claim

    async def attempt(self, item: Claimed) -> bool:
        """Make one attempt under the lease. Return whether another delivery may be claimed since."""
        try:
            return await self._attempt(item)
        finally:
            self._shares.end(item)

    async def _attempt(self, item: Claimed) -> bool:
        prepared = await self._prepare(item.id)
        if prepared is None:
            return True
        if isinstance(prepared, Unsendable):
            buried = prepared.delivery.dead_lettered()
            metrics.tenant_series(metrics.WEBHOOKS_DEAD_LETTERED, buried.tenant_id).inc()
            return (await self._save(buried, "")).more
        with _traced(prepared.delivery) as span:
            response = await self._post(prepared, span)
            attempt = replace(_record(response, prepared.at), traceparent=span.traceparent)
            gone = _says_gone(response) and await self._has_same_url(prepared.endpoint)
            after = self._decide(prepared.delivery, attempt, response, gone=gone)
            span.annotate(status=after.status, outcome=attempt.error or str(attempt.status))
        self._report(after)
        written = await self._save(after, _verdict(response))
        if prepared.endpoint is not None:
            await self._follow_up(prepared.endpoint, written, gone=gone)
        return written.more

    async def _post(self, prepared: Prepared, span: tracing.Span) -> ReceiverResponse | NoReceiverResponse:
        """Send the request with a ``traceparent``: this attempt's, or without tracing the one of the create call."""
        parent = span.traceparent or prepared.delivery.traceparent
        headers = prepared.headers if parent is None else {**prepared.headers, "traceparent": parent}
        with lookups_of(prepared.delivery.tenant_id):
            return await self._sender.post(prepared.delivery.url, headers=headers, body=prepared.body)

    async def _save(self, after: Delivery, verdict: Verdict) -> Written:
        return await self._deliveries.save_attempt(after, now=self._clock(), verdict=verdict)

    async def _prepare(self, delivery_id: str) -> Prepared | Unsendable | None:
        delivery = await self._deliveries.load(delivery_id)
        if delivery is None or delivery.status is not DeliveryStatus.PENDING:
            return None  # purged or delivered meanwhile; the same script removed it from its endpoint's queue
        log.bind(
            generation_id=delivery.generation_id, tenant=delivery.tenant_id, **tracing.log_fields(delivery.traceparent)
        )
        if delivery.endpoint_id is None:
            return await self._for_request(delivery)
        endpoint = await self._endpoints.load(delivery.tenant_id, delivery.endpoint_id)
        if endpoint is None:
            return await self._without_endpoint(delivery)
        if endpoint.disabled is not None:
            return Unsendable(delivery)
        return self._signed(replace(delivery, url=endpoint.url), endpoint, endpoint.signing(self._clock()))

    async def _for_request(self, delivery: Delivery) -> Prepared | None:
        tenant = await self._tenants.load(delivery.tenant_id)
        if tenant is not None and delivery.style == "fal" and delivery.generation_id is not None:
            private = tenant.fal_signing_key or await self._tenants.fal_signing_key(tenant.id)
            if private is not None:
                return self._signed_as_fal(delivery, delivery.generation_id, private)
        elif tenant is not None:
            prepared = self._signed(delivery, None, tenant.signing(self._clock()))
            return self._signed_as_openrouter(prepared, tenant) if delivery.style == "openrouter" else prepared
        await self._deliveries.delete(
            delivery.tenant_id, [delivery.id]
        )  # the tenant was deleted, and its secret with it
        return None

    async def _without_endpoint(self, delivery: Delivery) -> Unsendable | None:
        if await self._tenants.load(delivery.tenant_id) is not None:
            return Unsendable(delivery)
        await self._deliveries.delete(delivery.tenant_id, [delivery.id])
        return None

    def _signed(self, delivery: Delivery, endpoint: Endpoint | None, keys: tuple[SigningKey, ...]) -> Prepared:
        now, body = self._clock(), self._endpoints.body_of(delivery).encode()
        headers = {
            **({} if endpoint is None else endpoint.headers),
            "content-type": "application/json",
            **signed_headers(keys, delivery.id, body, now),
        }
        return Prepared(delivery, endpoint, headers, body, now)

    def _signed_as_fal(self, delivery: Delivery, generation_id: str, private: str) -> Prepared:
        now, body = self._clock(), delivery.body.encode()
        headers = {
            "content-type": "application/json",
            **fal_headers(private, generation_id, delivery.tenant_id, body, now),
        }
        return Prepared(delivery, None, headers, body, now)

    def _signed_as_openrouter(self, prepared: Prepared, tenant: Tenant) -> Prepared:
        """Add OpenRouter's headers to those of Standard Webhooks, which both sign the same bytes."""
        headers = openrouter_headers(tenant.signing(prepared.at), prepared.delivery.id, prepared.body, prepared.at)
        return replace(prepared, headers={**prepared.headers, **headers})

    async def _has_same_url(self, endpoint: Endpoint | None) -> bool:
        """Return False if the tenant has changed the URL meanwhile: the response concerns the old URL only."""
        if endpoint is None:
            return True
        current = await self._endpoints.load(endpoint.tenant_id, endpoint.id)
        return current is None or current.url == endpoint.url

    def _decide(
        self, delivery: Delivery, attempt: Attempt, response: ReceiverResponse | NoReceiverResponse, *, gone: bool
    ) -> Delivery:
        if _is_success(response):
            return delivery.delivered(attempt)
        if gone:
            return delivery.dead(attempt)
        wait = self._schedule.next(delivery.attempts_in_round + 1)
        if wait is None:
            return delivery.dead(attempt)
        if isinstance(response, ReceiverResponse) and response.status in _BUSY and response.retry_after is not None:
            wait = max(wait, min(response.retry_after, self._schedule.delays[-1]))
        return delivery.postponed(attempt, self._clock() + wait)  # the wait begins at the end of the attempt

    async def _follow_up(self, endpoint: Endpoint, written: Written, *, gone: bool) -> None:
        """Update the health of the endpoint."""
        if not written.won:
            return
        if gone:
            await self._health_monitor.gone(endpoint, self._clock())
        else:
            await self._health_monitor.note(endpoint, written.health, self._clock())

    def _report(self, delivery: Delivery) -> None:
        attempt = delivery.attempts[-1]
        outcome = delivery.status if delivery.status is not DeliveryStatus.PENDING else "failed"
        metrics.WEBHOOK_ATTEMPTS.labels(outcome).inc()
        metrics.WEBHOOK_SECONDS.observe(attempt.latency_ms / 1000)
        # The series exists from the first attempt on.
        dead_lettered = metrics.tenant_series(metrics.WEBHOOKS_DEAD_LETTERED, delivery.tenant_id)
        dead_lettered.inc(delivery.status is DeliveryStatus.DEAD)
        self._log.info(
            "webhook_attempt",
            delivery_id=delivery.id,
            endpoint_id=delivery.endpoint_id,
            generation_id=delivery.generation_id,
            tenant=delivery.tenant_id,
            outcome=outcome,
            attempt=delivery.total_attempts,
            status=attempt.status,
            error=attempt.error,
            latency_ms=attempt.latency_ms,
        )


def _traced(delivery: Delivery) -> tracing.Span:
    """Return a span in the generation's trace, linked to the previous attempt."""
    return tracing.span(
        "webhook.attempt",
        parent=delivery.traceparent,
        kind="client",
        link=delivery.attempts[-1].traceparent if delivery.attempts else None,
        delivery=delivery.id,
        generation=delivery.generation_id,
        tenant=delivery.tenant_id,
        attempt=delivery.total_attempts + 1,
    )


def _is_success(response: ReceiverResponse | NoReceiverResponse) -> bool:
    return isinstance(response, ReceiverResponse) and 200 <= response.status < 300


def _verdict(response: ReceiverResponse | NoReceiverResponse) -> Verdict:
    if not _is_success(response):
        return "bad"
    return "good" if response.latency <= _PROVEN_WITHIN else "slow"


def _says_gone(response: ReceiverResponse | NoReceiverResponse) -> bool:
    return isinstance(response, ReceiverResponse) and response.status == _GONE


def _record(response: ReceiverResponse | NoReceiverResponse, at: datetime) -> Attempt:
    latency = round(response.latency / timedelta(milliseconds=1))
    match response:
        case ReceiverResponse(status=status, body=body):
            return Attempt(at=at, latency_ms=latency, status=status, answer=body)
        case NoReceiverResponse(error=error, detail=detail):
            return Attempt(at=at, latency_ms=latency, error=error, answer=detail)
