"""Redis, one noun each."""

from service.config.settings import Settings
from service.domain.dispatch_gate import Ramp
from service.domain.webhook_endpoint import Patience
from service.store.gate.gate import GateStore
from service.store.generations.callbacks import CallbackStore
from service.store.generations.generations import GenerationStore
from service.store.generations.in_flight import InFlightStore
from service.store.generations.response_receipts import ResponseReceiptStore
from service.store.generations.submissions import SubmissionStore
from service.store.money.adjustments import AdjustmentStore
from service.store.money.audits import AuditStore
from service.store.money.money import MoneyStore
from service.store.money.prices import PriceStore
from service.store.queues.due import DueStore
from service.store.queues.tenant_queue import QueueStore
from service.store.redis.client import Redis
from service.store.state.heartbeats import HeartbeatStore
from service.store.tenants.end_users import EndUserStore
from service.store.tenants.erasures import ErasureStore
from service.store.tenants.rates import RateLimiter
from service.store.tenants.sealing import Sealer
from service.store.tenants.tenants import TenantStore
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.delivery_log import DeliveryLog
from service.store.webhooks.endpoints import EndpointStore


class Stores:
    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.generations = GenerationStore(redis)
        self.callbacks = CallbackStore(redis)
        self.due = DueStore(redis)
        self.queue = QueueStore(redis)
        self.submissions = SubmissionStore(redis)
        self.ramp = Ramp.of(
            settings.upstream_concurrency, settings.unconfirmed_slots_share, submit_timeout=settings.fal_timeout
        )
        self.gate = GateStore(
            redis,
            failures=settings.submit_failures,
            first_probe=settings.submit_probe,
            last_probe=settings.submit_probe_longest,
            most=self.ramp.most,
        )
        self.deliveries = DeliveryStore(redis, patience=Patience(settings.webhook_disable_after))
        self.delivery_log = DeliveryLog(redis, self.deliveries)
        self.money = MoneyStore(redis)
        self.in_flight = InFlightStore(redis)
        self.audits = AuditStore(redis)
        self.adjustments = AdjustmentStore(redis)
        self.prices = PriceStore(redis)
        self.end_users = EndUserStore(redis)
        self.erasures = ErasureStore(redis)
        self.rates = RateLimiter(redis)
        self.heartbeats = HeartbeatStore(redis)
        self.answers = ResponseReceiptStore(redis)
        self.sealer = Sealer(settings.secret_keys())
        self.tenants = TenantStore(redis, self.sealer)
        self.endpoints = EndpointStore(redis, self.sealer)
