"""Runtime of a process: its connections, its stores, and its use cases grouped by noun."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from service.clock import StoreClock, SystemClock
from service.config.settings import Settings
from service.domain.tenant import Limits
from service.runtime.connections import Connections, open_connections
from service.runtime.consumers import WorkQueues
from service.runtime.core import Core, build_core
from service.runtime.generations import GenerationServices, build_generations
from service.runtime.openid import openid_logins
from service.runtime.operations import OperationServices, build_operations
from service.runtime.stores import Stores
from service.store.redis.client import Redis
from service.usecases.console.identity import Identities
from service.usecases.console.login import ConsoleLogin
from service.usecases.console.sessions import ConsoleSessions
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.operations import metric_series
from service.usecases.operations.series_expiry import SeriesExpiry
from service.usecases.operators.authentication import OperatorAuthenticator
from service.usecases.operators.operators import Operators
from service.usecases.tenants.access_tickets import AccessTickets
from service.usecases.tenants.api_keys import ApiKeys
from service.usecases.tenants.authentication import Authenticator
from service.usecases.tenants.end_users import EndUsers
from service.usecases.tenants.key_sets import KeySets
from service.usecases.tenants.open_calls import OpenCalls
from service.usecases.tenants.overview import Overviews
from service.usecases.tenants.read_limiter import ReadLimiter
from service.usecases.tenants.tenants import Tenants
from service.usecases.tenants.token_authentication import TokenAuthenticator
from service.usecases.tenants.trusted_issuers import TrustedIssuers
from service.usecases.tenants.usage import Usage
from service.usecases.tenants.usage_reports import UsageReports
from service.usecases.trail.pages import TrailPages
from service.usecases.trail.trail import Trail
from service.usecases.trail.verification import TrailVerification
from service.usecases.webhooks.endpoints import Endpoints
from service.usecases.webhooks.operator_deliveries import OperatorDeliveries
from service.usecases.webhooks.recipients import RecipientService
from service.usecases.webhooks.redelivery import DeliveryService

if TYPE_CHECKING:  # Authlib is loaded where a login by OpenID Connect is set up
    from service.usecases.operators.openid import OpenIdLogins


@dataclass(frozen=True, slots=True)
class TenantServices:
    """Tenants with their API keys, end users and usage."""

    service: Tenants
    api_keys: ApiKeys
    authenticator: Authenticator
    end_users: EndUsers
    usage: Usage
    usage_reports: UsageReports
    open_calls: OpenCalls
    overviews: Overviews
    access_tickets: AccessTickets
    trusted_issuers: TrustedIssuers
    key_sets: KeySets


@dataclass(frozen=True, slots=True)
class WebhookServices:
    """Webhook endpoints, and the list and replay of deliveries."""

    endpoints: Endpoints
    deliveries: DeliveryService
    all_deliveries: OperatorDeliveries
    """Of all tenants, for operators."""
    recipients: RecipientService


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """Login and sessions of people."""

    login: ConsoleLogin
    sessions: ConsoleSessions


@dataclass(frozen=True, slots=True)
class OperatorServices:
    """Operators and their authentication."""

    service: Operators
    authenticator: OperatorAuthenticator
    openid: "OpenIdLogins | None"
    """None: no issuer is set."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that a process needs, open."""

    settings: Settings
    connections: Connections
    stores: Stores
    transitions: TransitionService
    generations: GenerationServices
    tenants: TenantServices
    webhooks: WebhookServices
    operations: OperationServices
    operators: OperatorServices
    trail: Trail
    trail_pages: TrailPages
    chain: TrailVerification
    console: ConsoleServices
    queues: WorkQueues

    @property
    def redis(self) -> Redis:
        return self.connections.redis

    @property
    def clock(self) -> StoreClock:
        return self.connections.clock


@asynccontextmanager
async def open_runtime(settings: Settings, *, clock: Callable[[], datetime] | None = None) -> AsyncIterator[Runtime]:
    """Open connections, build stores and use cases, close all in reverse order.

    ``clock``: local time, which Redis corrects; by default this machine's.
    """
    metric_series.begin()
    async with open_connections(settings, clock or SystemClock()) as connections:
        runtime = _build(build_core(settings, connections))
        try:
            async with runtime.generations.refusals.flushing(), SeriesExpiry(runtime.stores.tenants).checking():
                yield runtime
        finally:
            await runtime.tenants.key_sets.close()
            await runtime.queues.close()
            if runtime.operators.openid is not None:
                await runtime.operators.openid.close()


