"""Endpoint health: warnings in stages to the tenant of an endpoint that keeps failing, then its disabling."""

from datetime import datetime, timedelta

from service.domain.generation_view import rfc3339
from service.domain.webhook import EventType
from service.domain.webhook_endpoint import STAGES, Endpoint, Health, Reason
from service.domain.webhook_endpoint_view import FailingView
from service.observability import log, metrics
from service.store.tenants.tenants import TenantStore
from service.store.webhooks.endpoints import EndpointStore, FailureStage
from service.tasks import Nudger
from service.usecases.conflicts import LOST, Lost, retry_on_conflict
from service.usecases.webhooks.fanout import endpoint_events


class EndpointHealthMonitor:
    def __init__(self, endpoints: EndpointStore, tenants: TenantStore, nudger: Nudger, *, retention: timedelta) -> None:
        """``retention``: how long events are stored, unless their tenant has its own limit."""
        self._endpoints = endpoints
        self._tenants = tenants
        self._nudger = nudger
        self._retention = retention
        self._log = log.get(__name__)

    async def note(self, endpoint: Endpoint, health: Health, now: datetime) -> None:
        """After a failed attempt, publish the stage that the endpoint has reached. Each stage is published once."""
        stage = health.stage()
        if stage is None or health.failing_since is None:
            return
        if stage == STAGES[-1]:
            await self._disable(endpoint, "failing", now, health)
        elif await self._announce(endpoint, EventType.FAILING, now, stage=stage, health=health):
            metrics.tenant_series(metrics.ENDPOINT_WARNINGS, endpoint.tenant_id, str(stage)).inc()
            self._log.warning("endpoint_failing", tenant=endpoint.tenant_id, endpoint_id=endpoint.id, percent=stage)

    async def gone(self, endpoint: Endpoint, now: datetime) -> None:
        """Disable an endpoint whose receiver wants no more events."""
        await self._disable(endpoint, "gone", now, Health())

    async def _disable(self, endpoint: Endpoint, reason: Reason, now: datetime, health: Health) -> None:
        if await self._announce(endpoint, EventType.DISABLED, now, stage=STAGES[-1], health=health, disable=reason):
            metrics.tenant_series(metrics.ENDPOINTS_DISABLED, endpoint.tenant_id, reason).inc()
            self._log.warning("endpoint_disabled", tenant=endpoint.tenant_id, endpoint_id=endpoint.id, reason=reason)

    async def _announce(
        self,
        endpoint: Endpoint,
        kind: EventType,
        now: datetime,
        *,
        stage: int,
        health: Health,
        disable: Reason | None = None,
    ) -> bool:
        since = health.failing_since
        failing: FailingView | None = (
            None if since is None else {"since": rfc3339(since), "attempts": health.failures, "percent": stage}
        )
        tenant = await self._tenants.load(endpoint.tenant_id)
        if tenant is None:
            return False

        async def attempt() -> bool | Lost:
            endpoints = await self._endpoints.of_tenant(endpoint.tenant_id)
            current = next((each for each in endpoints if each.id == endpoint.id), None)
            if current is None or current.disabled is not None:
                return False
            if current.url != endpoint.url:
                return False  # its URL was changed meanwhile: the failures concern the old URL only
            after = current if disable is None else current.disabled_for(disable, now)
            announced = await self._endpoints.announce(
                current,
                endpoint_events(after, kind, endpoints, now, failing),
                now=now,
                retention=tenant.limits.retention or self._retention,
                stage=FailureStage(stage, since, None if disable is None else after),
            )
            self._nudger.nudge_all(announced.nudges)
            return True if announced.won else LOST

        return await retry_on_conflict(attempt) is True  # after too many lost races, the next failure warns
