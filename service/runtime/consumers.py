"""Consumers of the work queues, with the use case behind each."""

import asyncio
from functools import partial

from service.domain.retry import RetryPolicy
from service.domain.work_queue import WorkQueue
from service.media.clips.measurer import Measurer
from service.media.decoder_slots import DecoderSlots
from service.runtime.core import Core
from service.store.queues.leases import LeaseStore
from service.store.webhooks.deliveries import Caps
from service.tasks import Nudger
from service.usecases.generations.byte_limits import ByteLimiter
from service.usecases.lifecycle.chores import Chores
from service.usecases.lifecycle.clip_preflight import ClipPreflight
from service.usecases.lifecycle.consumer import Consumer
from service.usecases.lifecycle.dispatch import Dispatch
from service.usecases.lifecycle.jobs import Jobs
from service.usecases.lifecycle.leases import LeaseKeeper
from service.usecases.lifecycle.poller import Poller
from service.usecases.lifecycle.preflight import Preflight
from service.usecases.lifecycle.price_monitor import PriceMonitor
from service.usecases.lifecycle.reconciliation import Reconciliation
from service.usecases.lifecycle.sweeper import DeadlineSweeper
from service.usecases.lifecycle.video_copier import VideoCopier
from service.usecases.operations.budget_sampler import BudgetSampler
from service.usecases.operations.search_index import SearchIndexer
from service.usecases.operations.storage_sampler import StorageSampler
from service.usecases.webhooks.attempt_shares import AttemptShares
from service.usecases.webhooks.delivery import DeliveryWorker
from service.usecases.webhooks.endpoint_health import EndpointHealthMonitor

#: Concurrent submits in one process. fal bounds the time of each by its own timeout only.
_SUBMITS = 100
#: Concurrent polls in one process. The client has connections for a third of them.
_POLLS = 100
_SWEEPS = 50


class WorkQueues:
    """Work queues of this process: the use case behind each, and its consumer."""

    def __init__(self, core: Core) -> None:
        self._settings = settings = core.settings
        self._nudger: Nudger = core.connections.nudger
        self.endpoint_health = EndpointHealthMonitor(
            core.stores.endpoints, core.stores.tenants, core.connections.nudger, retention=settings.retention
        )
        self.video_copier = _video_copier(core)
        self.dispatch = _dispatch(core)
        self.poller = _poller(core, self.video_copier)
        self.delivery_worker = _delivery_worker(core, self.endpoint_health)
        self.chores = _chores(core)
        self.sweeper = _sweeper(core, self.chores)
        make = partial(Consumer, may_claim=core.clock.may_claim, keep=partial(_leases, core))
        dispatch, poller, deliveries, sweeper = self.dispatch, self.poller, self.delivery_worker, self.sweeper
        consumers = (
            make(WorkQueue.DISPATCH, dispatch.claim, dispatch.submit, capacity=_SUBMITS),
            make(WorkQueue.POLL, poller.claim, poller.poll, capacity=_POLLS),
            make(WorkQueue.DELIVER, deliveries.claim, deliveries.attempt, capacity=settings.webhook_concurrency),
            make(WorkQueue.SWEEP, sweeper.claim, sweeper.sweep, capacity=_SWEEPS),
        )
        self.consumers: dict[WorkQueue, Consumer] = {consumer.work_queue: consumer for consumer in consumers}

    async def run(self, work_queue: WorkQueue) -> None:
        """Claim what is due once. The work continues in the background."""
        await self.consumers[work_queue].run()

    def serve(self, work_queue: WorkQueue) -> None:
        """Claim in the background. Nudges of this process then reach its consumer without a message.

        While Redis is unavailable, the next call tries again.
        """
        consumer = self.consumers[work_queue]
        self._nudger.serve(work_queue, consumer.claim_soon)
        consumer.claim_soon()

    async def close(self) -> None:
        """Stop claiming and wait for running work, each queue up to its grace."""
        await asyncio.gather(*(consumer.close(self._grace(queue)) for queue, consumer in self.consumers.items()))

    def _grace(self, work_queue: WorkQueue) -> float:
        settings = self._settings
        grace = settings.submit_grace if work_queue is WorkQueue.DISPATCH else settings.shutdown_grace
        return grace.total_seconds()


