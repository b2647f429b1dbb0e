"""``doctor``: checks every part that a deployment depends on. Each failed check names what to do."""

import os
from typing import Final

from celery import Celery

from service.clock import Clock
from service.config.settings import Settings
from service.domain.models.registry import Registry
from service.errors import StoreUnavailable
from service.media.videos import VideoStore
from service.store.gate.gate import GateStore
from service.store.redis import health
from service.store.redis.client import Redis
from service.store.state.heartbeats import HeartbeatStore
from service.store.state.state import StateStore
from service.upstream.billing import FalBilling
from service.upstream.client import FalClient
from service.upstream.schemas import FalSchemas
from service.usecases.operations.doctor import (
    access,
    limits,
    optional,
    outside,
    processes,
    published,
    secrecy,
    server,
    undone,
    variables,
)
from service.usecases.operations.doctor.finding import CheckStatus, Finding, fail, ok
from service.usecases.operators.operators import Operators
from service.usecases.tenants.tenants import Tenants

__all__ = ["CheckStatus", "Doctor", "Finding"]

_REDIS_REMEDY: Final = "Check GATEWAY_REDIS_URL (rediss:// for TLS only), Redis, and the network between."


class Doctor:
    """Runs the checks. They write one key that expires, and an object that is deleted to the store of videos."""

    def __init__(
        self,
        settings: Settings,
        redis: Redis,
        heartbeats: HeartbeatStore,
        gate: GateStore,
        state: StateStore,
        tenants: Tenants,
        operators: Operators,
        fal: FalClient,
        broker: Celery,
        *,
        billing: FalBilling | None,
        videos: VideoStore | None,
        models: Registry,
        schemas: FalSchemas,
        clock: Clock,
        wall: Clock,
    ) -> None:
        """``wall``: the clock of this machine, without the correction by Redis' clock."""
        self._settings = settings
        self._redis = redis
        self._heartbeats = heartbeats
        self._gate = gate
        self._state = state
        self._billing = billing
        self._videos = videos
        self._models = models
        self._schemas = schemas
        self._tenants = tenants
        self._operators = operators
        self._fal = fal
        self._broker = broker
        self._clock = clock
        self._wall = wall

    async def run(self, *, models: bool = False) -> list[Finding]:
        """Return a finding for each check, in the order in which to fix them.

        ``models``: also compare the enabled models with the schemas that fal publishes.
        """
        fal_key = await outside.fal_key(self._fal)
        try:
            findings = await self._checks_of_redis(fal_accepts=fal_key.status is CheckStatus.OK)
        except StoreUnavailable as error:
            findings = [fail("redis", error.detail, _REDIS_REMEDY)]
        return [
            *findings,
            await processes.broker(self._broker),
            fal_key,
            await outside.public_url(self._settings.public_url),
            await optional.video_store(self._videos),
            await optional.billing(self._billing, self._models.default.upstream, self._clock()),
            await optional.collector(os.environ),
            variables.settings(os.environ),
            secrecy.admin_token(self._settings),
            secrecy.webhook_networks(self._settings),
            *(await published.models(self._schemas, self._models) if models else ()),
        ]

    async def _checks_of_redis(self, *, fal_accepts: bool) -> list[Finding]:
        """Run the checks that need Redis. ``fal_accepts``: fal has just accepted the key."""
        state = (await health.check(self._redis))["redis"]
        if state != "ok":
            return [fail("redis", state, _REDIS_REMEDY)]
        info = await health.info(self._redis)
        heartbeats, now = await self._heartbeats.read(), self._clock()
        workers = processes.workers(heartbeats, now)
        return [
            ok("redis", "reachable and writable"),
            server.version(info),
            server.durability(info, await health.setting(self._redis, "appendfsync")),
            server.eviction(info),
            server.memory(self._redis, info),
            server.replicas(info, self._settings),
            await server.clock_skew(self._redis, self._wall),
            await server.scripts(self._redis),
            processes.beat(heartbeats, now),
            *workers,
            processes.worker_clocks(await self._heartbeats.skews(heartbeats)),
            processes.dispatch(
                await self._gate.read(), fal_accepts=fal_accepts, is_probed=workers[0].status is CheckStatus.OK
            ),
            await secrecy.secret_key(self._tenants),
            *await access.operators(self._operators, now),
            *await limits.limits(self._settings, self._tenants),
            *undone.undone(await self._state.read(now), now),
        ]
