"""``doctor``: checks every part that a deployment depends on. Each failed check names what to do."""

import os
from typing import Final

from celery import Celery

from service.clock import Clock
from service.config.settings import Settings
from service.errors import StoreUnavailable
from service.store.gate.gate import GateStore
from service.store.redis import health
from service.store.redis.client import Redis
from service.store.state.heartbeats import HeartbeatStore
from service.upstream.client import FalClient
from service.usecases.operations.doctor import limits, outside, processes, secrecy, server, variables
from service.usecases.operations.doctor.finding import CheckStatus, Finding, fail, ok
from service.usecases.tenants.tenants import Tenants

__all__ = ["CheckStatus", "Doctor", "Finding"]

_REDIS_REMEDY: Final = "Check GATEWAY_REDIS_URL, Redis, and the network between."


class Doctor:
    """Runs the checks. They write nothing but one key that expires."""

    def __init__(
        self,
        settings: Settings,
        redis: Redis,
        heartbeats: HeartbeatStore,
        gate: GateStore,
        tenants: Tenants,
        fal: FalClient,
        broker: Celery,
        *,
        clock: Clock,
        wall: Clock,
    ) -> None:
        """``wall``: the clock of this machine, without the correction by Redis' clock."""
        self._settings = settings
        self._redis = redis
        self._heartbeats = heartbeats
        self._gate = gate
        self._tenants = tenants
        self._fal = fal
        self._broker = broker
        self._clock = clock
        self._wall = wall

    async def run(self) -> list[Finding]:
        """Return a finding for each check, in the order in which to fix them."""
        try:
            findings = await self._checks_of_redis()
        except StoreUnavailable as error:
            findings = [fail("redis", error.detail, _REDIS_REMEDY)]
        return [
            *findings,
            await processes.broker(self._broker),
            await outside.fal_key(self._fal),
            await outside.public_url(self._settings.public_url),
            variables.settings(os.environ),
            secrecy.admin_token(self._settings),
            secrecy.webhook_networks(self._settings),
        ]

    async def _checks_of_redis(self) -> list[Finding]:
        """Run the checks that need Redis."""
        state = (await health.check(self._redis))["redis"]
        if state != "ok":
            return [fail("redis", state, _REDIS_REMEDY)]
        info = await health.info(self._redis)
        heartbeats, now = await self._heartbeats.read(), self._clock()
        return [
            ok("redis", "reachable and writable"),
            server.version(info),
            await server.durability(self._redis, info),
            server.eviction(info),
            server.memory(self._redis, info),
            server.replicas(info, self._settings),
            await server.clock_skew(self._redis, self._wall),
            await server.scripts(self._redis),
            processes.beat(heartbeats, now),
            *processes.workers(heartbeats, now),
            processes.worker_clocks(await self._heartbeats.skews(heartbeats)),
            processes.dispatch(await self._gate.read()),
            await secrecy.secret_key(self._tenants),
            *await limits.limits(self._settings, self._tenants),
        ]
