"""Admission: the checks of a request before the create script, and the quote of its cost."""

from dataclasses import dataclass

from service.clock import Clock
from service.domain import budgets, end_user
from service.domain.budgets import Budgets
from service.domain.drafts import RESOLUTION
from service.domain.models.model import Model
from service.domain.models.registry import Registry
from service.domain.pricing import Parts, Prices, usd
from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits
from service.domain.tenant import Limits, Tenant
from service.errors import (
    CostRefused,
    FieldError,
    Forbidden,
    Invalid,
    ModelForbidden,
    ReferencesForbidden,
)
from service.net.ssrf import AddressGuard, AddressRefused
from service.store.money.money import MoneyStore
from service.usecases.generations.input_seconds import InputSeconds


@dataclass(frozen=True, slots=True)
class DraftQuote:
    """Most costs in micro-USD; None: the tenant may not complete drafts, or the model has no price at 1080p."""

    completion: int | None
    total: int | None
    """Of the draft and one completion."""
    total_fits: bool | None
    direct: int | None
    """Of the same video at 1080p at once."""


@dataclass(frozen=True, slots=True)
class Quote:
    parts: Parts
    fits: bool
    """Whether every budget has that much left."""
    draft: DraftQuote | None
    """None: the request wants no draft."""


class Admission:
    """Checks what a tenant may request, and estimates the cost of a request."""

    def __init__(
        self,
        money_store: MoneyStore,
        guard: AddressGuard,
        *,
        prices: Prices,
        input_seconds: InputSeconds,
        models: Registry,
        account_budget: int | None,
        accepted: RequestLimits,
        clock: Clock,
    ) -> None:
        self._money = money_store
        self._accepted = accepted
        self._guard = guard
        self._prices = prices
        self._input_seconds = input_seconds
        self._models = models
        self._account_budget = account_budget
        self._clock = clock

    async def check(self, tenant: Tenant, request: CreateGeneration, *, webhook_pointer: str = "/webhook_url") -> Parts:
        """Return the parts of the estimated cost, which is the highest possible.

        ``webhook_pointer`` is the field that errors of the webhook's address name.

        Raises:
            ModelForbidden, ReferencesForbidden: the tenant may not use the model, or so many reference files.
            Invalid: the tenant may not use a field's value, or the webhook's address is refused.
            CostRefused: the estimate is above the request's own maximum.

        """
        parts = await self.parts(tenant, request)
        if (refusal := self.refusal(tenant, request, parts.cost, webhook_pointer=webhook_pointer)) is not None:
            raise refusal
        return parts

    def model_of(self, request: CreateGeneration) -> str:
        """Return the id of the request's model."""
        return self._prices.default if request.spec is None else request.spec.id

    async def parts(self, tenant: Tenant, request: CreateGeneration) -> Parts:
        """Return the prices of which the estimate is the higher one."""
        model, seconds = self.model_of(request), None
        if request.reference_fields and (videos := request.references("videos")):
            seconds = self._prices.of(model).input_seconds(await self._input_seconds.of(tenant.id, videos))
        audio = request.generate_audio is not False
        return self._prices.parts(model, request.resolution, request.duration, audio, seconds)

    def refusal(
        self, tenant: Tenant, request: CreateGeneration, cost: int, *, webhook_pointer: str
    ) -> Forbidden | Invalid | CostRefused | None:
        """Return the error that ``check`` raises, or None."""
        limits = tenant.limits
        if (forbidden := self._forbidden(limits, request)) is not None:
            return forbidden
        url = request.webhook_url or limits.webhook_url
        if url is not None and (error := self._address_error(url, webhook_pointer)) is not None:
            return error
        if errors := _entitlement_errors(tenant, request, self._accepted):
            return Invalid(*errors)
        if request.max_cost_usd is not None and cost > request.max_cost_usd:
            return CostRefused(
                f"This may cost up to {usd(cost)} USD, more than max_cost_usd ({usd(request.max_cost_usd)}).",
                scope="request",
                limit=usd(request.max_cost_usd),
                available=usd(request.max_cost_usd),
                estimated=usd(cost),
            )
        return None

    def _forbidden(self, limits: Limits, request: CreateGeneration) -> Forbidden | None:
        if not limits.may_use(model := self.model_of(request)):
            return ModelForbidden(f"This tenant may not use the model {model}.")
        if request.spec is not None and request.completes and not may_complete(limits, request.spec, self._accepted):
            return ModelForbidden(f"This tenant may not use {RESOLUTION}, at which drafts are completed.")
        return _references_error(limits, request)

    def check_webhook(self, url: str | None, pointer: str = "/webhook_url") -> None:
        """Raises Invalid: the address guard refuses the URL."""
        if url is not None and (error := self._address_error(url, pointer)) is not None:
            raise error

    def _address_error(self, url: str, pointer: str) -> Invalid | None:
        try:
            self._guard.check_url(url)
        except AddressRefused as refusal:
            return Invalid(FieldError(pointer, refusal.of_webhook(), "address_refused"))
        return None

    def budgets(self, tenant: Tenant) -> Budgets:
        limits = tenant.limits
        return Budgets(
            tenant_month=limits.monthly_budget,
            end_user_day=limits.end_user_daily_budget,
            account_day=self._account_budget,
            end_user_day_count=limits.end_user_daily_count,
        )

    async def quote(self, tenant: Tenant, request: CreateGeneration) -> Quote:
        """Return the parts of the estimate, and whether every budget has that much left. Raises as ``check``."""
        parts, now = await self.check(tenant, request), self._clock()
        pseudonym = end_user.pseudonym(tenant, request.end_user_id)
        standings = await self._money.standings(
            tenant.id, pseudonym, today=budgets.day(now), this_month=budgets.month(now)
        )
        limits = self.budgets(tenant).by_scope()
        available = [standings[scope].available(limit) for scope, limit in limits.items() if limit is not None]
        left = min(available, default=None)
        draft = self._draft_quote(tenant, request, parts, left) if request.wants_draft else None
        return Quote(parts, left is None or parts.cost <= left, draft)

    def _draft_quote(self, tenant: Tenant, request: CreateGeneration, parts: Parts, left: int | None) -> DraftQuote:
        """Return what a draft, its completion and a direct create of the same video cost at most."""
        model = self._models.completion_of(self.model_of(request))
        rates, duration = self._prices.of(self.model_of(request)), request.duration
        audio = request.generate_audio is not False
        direct = None
        if RESOLUTION in rates.per_thousand_tokens:
            direct = rates.estimate(RESOLUTION, duration, audio=audio, input_seconds=parts.input_seconds)
        if model is None or not may_complete(tenant.limits, model, self._accepted):
            return DraftQuote(None, None, None, direct)
        completion = self._prices.of(model.id).estimate(RESOLUTION, str(rates.seconds(duration)), audio=audio)
        total = parts.cost + completion
        return DraftQuote(completion, total, left is None or total <= left, direct)


