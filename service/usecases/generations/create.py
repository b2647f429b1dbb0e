"""Creation of generations: checks, image upload, and the create script, durable before it returns."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from service.clock import Clock
from service.domain import end_user, ids
from service.domain.budgets import Budgets
from service.domain.drafts import Draft
from service.domain.generation import Due, Generation, idempotency_digest
from service.domain.pricing import Parts
from service.domain.request import CreateGeneration
from service.domain.tenant import Tenant
from service.domain.webhook import WebhookStyle
from service.errors import Conflict, GatewayError, IdempotencyMismatch, NotFound
from service.observability import metrics, tracing
from service.store.generations import creation
from service.store.generations.generations import GenerationStore
from service.tasks import Nudger
from service.usecases.generations.admission import Admission
from service.usecases.generations.completions import Drafts
from service.usecases.generations.inline_files import InlineFiles
from service.usecases.generations.read import GenerationReader
from service.usecases.generations.refusal_counts import RefusalCounts
from service.usecases.generations.refusals import refusal_error, refusal_reason
from service.usecases.log_context import bind_generation


@dataclass(frozen=True, slots=True)
class CreateResult:
    generation: Generation
    replayed: bool
    position: int | None = None
    """How many of its tenant are dispatched before it, if known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOptions:
    """What the headers and the query of a create set."""

    idempotency_key: str | None = None
    webhook_style: WebhookStyle = "standard"
    queue_limit: int | None = None
    """Refuse the create if this many of the tenant are queued, even if its own limit is higher."""
    traceparent: str | None = None

    @property
    def idempotency_digest(self) -> str | None:
        return None if self.idempotency_key is None else idempotency_digest(self.idempotency_key)


class ResponsesInFlight(Exception):
    """Responses to equal calls are being sent. Until they are, it is not known whether this call is one of them again.

    ``until_ms`` is the end of the last lease.
    """

    def __init__(self, until_ms: int) -> None:
        super().__init__(f"responses in flight until {until_ms}")
        self.until_ms = until_ms


_DEFAULTS: Final = CreateOptions()
#: The field that names the webhook, in requests of each style.
_WEBHOOK_POINTERS: Final[Mapping[WebhookStyle, str]] = {
    "standard": "/webhook_url",
    "fal": "/query/fal_webhook",
    "openrouter": "/webhook_url",
}


