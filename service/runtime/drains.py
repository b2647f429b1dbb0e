"""The drains, each with its use case."""

from functools import partial

from service.domain.retry import RetryPolicy
from service.domain.work_queue import WorkQueue
from service.runtime.core import Core
from service.runtime.jobs import build_auditing, build_erasing
from service.store.queues.leases import LeaseStore
from service.store.webhooks.deliveries import Caps
from service.usecases.lifecycle.consumer import Consumer
from service.usecases.lifecycle.dispatch import Dispatch
from service.usecases.lifecycle.leases import LeaseKeeper
from service.usecases.lifecycle.poller import Poller
from service.usecases.lifecycle.preflight import Preflight
from service.usecases.lifecycle.price_monitor import PriceMonitor
from service.usecases.lifecycle.reconciliation import Reconciliation
from service.usecases.lifecycle.sweeper import DeadlineSweeper
from service.usecases.lifecycle.video_copier import VideoCopier
from service.usecases.webhooks.delivery import DeliveryWorker
from service.usecases.webhooks.endpoint_health import EndpointHealthMonitor
from service.webhooks.fal_signing import WebhookSigner

#: Submits under way at a time in one process; each may take as long as fal likes to.
_SUBMITS = 100
#: Polls under way at a time in one process; the client has connections for a third of them.
_POLLS = 100
_SWEEPS = 50


def build_drains(core: Core) -> dict[WorkQueue, Consumer]:
    settings, wires, stores, moves = core.settings, core.wires, core.stores, core.moves
    dispatch = Dispatch(
        stores.queue,
        stores.callbacks,
        moves,
        wires.fal,
        core.gate,
        _preflight(core),
        clock=core.clock,
        slots=settings.upstream_concurrency,
        ramp=stores.ramp,
        refusals=settings.submit_refusals,
        public_url=settings.public_url,
    )
    tracking = Poller(
        stores.generations,
        stores.callbacks,
        stores.due,
        moves,
        wires.fal,
        core.gate,
        _keeping(core),
        core.schedule,
        bills=PriceMonitor(stores.prices, rates=core.rates),
        rates=core.rates,
        clock=core.clock,
    )
    sweeping = DeadlineSweeper(
        stores.generations,
        stores.deliveries,
        stores.due,
        stores.queue,
        stores.submissions,
        wires.kept,
        moves,
        core.schedule,
        _reconciliation(core),
        build_erasing(core),
        build_auditing(core),
        clock=core.clock,
    )
    deliveries = _deliveries(core)
    make = partial(Consumer, may_claim=core.clock.may_claim, keep=partial(_leases, core))
    runners = (
        make(WorkQueue.DISPATCH, dispatch.claim, dispatch.submit, capacity=_SUBMITS),
        make(WorkQueue.POLL, tracking.claim, tracking.poll, capacity=_POLLS),
        make(WorkQueue.DELIVER, deliveries.claim, deliveries.attempt, capacity=settings.webhook_concurrency),
        make(WorkQueue.SWEEP, sweeping.claim, sweeping.sweep, capacity=_SWEEPS),
    )
    return {runner.drain: runner for runner in runners}


def _leases(core: Core, drain: WorkQueue) -> LeaseKeeper:
    return LeaseKeeper(LeaseStore(core.wires.redis, drain), clock=core.clock)


def _preflight(core: Core) -> Preflight | None:
    if not core.settings.preflight:
        return None
    return Preflight(
        core.stores.generations,
        core.moves,
        core.wires.viewer,
        core.wires.hosts,
        most_bytes=core.settings.max_upload_bytes,
        most_pixels=core.settings.max_image_pixels,
        timeout=core.settings.preflight_timeout,
        clock=core.clock,
    )


def _keeping(core: Core) -> VideoCopier:
    return VideoCopier(
        core.stores.generations,
        core.moves,
        core.wires.files,
        core.wires.kept,
        public_url=core.settings.public_url,
        timeout=core.settings.media_timeout,
        clock=core.clock,
    )


def _deliveries(core: Core) -> DeliveryWorker:
    return DeliveryWorker(
        core.stores.deliveries,
        core.stores.tenants,
        core.stores.endpoints,
        EndpointHealthMonitor(
            core.stores.endpoints, core.stores.tenants, core.wires.nudger, retention=core.settings.retention
        ),
        core.wires.sender,
        WebhookSigner(core.settings.secret_keys()),
        schedule=RetryPolicy(core.settings.webhook_schedule),
        caps=Caps(
            receiver=core.settings.webhook_receiver_concurrency,
            failing=core.settings.webhook_failing_concurrency,
            tenant=core.settings.webhook_tenant_concurrency,
        ),
        clock=core.clock,
    )


def _reconciliation(core: Core) -> Reconciliation | None:
    """Nobody to ask without an admin key."""
    if core.wires.billing is None:
        return None
    return Reconciliation(
        core.wires.billing,
        core.stores.generations,
        core.stores.submissions,
        core.moves,
        every=core.settings.reconcile_every,
        upstream_deadline=core.settings.upstream_deadline,
        clock=core.clock,
    )
