"""What tenants do with generations: create, read, wait, list, cancel."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from service.clock import Clock
from service.domain import end_user, ids, transitions
from service.domain.generation import Generation
from service.domain.request import CreateGeneration
from service.domain.status import PublicStatus
from service.domain.tenant import Tenant
from service.domain.webhook import WebhookStyle
from service.errors import CostRefused, IdempotencyMismatch, Invalid, NotFound
from service.observability import metrics, tracing
from service.store.generations import creation
from service.store.generations.changes import ChangeFeed
from service.store.generations.generations import Filter, GenerationStore, Page
from service.tasks import Nudger
from service.usecases.generations.admission import Admission, reason, refused
from service.usecases.generations.images import Images
from service.usecases.lifecycle.schedule import Schedule
from service.usecases.lifecycle.transition_service import TransitionService
from service.usecases.log_context import bind_generation

#: A waiting caller looks again after this long although nothing was heard: publish/subscribe promises nothing.
_LOOK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class CreateResult:
    generation: Generation
    replayed: bool
    position: int | None = None
    """How many of its tenant go before it, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOptions:
    """What the surface a request came by adds to it."""

    webhook_style: WebhookStyle = "standard"
    most_queued: int | None = None
    """Refuse it where so many of the tenant are waiting, even if more may."""
    call: creation.Call | None = None
    traceparent: str | None = None


class ResponsesInFlight(Exception):
    """Equal calls are being answered at this moment: whether this one is one of them, sent again, is not known yet."""

    def __init__(self, leases: Mapping[str, int]) -> None:
        super().__init__(f"{len(leases)} answers under way")
        self.leases = leases


_NO_TERMS: Final = CreateOptions()
#: Where a request of each style names its webhook.
_WEBHOOK_POINTERS: Final[Mapping[WebhookStyle, str]] = {"standard": "/webhook_url", "fal": "/query/fal_webhook"}