class GenerationCreator:
    def __init__(
        self,
        store: GenerationStore,
        admission: Admission,
        inline_files: InlineFiles,
        reader: GenerationReader,
        drafts: Drafts,
        nudger: Nudger,
        refusals: RefusalCounts,
        *,
        queue_expiry: timedelta,
        clock: Clock,
    ) -> None:
        self._store = store
        self._admission = admission
        self._inline_files = inline_files
        self._reader = reader
        self._drafts = drafts
        self._nudger = nudger
        self._refusals = refusals
        self._queue_expiry = queue_expiry
        self._clock = clock

    async def create(
        self,
        tenant: Tenant,
        request: CreateGeneration,
        options: CreateOptions = _DEFAULTS,
        *,
        call: creation.Call | None = None,
    ) -> CreateResult:
        """Accept a request. The generation is durable when this returns.

        ``call`` identifies the HTTP call of a client without an idempotency key, so that one that is sent again after
        a lost response is recognized.

        Raises:
            ModelForbidden, ReferencesForbidden: the tenant may not use the model, or so many reference files.
            Invalid: the tenant may not use a field's value, or the webhook's address is refused.
            CostRefused, OverBudget: the estimate is above the request's own maximum, or what a budget has left.
            EndUserBlocked, EndUserLimited: the end user is blocked, or its limit is reached.
            QueueFull, DailyLimited, NewEndUsersLimited, DeliveriesFull: a limit of the tenant is reached.
            Unauthenticated: the tenant was deleted after its key was checked.
            StoreFull, Draining: the gateway accepts no new generations.
            NotFound, NotADraft, DraftNotReady, DraftFailed, DraftExpired: the draft cannot be completed.
            IdempotencyMismatch: the key is bound to another payload.
            BadImage, BadClip, TooLarge, Timeout, Unavailable, UpstreamUnavailable: a data URI was not uploaded.
            ResponsesInFlight: only with a ``call`` that waits.

        """
        with tracing.span("generation.create", parent=options.traceparent, kind="server", tenant=tenant.id) as span:
            try:
                result = await self._create(tenant, request, options, call, span)
            except GatewayError as error:
                self._refusals.add(tenant.id, error, end_user.pseudonym(tenant, request.end_user_id))
                raise
            span.annotate(generation=result.generation.id, outcome="replayed" if result.replayed else "created")
        bind_generation(result.generation)
        return result

    async def upload_inline_files(
        self, tenant: Tenant, request: CreateGeneration, options: CreateOptions
    ) -> CreateGeneration:
        """Check the request, then replace its data URIs with the URLs of the uploaded files.

        Raises as ``create``, for all checks that precede the create script.
        """
        if request.has_data_uris:
            await self._admission.check(tenant, request, webhook_pointer=_WEBHOOK_POINTERS[options.webhook_style])
        return await self._upload_inline_files(tenant, request)

    async def _create(
        self,
        tenant: Tenant,
        request: CreateGeneration,
        options: CreateOptions,
        call: creation.Call | None,
        span: tracing.Span,
    ) -> CreateResult:
        fingerprint = request.fingerprint()  # of the request as sent: a replay need not upload its files again
        draft = None
        if request.completes is not None:
            try:
                draft = await self._drafts.find(tenant, request.completes, request.spec)
            except (NotFound, Conflict):
                # A completion is returned again after its draft is gone.
                if (replay := await self._find_replay(tenant, options.idempotency_digest, fingerprint)) is not None:
                    return replay
                raise
            request = _with_draft(request, draft)
        parts = await self._admission.parts(tenant, request)
        refusal = self._admission.refusal(
            tenant, request, parts.cost, webhook_pointer=_WEBHOOK_POINTERS[options.webhook_style]
        )
        if request.has_data_uris or refusal is not None:
            # Idempotency is decided by the create script. A refused request does not reach the script, and one with
            # data URIs only after their upload: look the key up first.
            if (replay := await self._find_replay(tenant, options.idempotency_digest, fingerprint)) is not None:
                return replay
            if refusal is not None:
                raise refusal
            request = await self._upload_inline_files(tenant, request)
            parts = await self._admission.parts(tenant, request)  # the length of uploaded videos is known now
        generation = self._build(tenant, request, options, fingerprint, parts, span.traceparent or options.traceparent)
        if draft is not None:
            generation = _completing(generation, draft)
        started = time.perf_counter()
        budgets = self._admission.budgets(tenant)
        reply = await self._store.create(
            generation,
            Due(dispatch=generation.created_at, sweep=generation.expires_at),
            budgets=budgets,
            quotas=_quotas(tenant, options),
            call=call,
            tenant_must_exist=True,
        )
        metrics.ACCEPT_SECONDS.observe(time.perf_counter() - started)
        if isinstance(reply, creation.Unanswered):
            span.discard()  # the caller tries again within milliseconds
        return await self._to_result(tenant, generation, budgets, reply)

    async def _upload_inline_files(self, tenant: Tenant, request: CreateGeneration) -> CreateGeneration:
        if not request.has_data_uris:
            return request
        await self._store.demand_room(tenant.id)
        return await self._inline_files.upload(tenant, request)

    def _build(
        self,
        tenant: Tenant,
        request: CreateGeneration,
        options: CreateOptions,
        fingerprint: str,
        parts: Parts,
        traceparent: str | None,
    ) -> Generation:
        now = self._clock()
        expiry = self._queue_expiry if request.expires_in is None else timedelta(seconds=request.expires_in)
        return Generation(
            id=ids.new(ids.GENERATION, now),
            tenant_id=tenant.id,
            model=self._admission.model_of(request),
            input=request.video(),
            fingerprint=fingerprint,
            estimated_cost=parts.cost,
            input_seconds=parts.input_seconds,
            callback_token=secrets.token_urlsafe(24),
            created_at=now,
            expires_at=now + expiry,
            end_user_id=request.end_user_id,
            end_user=end_user.pseudonym(tenant, request.end_user_id),
            end_user_key=tenant.pseudonym_key_version,
            idempotency_digest=options.idempotency_digest,
            metadata=request.metadata,
            webhook_url=request.webhook_url or tenant.limits.webhook_url,
            webhook_style=options.webhook_style,
            traceparent=traceparent,
            retention=tenant.limits.retention,
            priority=request.priority,
        )

    async def _to_result(
        self, tenant: Tenant, generation: Generation, budgets: Budgets, reply: creation.Creation
    ) -> CreateResult:
        match reply:
            case creation.Created(nudges, position):
                self._nudger.nudge_all(nudges)
                metrics.tenant_series(metrics.CREATED, tenant.id).inc()
                metrics.series(metrics.ACCEPTED_BY_MODEL, generation.model).inc()
                return CreateResult(generation, replayed=False, position=position)
            case creation.Bound(existing, same):
                return await self._replay(tenant, existing, same_payload=same)
            case creation.Unanswered(until_ms):
                raise ResponsesInFlight(until_ms)
            case refusal:
                metrics.tenant_series(metrics.REFUSED, tenant.id, refusal_reason(refusal)).inc()
                raise refusal_error(refusal, generation, budgets)

    async def _find_replay(self, tenant: Tenant, digest: str | None, fingerprint: str) -> CreateResult | None:
        """Return the generation that the idempotency key is bound to. Raises IdempotencyMismatch."""
        if digest is None:
            return None
        found = await self._store.find_bound(tenant.id, digest, fingerprint)
        return None if found is None else await self._replay(tenant, found.existing, same_payload=found.same)

    async def _replay(self, tenant: Tenant, existing: str, *, same_payload: bool) -> CreateResult:
        if not same_payload:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used with another payload; use a new key for a new request."
            )
        metrics.tenant_series(metrics.REPLAYED, tenant.id).inc()
        return CreateResult(await self._reader.get(tenant, existing), replayed=True)


def _with_draft(request: CreateGeneration, draft: Draft) -> CreateGeneration:
    """Return the request of a completion with what it takes from its draft."""
    taken: dict[str, Any] = {"duration": draft.duration, "end_user_id": draft.end_user_id}
    if not draft.has_audio:
        taken["generate_audio"] = False
    return request.model_copy(update=taken)


def _completing(g: Generation, draft: Draft) -> Generation:
    """Return the generation of a completion. It expires in the queue at the end of the draft's window at the latest."""
    return replace(g, completes=draft.generation_id, draft_id=draft.fal_id, expires_at=min(g.expires_at, draft.until))


def _quotas(tenant: Tenant, options: CreateOptions) -> creation.Quotas:
    limits, queued = tenant.limits, tenant.limits.queued_generations
    if options.queue_limit is not None:
        queued = options.queue_limit if queued is None else min(queued, options.queue_limit)
    return creation.Quotas(
        queued=queued,
        daily=limits.daily_generations,
        new_end_users=limits.daily_new_end_users,
        deliveries=limits.stored_deliveries,
    )
