"""Who makes a request of the console, and what they may do. Read again at each request."""

import hmac
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from service.domain.actor import Actor, ActorKind
from service.domain.console_session import Subject
from service.domain.operator import TOKEN_PREFIX, Role
from service.domain.tenant import Scope, Tenant
from service.errors import Unauthenticated
from service.usecases.operators.authentication import OperatorAuthenticator
from service.usecases.tenants.authentication import Authenticator
from service.usecases.tenants.caller import CredentialRef

_ENDED: Final = "The session has ended."


@dataclass(frozen=True, slots=True)
class Identity:
    """An operator has a role; the holder of an API key has a tenant and the scopes of the key."""

    actor: Actor
    tenant: Tenant | None = None
    scopes: frozenset[Scope] = frozenset()

    def may(self, need: Role | Scope) -> bool:
        """Return whether the rights include a role, which the higher roles have too, or a scope of the own tenant."""
        if isinstance(need, Role):
            return self.actor.role is not None and self.actor.role.includes(need)
        return need in self.scopes and self.tenant is not None and not self.tenant.suspended


class Identities:
    """Finds the identity behind a text at the login, and behind a session at each request."""

    def __init__(
        self,
        authenticator: Authenticator,
        operators: OperatorAuthenticator,
        *,
        admin_token: SecretStr | None,
        secret_key: str,
    ) -> None:
        """``secret_key``: of the digest of the admin token in sessions. Redis has no hash to guess the token by."""
        self._authenticator = authenticator
        self._operators = operators
        self._admin_token = None if admin_token is None else admin_token.get_secret_value()
        self._digest = hmac.digest(secret_key.encode(), (self._admin_token or "").encode(), "sha256").hex()

    async def of_text(self, text: str) -> Subject:
        """Return whom an API key, an operator's token or the admin token identifies. Raises Unauthenticated."""
        if text.startswith(f"{TOKEN_PREFIX}_"):
            actor = await self._operators.authenticate(text)
            return Subject(ActorKind.OPERATOR, actor.id or "", actor.token_id)
        if self._admin_token is not None and hmac.compare_digest(text.encode(), self._admin_token.encode()):
            return Subject(ActorKind.BREAK_GLASS, self._digest)
        caller = await self._authenticator.identify(text)
        if caller.identity is not None:
            return Subject(ActorKind.SERVICE, caller.key.id, expires_at=caller.credential.expires_at)
        return Subject(ActorKind.API_KEY, caller.key.id)

    async def of_subject(self, subject: Subject) -> Identity:
        """Return the identity with its present rights. Raises Unauthenticated: the key or token is no longer valid."""
        match subject.kind:
            case ActorKind.API_KEY | ActorKind.SERVICE:
                return await self._of_key(subject)
            case ActorKind.OPERATOR:
                return Identity(await self._operators.of_session(subject.id, subject.token_id))
            case ActorKind.BREAK_GLASS:
                valid = self._admin_token is not None and hmac.compare_digest(self._digest, subject.id)
                if not valid:
                    raise Unauthenticated(_ENDED)
                return Identity(Actor(kind=subject.kind, name="admin token", role=Role.ADMIN))
            case ActorKind.LOCAL:
                return Identity(Actor(kind=subject.kind, name=subject.id, role=Role.ADMIN))
        raise Unauthenticated(_ENDED)

    async def _of_key(self, subject: Subject) -> Identity:
        caller = await self._authenticator.current(CredentialRef(subject.id, subject.expires_at))
        kind = "key" if subject.kind is ActorKind.API_KEY else "service"
        actor = Actor(
            kind=subject.kind,
            id=subject.id,
            name=caller.key.name or f"{kind} {subject.id}",
            tenant_id=caller.tenant.id,
        )
        return Identity(actor, caller.tenant, frozenset(caller.key.scopes))