def _leases(core: Core, work_queue: WorkQueue) -> LeaseKeeper:
    return LeaseKeeper(LeaseStore(core.connections.redis, work_queue), clock=core.clock)


def _dispatch(core: Core) -> Dispatch:
    settings, stores = core.settings, core.stores
    return Dispatch(
        stores.queue,
        stores.callbacks,
        core.transitions,
        core.connections.fal,
        core.gate,
        _preflight(core),
        clock=core.clock,
        slots=settings.upstream_concurrency,
        ramp=stores.ramp,
        refusals=settings.submit_refusals,
        public_url=settings.public_url,
    )


def _preflight(core: Core) -> Preflight | None:
    settings = core.settings
    if not settings.preflight:
        return None
    return Preflight(
        core.stores.generations,
        core.transitions,
        core.connections.image_probe,
        core.connections.fal_hosts,
        ClipPreflight(
            core.connections.image_probe,
            core.connections.fal_hosts,
            Measurer(DecoderSlots()),
            core.stores.measurements,
            ByteLimiter("disk", total=settings.upload_disk, tenant=settings.upload_tenant_disk),
            core.connections.models.known,
            timeout=settings.preflight_files_timeout,
        ),
        core.connections.models.known,
        most_bytes=settings.max_upload_bytes,
        most_pixels=settings.max_image_pixels,
        timeout=settings.preflight_timeout,
        clock=core.clock,
    )


def _poller(core: Core, video_copier: VideoCopier) -> Poller:
    stores = core.stores
    return Poller(
        stores.generations,
        stores.callbacks,
        stores.due,
        core.transitions,
        core.connections.fal,
        core.gate,
        video_copier,
        core.schedule,
        core.pacer,
        price_monitor=PriceMonitor(stores.prices, core.prices),
        prices=core.prices,
        clock=core.clock,
    )


def _video_copier(core: Core) -> VideoCopier:
    return VideoCopier(
        core.stores.generations,
        core.transitions,
        core.connections.fal_files,
        core.connections.video_store,
        public_url=core.settings.public_url,
        timeout=core.settings.media_timeout,
        clock=core.clock,
    )


def _delivery_worker(core: Core, endpoint_health: EndpointHealthMonitor) -> DeliveryWorker:
    settings, stores = core.settings, core.stores
    return DeliveryWorker(
        stores.deliveries,
        stores.tenants,
        stores.endpoints,
        endpoint_health,
        core.connections.sender,
        schedule=RetryPolicy(settings.webhook_schedule),
        caps=Caps(receiver=settings.webhook_receiver_concurrency, unproven=settings.webhook_unproven_concurrency),
        shares=AttemptShares(
            settings.webhook_concurrency,
            tenant_share=settings.webhook_tenant_share,
            unproven_share=settings.webhook_unproven_share,
        ),
        clock=core.clock,
    )


def _sweeper(core: Core, chores: Chores) -> DeadlineSweeper:
    stores = core.stores
    return DeadlineSweeper(
        stores.generations,
        stores.deliveries,
        stores.due,
        stores.submissions,
        core.connections.video_store,
        core.transitions,
        core.schedule,
        _reconciliation(core),
        Jobs(core.erasure_jobs, core.usage_reports, core.bulk_jobs, core.audit_jobs),
        chores,
        clock=core.clock,
    )


def _chores(core: Core) -> Chores:
    stores, clock = core.stores, core.clock
    return Chores(
        stores.queue,
        stores.submissions,
        core.schedule,
        core.trail,
        core.chain,
        StorageSampler(stores.stored_bytes, clock=clock),
        BudgetSampler(stores.budget_shares, clock=clock, waiting=stores.waiting_tenants),
        SearchIndexer(stores.indexing, clock=clock),
        clock=clock,
    )


def _reconciliation(core: Core) -> Reconciliation | None:
    """None without an admin key: fal's billing API refuses any other key."""
    if core.connections.fal_billing is None:
        return None
    return Reconciliation(
        core.connections.fal_billing,
        core.stores.generations,
        core.stores.submissions,
        core.transitions,
        core.connections.models,
        core.prices,
        every=core.settings.reconcile_every,
        upstream_deadline=core.settings.upstream_deadline,
        clock=core.clock,
    )