def _build(core: Core) -> Runtime:
    settings, connections, stores, clock = core.settings, core.connections, core.stores, core.clock
    tenants = Tenants(stores.tenants, stores.endpoints, default_limits=_default_limits(settings), clock=clock)
    reads = ReadLimiter(per_request=settings.reads_per_request, per_tenant=settings.reads_per_tenant, clock=clock)
    key_sets = KeySets(connections.key_sets, clock=clock)
    tokens = TokenAuthenticator(stores.trusted_issuers, key_sets, leeway=settings.jwt_leeway, clock=clock)
    authenticator = Authenticator(stores.api_keys, tokens, stores.rates, reads, clock=clock)
    generations, operators, webhooks = build_generations(core), _operators(core), _webhooks(core, tenants)
    return Runtime(
        settings=settings,
        connections=connections,
        stores=stores,
        transitions=core.transitions,
        generations=generations,
        tenants=TenantServices(
            service=tenants,
            api_keys=ApiKeys(stores.api_keys, tenants, clock=clock),
            authenticator=authenticator,
            end_users=EndUsers(stores.end_users, stores.end_user_lists, core.erasure_jobs, core.reads, clock=clock),
            usage=Usage(stores.usage, stores.usage_rows, stores.money, core.reads, clock=clock),
            usage_reports=core.usage_reports,
            open_calls=OpenCalls(authenticator),
            overviews=Overviews(stores.overviews, generations.queue_estimator, clock=clock),
            trusted_issuers=TrustedIssuers(stores.trusted_issuers, tenants, key_sets, clock=clock),
            key_sets=key_sets,
            access_tickets=AccessTickets(stores.ticket_sealer, clock=clock),
        ),
        webhooks=webhooks,
        operations=build_operations(core, tenants, operators.service, generations.canceller),
        operators=operators,
        trail=core.trail,
        trail_pages=TrailPages(core.stores.trail_reader),
        chain=core.chain,
        console=_console(core, authenticator, operators.authenticator),
        queues=WorkQueues(core),
    )


def _default_limits(settings: Settings) -> Limits:
    return Limits(
        requests_per_minute=settings.default_requests_per_minute,
        queued_generations=settings.default_queued_generations,
        concurrent_generations=settings.default_concurrent_generations,
        daily_generations=settings.default_daily_generations,
        daily_new_end_users=settings.default_daily_new_end_users,
        stored_deliveries=settings.default_stored_deliveries,
        undelivered_tests=settings.default_undelivered_tests,
        webhook_endpoints=settings.default_webhook_endpoints,
        monthly_budget=_micro(settings.default_monthly_budget_usd),
        end_user_daily_budget=_micro(settings.default_end_user_daily_budget_usd),
        end_user_daily_count=settings.default_end_user_daily_count,
    )


def _micro(dollars: Decimal | None) -> int | None:
    return None if dollars is None else int(dollars * 1_000_000)


def _webhooks(core: Core, tenants: Tenants) -> WebhookServices:
    settings, connections, stores, clock = core.settings, core.connections, core.stores, core.clock
    return WebhookServices(
        endpoints=Endpoints(
            stores.endpoints,
            tenants,
            connections.sender,
            connections.nudger,
            retention=settings.retention,
            disable_after=settings.webhook_disable_after,
            clock=clock,
        ),
        deliveries=core.deliveries,
        all_deliveries=OperatorDeliveries(
            stores.deliveries,
            stores.delivery_log,
            stores.endpoints,
            stores.receivers,
            stores.generations,
            core.deliveries,
            tenants,
            clock=clock,
        ),
        recipients=RecipientService(stores.endpoints),
    )


def _operators(core: Core) -> OperatorServices:
    store, token = core.stores.operators, core.settings.admin_token
    admin_token = None if token is None else token.get_secret_value()
    return OperatorServices(
        service=Operators(store, has_admin_token=token is not None, clock=core.clock),
        authenticator=OperatorAuthenticator(store, admin_token=admin_token, clock=core.clock),
        openid=openid_logins(core),
    )


def _console(core: Core, authenticator: Authenticator, operators: OperatorAuthenticator) -> ConsoleServices:
    settings = core.settings
    identities = Identities(
        authenticator, operators, admin_token=settings.admin_token, secret_key=settings.secret_keys()[0]
    )
    return ConsoleServices(
        login=ConsoleLogin(core.stores.console_logins, identities, clock=core.clock),
        sessions=ConsoleSessions(core.stores.console_sessions, identities, core.trail, clock=core.clock),
    )
