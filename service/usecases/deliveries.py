"""Webhook deliveries in named phases: prepare -> post -> record -> decide."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service import log, metrics
from service.domain.drain import Drain
from service.domain.retry import RetryPolicy
from service.domain.tenant import Tenant
from service.domain.webhook import Attempt, Delivery, DeliveryStatus, signed_headers
from service.fal.signing import WebhookSigner
from service.store.deliveries import DeliveryStore
from service.store.due import Claim, Claimed, DueStore
from service.store.tenants import TenantStore
from service.usecases.moves import Clock
from service.webhooks.sender import Answer, NoAnswer, Sender

_GONE = 410  # the receiver asks not to be called again
_BUSY = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything one POST needs; the body's bytes are the same at every attempt."""

    delivery: Delivery
    headers: dict[str, str]
    body: bytes
    at: datetime


class Deliveries:
    def __init__(
        self,
        deliveries: DeliveryStore,
        tenants: TenantStore,
        due: DueStore,
        sender: Sender,
        fal_signer: WebhookSigner,
        *,
        schedule: RetryPolicy,
        timeout: timedelta,
        retention: timedelta,
        clock: Clock,
    ) -> None:
        self._deliveries = deliveries
        self._tenants = tenants
        self._due = due
        self._sender = sender
        self._fal_signer = fal_signer
        self._schedule = schedule
        self._lease = timeout + timedelta(seconds=30)
        self._retention = retention
        self._clock = clock
        self._log = log.get(__name__)

    async def claim(self, most: int) -> Claim:
        return await self._due.claim(Drain.DELIVER, now=self._clock(), most=most, lease=self._lease)

    async def attempt(self, item: Claimed) -> None:
        """One attempt of one delivery; the lease keeps every other worker off it."""
        prepared = await self._prepare(item.id)
        if prepared is None:
            await self._due.drop(Drain.DELIVER, item.id)
            return
        answer = await self._sender.post(prepared.delivery.url, headers=prepared.headers, body=prepared.body)
        after = self._decide(prepared.delivery, _record(answer, prepared.at), answer)
        self._tell(after)
        await self._deliveries.save_attempt(after, retention=self._retention)

    async def _prepare(self, delivery_id: str) -> Prepared | None:
        delivery = await self._deliveries.load(delivery_id)
        if delivery is None or delivery.status is not DeliveryStatus.PENDING:
            return None
        tenant = await self._tenants.load(delivery.tenant_id)
        if tenant is None:
            await self._deliveries.delete([delivery_id])  # deleted; nobody is left to sign for
            return None
        now, body = self._clock(), delivery.body.encode()
        headers = self._signature(delivery, tenant, body, now)
        return Prepared(delivery, {"content-type": "application/json", **headers}, body, now)

    def _signature(self, delivery: Delivery, tenant: Tenant, body: bytes, now: datetime) -> dict[str, str]:
        if delivery.style == "fal":
            return self._fal_signer.headers(delivery.generation_id, tenant.id, body, now)
        return signed_headers(tenant.webhook_secret, delivery.id, body, now)

    def _decide(self, delivery: Delivery, attempt: Attempt, answer: Answer | NoAnswer) -> Delivery:
        if isinstance(answer, Answer) and 200 <= answer.status < 300:
            return delivery.delivered(attempt)
        if isinstance(answer, Answer) and answer.status == _GONE:
            return delivery.dead(attempt)
        wait = self._schedule.next(len(delivery.attempts) + 1)
        if wait is None:
            return delivery.dead(attempt)
        if isinstance(answer, Answer) and answer.status in _BUSY and answer.retry_after is not None:
            wait = max(wait, min(answer.retry_after, self._schedule.delays[-1]))
        return delivery.postponed(attempt, attempt.at + wait)

    def _tell(self, delivery: Delivery) -> None:
        attempt = delivery.attempts[-1]
        outcome = delivery.status if delivery.status is not DeliveryStatus.PENDING else "failed"
        metrics.WEBHOOK_ATTEMPTS.labels(outcome).inc()
        metrics.WEBHOOK_SECONDS.observe(attempt.latency_ms / 1000)
        self._log.info(
            "webhook attempt",
            delivery_id=delivery.id,
            generation_id=delivery.generation_id,
            tenant=delivery.tenant_id,
            outcome=outcome,
            attempt=len(delivery.attempts),
            status=attempt.status,
            error=attempt.error,
            latency_ms=attempt.latency_ms,
        )


def _record(answer: Answer | NoAnswer, at: datetime) -> Attempt:
    latency = round(answer.latency / timedelta(milliseconds=1))
    match answer:
        case Answer(status=status, body=body):
            return Attempt(at=at, latency_ms=latency, status=status, answer=body)
        case NoAnswer(error=error, detail=detail):
            return Attempt(at=at, latency_ms=latency, error=error, answer=detail)