class Generations:
    def __init__(
        self,
        generations: GenerationStore,
        admission: Admission,
        images: Images,
        moves: TransitionService,
        changes: ChangeFeed,
        nudger: Nudger,
        schedule: Schedule,
        *,
        model: str,
        queue_expiry: timedelta,
        clock: Clock,
    ) -> None:
        self._generations = generations
        self._admission = admission
        self._images = images
        self._transitions = moves
        self._changes = changes
        self._nudger = nudger
        self._schedule = schedule
        self._model = model
        self._queue_expiry = queue_expiry
        self._clock = clock

    async def create(
        self, tenant: Tenant, request: CreateGeneration, idempotency_key: str | None, terms: CreateOptions = _NO_TERMS
    ) -> CreateResult:
        """Accept a request, durably, before this returns.

        Raises:
            Invalid: the webhook's address is not one we would call.
            CostRefused, OverBudget: the estimate is above the request's own maximum, or what a budget has left.
            EndUserBlocked, EndUserLimited, QueueFull: the end user or the tenant may not, or not now.
            Unauthenticated: the tenant was deleted after its key was looked up.
            StoreFull, Draining: nothing new is accepted.
            IdempotencyMismatch: the key is bound to another payload.
            BadImage, TooLarge, Timeout, UpstreamUnavailable: of an image in a data URI.
            AnswersUnderWay: only where the terms name a call.

        """
        with tracing.span("generation.create", parent=terms.traceparent, kind="server", tenant=tenant.id) as span:
            made = await self._create(tenant, request, idempotency_key, terms, span)
            span.note(generation=made.generation.id, outcome="replayed" if made.replayed else "created")
        bind_generation(made.generation)
        return made

    async def _create(
        self,
        tenant: Tenant,
        request: CreateGeneration,
        idempotency_key: str | None,
        terms: CreateOptions,
        span: tracing.Span,
    ) -> CreateResult:
        if span.traceparent is not None:  # what follows is part of this
            terms = replace(terms, traceparent=span.traceparent)
        g = await self._wanted(tenant, request, idempotency_key, terms)
        if isinstance(g, CreateResult):
            return g
        begun = time.perf_counter()
        budgets = self._admission.budgets(tenant)
        answer = await self._generations.create(
            g,
            self._schedule.due(g, g.created_at),
            budgets=budgets,
            most_queued=_least(tenant.limits.queued_generations, terms.most_queued),
            call=terms.call,
            tenant_must_exist=True,
        )
        metrics.ACCEPT_SECONDS.observe(time.perf_counter() - begun)
        match answer:
            case creation.Created(nudges, position):
                for drain in nudges:
                    self._nudger.nudge(drain)
                metrics.CREATED.labels(tenant.id).inc()
                return CreateResult(g, replayed=False, position=position)
            case creation.Bound(existing, same):
                return await self._replay(tenant, existing, same_payload=same)
            case creation.Resent(existing):
                metrics.RESENT.labels(tenant.id).inc()
                return CreateResult(await self.get(tenant, existing), replayed=True)
            case creation.Unanswered(leases):
                span.forget()  # it asks again in a moment
                raise ResponsesInFlight(leases)
            case refusal:
                metrics.REFUSED.labels(tenant.id, reason(refusal)).inc()
                raise refused(refusal, g, budgets)

    async def _wanted(
        self, tenant: Tenant, request: CreateGeneration, idempotency_key: str | None, terms: CreateOptions
    ) -> Generation | CreateResult:
        """What shall be made, or what a repeat of the call has made already. Raises as ``create`` does."""
        fingerprint = request.fingerprint()  # of what the caller sent: a repeat need not upload its images again
        if request.has_data_uris:
            if (first := await self._first(tenant, idempotency_key, fingerprint)) is not None:
                return first
            request = await self.with_uploaded_images(tenant, request, terms)
        try:
            return self._new(tenant, request, fingerprint, idempotency_key, terms)
        except (Invalid, CostRefused):
            if (first := await self._first(tenant, idempotency_key, fingerprint)) is None:
                raise
            return first

    async def with_uploaded_images(
        self, tenant: Tenant, request: CreateGeneration, terms: CreateOptions
    ) -> CreateGeneration:
        """Its data URIs uploaded, if all that can be said against it before is not. Raises as ``create`` does."""
        if not request.has_data_uris:
            return request
        self._admission.check(tenant, request, webhook=_WEBHOOK_POINTERS[terms.webhook_style])
        await self._generations.demand_room()
        return await self._images.with_uploaded_images(tenant, request)

    def _new(
        self,
        tenant: Tenant,
        request: CreateGeneration,
        fingerprint: str,
        idempotency_key: str | None,
        terms: CreateOptions,
    ) -> Generation:
        now = self._clock()
        expiry = self._queue_expiry if request.expires_in is None else timedelta(seconds=request.expires_in)
        return Generation(
            id=ids.new(ids.GENERATION, now),
            tenant_id=tenant.id,
            model=self._model,
            input=request.video(),
            fingerprint=fingerprint,
            estimated_cost=self._admission.check(tenant, request, webhook=_WEBHOOK_POINTERS[terms.webhook_style]),
            callback_token=secrets.token_urlsafe(24),
            created_at=now,
            expires_at=now + expiry,
            end_user_id=request.end_user_id,
            end_user=end_user.pseudonym(tenant, request.end_user_id),
            end_user_key=tenant.pseudonym_key_version,
            idempotency_key=idempotency_key,
            metadata=request.metadata,
            webhook_url=request.webhook_url or tenant.limits.webhook_url,
            webhook_style=terms.webhook_style,
            traceparent=terms.traceparent,
            retention=tenant.limits.retention,
            priority=request.priority,
        )

    async def _first(self, tenant: Tenant, idempotency_key: str | None, fingerprint: str) -> CreateResult | None:
        """What the key made already; looked up here only where the create script, which does so too, is far or out."""
        if idempotency_key is None:
            return None
        found = await self._generations.bound(tenant.id, idempotency_key, fingerprint)
        return None if found is None else await self._replay(tenant, found.existing, same_payload=found.same)

    async def _replay(self, tenant: Tenant, existing: str, *, same_payload: bool) -> CreateResult:
        if not same_payload:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used with another payload; use a new key for a new request."
            )
        metrics.REPLAYED.labels(tenant.id).inc()
        return CreateResult(await self.get(tenant, existing), replayed=True)

    async def get(self, tenant: Tenant, generation_id: str) -> Generation:
        """Raises NotFound alike for what does not exist and for what belongs to another tenant."""
        g = await self._generations.load(generation_id) if ids.is_id(ids.GENERATION, generation_id) else None
        return _own(tenant, g)

    async def get_placed(self, tenant: Tenant, generation_id: str) -> tuple[Generation, int]:
        """The same with how many of its tenant go before it, asked for at once."""
        if not ids.is_id(ids.GENERATION, generation_id):
            return _own(tenant, None), 0
        g, position = await self._generations.load_placed(tenant.id, generation_id)
        return _own(tenant, g), position or 0

    async def get_changed(self, tenant: Tenant, generation_id: str, *, within: float) -> Generation:
        """The generation once its status is another than now, or when the time is up."""
        with self._changes.watch(generation_id) as watch:
            first = g = await self.get(tenant, generation_id)
            give_up = asyncio.get_running_loop().time() + within
            while not g.is_terminal and g.public_status is first.public_status and (left := self._left(give_up)) > 0:
                await watch.moved(within=min(left, _LOOK_SECONDS))
                g = await self.get(tenant, generation_id)
            return g

    async def get_ended(self, tenant: Tenant, generation_id: str, *, within: float) -> Generation:
        """The generation once it has ended, or when the time is up."""
        with self._changes.watch(generation_id) as watch:
            g = await self.get(tenant, generation_id)
            give_up = asyncio.get_running_loop().time() + within
            while not g.is_terminal and (left := self._left(give_up)) > 0:
                await watch.moved(within=min(left, _LOOK_SECONDS))
                g = await self.get(tenant, generation_id)
            return g

    def release(self) -> None:
        """Answer whoever waits now, with what is known: the process is about to stop."""
        self._changes.release()

    @property
    def released(self) -> bool:
        """Nobody is to wait any more."""
        return self._changes.released

    def _left(self, give_up: float) -> float:
        return 0 if self._changes.released else give_up - asyncio.get_running_loop().time()

    async def list(
        self,
        tenant: Tenant,
        *,
        status: PublicStatus | None,
        end_user_id: str | None,
        created_after: datetime | None,
        created_before: datetime | None,
        limit: int,
        after: str | None,
    ) -> Page:
        wanted = Filter(
            status=status,
            end_user=None if end_user_id is None else end_user.pseudonym(tenant, end_user_id),
            created_after=created_after,
            created_before=created_before,
        )
        return await self._generations.page(tenant.id, wanted, limit=limit, after=after)

    async def cancel(self, tenant: Tenant, generation_id: str) -> Generation:
        """Canceled at once while it is ours alone; a wish passed on to fal from then on.

        Raises:
            NotCancellable: it has ended.

        """
        await self.get(tenant, generation_id)
        now = self._clock()
        g = await self._transitions.apply(generation_id, lambda current: transitions.cancel(current, now))
        if g is None:  # nothing to do, or fal has reported a job that was queued again after a refusal
            g = await self._transitions.apply(generation_id, lambda current: transitions.request_cancel(current, now))
        return g if g is not None else await self.get(tenant, generation_id)


def _own(tenant: Tenant, g: Generation | None) -> Generation:
    if g is None or g.tenant_id != tenant.id:
        raise NotFound("There is no such generation.")
    bind_generation(g)
    return g


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
