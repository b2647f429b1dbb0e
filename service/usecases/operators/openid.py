"""Login of operators by OpenID Connect. The first login of a subject creates its operator, later ones update it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from service.clock import Clock
from service.domain import ids
from service.domain.actor import Actor
from service.domain.openid.pending import PendingLogin
from service.domain.openid.person import RoleRules, name_of, subject_of
from service.domain.operator import Operator
from service.errors import Conflict
from service.observability import log, metrics
from service.store.operators.operators import OperatorStore
from service.usecases.operators.authentication import actor_of
from service.usecases.operators.login_refused import LoginRefused, refused_by_provider
from service.usecases.operators.openid_provider import OpenIdProvider
from service.usecases.trail.recording import note_change
from service.usecases.trail.trail import Trail

_UPDATES: Final = 3
_BEGIN_AGAIN: Final = "This browser did not begin this login, or began it too long ago. Log in again."
_log = log.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """What the provider sent back through the browser. A parameter that came twice is in ``repeated``."""

    state: str = ""
    code: str = ""
    error: str = ""
    issuer: str = ""
    repeated: bool = False

    @classmethod
    def of(cls, parameters: Sequence[tuple[str, str]]) -> "AuthorizationResponse":
        names = {"state": "state", "code": "code", "error": "error", "iss": "issuer"}
        given = [(names[name], value) for name, value in parameters if name in names]
        return cls(**dict(given), repeated=len(dict(given)) < len(given))


class OpenIdLogins:
    def __init__(
        self,
        provider: OpenIdProvider,
        operators: OperatorStore,
        trail: Trail,
        *,
        rules: RoleRules,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._operators = operators
        self._trail = trail
        self._rules = rules
        self._clock = clock

    @property
    def provider_name(self) -> str:
        """The host of the issuer, for the button of the login page."""
        return urlsplit(self._provider.issuer).hostname or self._provider.issuer

    async def close(self) -> None:
        await self._provider.close()

    async def begin(self) -> tuple[PendingLogin, str]:
        """Return a new login, for the browser to keep, and the page of the provider. Raises Unavailable."""
        login = PendingLogin.new()
        return login, await self._provider.authorization_url(login)

    async def finish(
        self,
        response: AuthorizationResponse,
        login: PendingLogin | None,
        *,
        address: str | None = None,
        request_id: str | None = None,
    ) -> Operator:
        """Return the operator who has logged in. ``login``: what the browser has kept; None: nothing.

        Raises:
            LoginRefused: with the reason in a sentence.
            Unavailable: the provider cannot be reached.

        """
        try:
            claims = await self._claims(response, login)
            operator = await self._operator(claims, address, request_id)
        except LoginRefused as refusal:
            metrics.CONSOLE_LOGINS_REFUSED.labels("openid").inc()
            _log.warning("openid_login_refused", reason=refusal.reason, error=refusal.detail, client=address)
            raise
        _log.info("openid_login", operator=operator.id, role=operator.role.value, client=address)
        return operator

    async def logout_url(self) -> str | None:
        """Return the page that ends the session at the provider; None: it has none. Raises Unavailable."""
        return await self._provider.logout_url()

    async def _claims(self, response: AuthorizationResponse, login: PendingLogin | None) -> Mapping[str, Any]:
        if login is None or response.repeated or not login.began(response.state):
            raise LoginRefused("state", _BEGIN_AGAIN)
        metadata = await self._provider.metadata()
        if response.issuer != self._provider.issuer and (response.issuer or metadata.names_issuer):
            raise LoginRefused("issuer", "The response is of another login provider. Log in again.")
        if response.error:
            raise refused_by_provider(response.error)
        if not response.code:
            raise LoginRefused("code_missing", "The login provider sent no code. Log in again.")
        return await self._provider.claims_of(response.code, login)

    async def _operator(self, claims: Mapping[str, Any], address: str | None, request_id: str | None) -> Operator:
        """Return the operator of a person, created or updated by the claims. Each change is an act of that person."""
        subject = subject_of(self._provider.issuer, str(claims["sub"]))
        operator_id = ids.of_text(ids.OPERATOR, subject)
        for _ in range(_UPDATES):
            before = await self._operators.load(operator_id)
            after = self._described(claims, before, operator_id, subject)
            if after == before:
                return after
            actor = actor_of(before or after, None, address=address, request_id=request_id)
            stored = await self._store(before, after, actor)
            if stored is not None:
                return stored
        raise Conflict("The operator is being changed by another process. Log in again.")

    def _described(
        self, claims: Mapping[str, Any], before: Operator | None, operator_id: str, subject: str
    ) -> Operator:
        """Return the operator with name and role of the claims. Raises LoginRefused."""
        if before is not None and before.disabled_at is not None:
            raise LoginRefused("disabled", "This operator is disabled. An admin can enable it.")
        role, name = self._rules.role_of(claims), name_of(claims)
        if role is None:
            raise LoginRefused(
                "no_role", "Your account has no role at this gateway. Ask for membership in a group that has one."
            )
        if before is not None:
            return replace(before, name=name, role=role)
        return Operator(id=operator_id, name=name, role=role, created_at=self._clock(), subject=subject)

    async def _store(self, before: Operator | None, after: Operator, actor: Actor) -> Operator | None:
        """Write an operator; None: another process was faster."""
        action = "create_operator_at_login" if before is None else "update_operator_at_login"
        async with self._trail.act(actor, action, target=after.id):
            note_change(before, after)
            if before is not None:
                return await self._operators.update(after)
            return after if await self._operators.insert(after) else None
