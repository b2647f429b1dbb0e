"""Stores over Redis."""

from service.config.settings import Settings
from service.domain.dispatch_gate import Ramp
from service.domain.webhook_endpoint import Patience
from service.store.bulk.bulk_jobs import BulkJobStore
from service.store.console.logins import ConsoleLoginStore
from service.store.console.sessions import ConsoleSessionStore
from service.store.gate.gate import GateStore
from service.store.generations.callbacks import CallbackStore
from service.store.generations.generations import GenerationStore
from service.store.generations.in_flight import InFlightStore
from service.store.generations.indexing import IndexingStore
from service.store.generations.measurements import MeasurementStore
from service.store.generations.read import GenerationReader
from service.store.generations.response_receipts import ResponseReceiptStore
from service.store.generations.submissions import SubmissionStore
from service.store.money.adjustments import AdjustmentStore
from service.store.money.audits import AuditStore
from service.store.money.budget_shares import BudgetShareStore
from service.store.money.ledger_lines import LedgerLines
from service.store.money.money import MoneyStore
from service.store.money.prices import PriceStore
from service.store.money.refusals import RefusalStore
from service.store.money.usage import UsageStore
from service.store.money.usage_reports import UsageReportStore
from service.store.money.usage_rows import UsageRowStore
from service.store.operators.operators import OperatorStore
from service.store.queues.due import DueStore
from service.store.queues.tenant_queue import QueueStore
from service.store.redis.client import Redis
from service.store.state.heartbeats import HeartbeatStore
from service.store.state.status import StatusStore
from service.store.state.stored_bytes import StoredBytesStore
from service.store.tenants.api_keys import ApiKeyStore
from service.store.tenants.end_user_lists import EndUserLists
from service.store.tenants.end_users import EndUserStore
from service.store.tenants.erasures import ErasureStore
from service.store.tenants.overview import OverviewStore
from service.store.tenants.rates import RateLimiter
from service.store.tenants.sealing import Purpose, Sealer
from service.store.tenants.tenants import TenantStore
from service.store.tenants.trusted_issuers import TrustedIssuerStore
from service.store.tenants.upload_tickets import UploadTicketStore
from service.store.tenants.waiting import WaitingTenantStore
from service.store.trail.checks import TrailCheckStore
from service.store.trail.reading import TrailReader
from service.store.trail.trail import TrailStore
from service.store.webhooks.deliveries import DeliveryStore
from service.store.webhooks.delivery_log import DeliveryLog
from service.store.webhooks.endpoints import EndpointStore
from service.store.webhooks.receivers import ReceiverStore


class Stores:
    """All stores. Those for reports, lists and audits use ``reports``: by default the same client as the others."""

    def __init__(self, redis: Redis, settings: Settings, *, reports: Redis | None = None) -> None:
        reports = redis if reports is None else reports
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
        self.delivery_log = DeliveryLog(redis, self.deliveries, reports=reports)
        self.money = MoneyStore(redis)
        self.usage = UsageStore(reports)
        self.usage_rows = UsageRowStore(reports)
        self.refusals = RefusalStore(redis)
        self.budget_shares = BudgetShareStore(redis)
        self.status = StatusStore(redis)
        self.waiting_tenants = WaitingTenantStore(redis)
        self.usage_reports = UsageReportStore(reports)
        self.ledger = MoneyStore(reports)
        self.ledger_lines = LedgerLines(reports)
        self.generation_lists = GenerationReader(reports)
        self.in_flight = InFlightStore(reports)
        self.indexing = IndexingStore(redis)
        self.audits = AuditStore(redis)
        self.adjustments = AdjustmentStore(redis)
        self.prices = PriceStore(redis)
        self.end_users = EndUserStore(redis)
        self.end_user_lists = EndUserLists(reports)
        self.overviews = OverviewStore(redis)
        self.erasures = ErasureStore(redis)
        self.bulk_jobs = BulkJobStore(redis)
        self.operators = OperatorStore(redis)
        self.trail = TrailStore(redis, retention=settings.trail_retention)
        self.trail_reader = TrailReader(reports)
        self.trail_checks = TrailCheckStore(redis)
        self.rates = RateLimiter(redis)
        self.console_sessions = ConsoleSessionStore(redis)
        self.console_logins = ConsoleLoginStore(redis)
        self.heartbeats = HeartbeatStore(redis)
        self.stored_bytes = StoredBytesStore(redis)
        self.response_receipts = ResponseReceiptStore(redis)
        secret_keys = settings.secret_keys()
        self.tenants = TenantStore(redis, Sealer(secret_keys, Purpose.TENANTS))
        self.api_keys = ApiKeyStore(redis, self.tenants)
        self.trusted_issuers = TrustedIssuerStore(redis, self.tenants)
        self.endpoints = EndpointStore(redis, Sealer(secret_keys, Purpose.ENDPOINTS))
        self.receivers = ReceiverStore(redis, self.endpoints)
        self.measurements = MeasurementStore(redis)
        self.upload_tickets = UploadTicketStore(redis, Sealer(secret_keys, Purpose.UPLOAD_TICKETS))
        self.ticket_sealer = Sealer(secret_keys, Purpose.ACCESS_TICKETS)
