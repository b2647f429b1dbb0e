"""Starters of bulk jobs: a job acts with the rights that its starter has now, not with those of its start."""

from service.clock import Clock
from service.domain.actor import Actor, ActorKind
from service.domain.operator import Role
from service.domain.tenant import Scope
from service.errors import Unauthenticated
from service.store.tenants.api_keys import ApiKeyStore
from service.usecases.operators.authentication import OperatorAuthenticator


class Starters:
    def __init__(self, operators: OperatorAuthenticator, keys: ApiKeyStore, *, clock: Clock) -> None:
        self._operators = operators
        self._keys = keys
        self._clock = clock

    async def fault(self, actor: Actor) -> str | None:
        """Return why the starter of a job may not act any more; None: it may.

        Of others than operators and API keys, nothing is stored that could have changed.
        """
        if actor.kind is ActorKind.OPERATOR:
            return await self._of_operator(actor)
        if actor.kind is ActorKind.API_KEY:
            return await self._of_key(actor)
        return None

    async def _of_operator(self, actor: Actor) -> str | None:
        try:
            now = await self._operators.of_session(actor.id or "", actor.token_id)
        except Unauthenticated:
            return "The operator who started it is disabled, or the token is not valid any more."
        if now.role is None or not now.role.includes(Role.OPERATOR):
            return "The operator who started it does not have the role operator any more."
        return None

    async def _of_key(self, actor: Actor) -> str | None:
        key = None if actor.id is None else await self._keys.load(actor.id)
        if key is None or not key.is_valid(self._clock()) or Scope.MANAGE not in key.scopes:
            return "The API key that started it is not valid any more."
        return None