def _references_error(limits: Limits, request: CreateGeneration) -> ReferencesForbidden | None:
    if limits.references is None or not request.reference_fields:
        return None
    if (count := len(request.references())) <= limits.references:
        return None
    usable = f"{limits.references or 'no'} reference file{'' if limits.references == 1 else 's'}"
    return ReferencesForbidden(f"This tenant may use {usable} in a generation; this one has {count}.")


def may_complete(limits: Limits, model: Model, accepted: RequestLimits) -> bool:
    """Return whether a tenant may complete drafts with this model: completions are at 1080p only."""
    usable = accepted.for_tenant(limits.resolutions, None).values("resolution")
    return limits.may_use(model.id) and RESOLUTION in usable


def _entitlement_errors(tenant: Tenant, request: CreateGeneration, accepted: RequestLimits) -> list[FieldError]:
    """Return the fields whose values this tenant may not use, with those that it may use here."""
    errors = _refused_values(tenant.limits, request, accepted)
    if tenant.require_end_user and request.end_user_id is None:
        errors.append(FieldError("/end_user_id", "is required by this tenant", "missing"))
    return errors


def _refused_values(limits: Limits, request: CreateGeneration, accepted: RequestLimits) -> list[FieldError]:
    if limits.resolutions is None and limits.durations is None:
        return []
    refused = [
        name
        for name, own, value in (
            ("resolution", limits.resolutions, request.resolution),
            ("duration", limits.durations, None if request.completes else request.duration),  # that of the draft
        )
        if own is not None and value is not None and value not in own
    ]
    if not refused:
        return []
    if request.spec is not None:
        accepted = accepted.for_model(request.spec, named=False)
    choices = accepted.for_tenant(limits.resolutions, limits.durations).choices
    return [FieldError(f"/{name}", choices(name), "not_entitled") for name in refused]
