"""Authentication of operators: tokens, and the admin token as break-glass. Nothing is cached.

A change of a role, a revoked token and a disabled operator therefore act at once.
"""

import hmac
from typing import Final

from service.clock import Clock
from service.domain.actor import Actor, ActorKind
from service.domain.credential_kinds import fault_of_operator_token
from service.domain.operator import TOKEN_PREFIX, Operator, OperatorToken, Role, parse_token
from service.errors import StoreUnavailable, Unauthenticated
from service.observability import metrics
from service.store.operators.operators import OperatorStore
from service.usecases.credentials import used_at

#: One text for all invalid tokens, so that a caller cannot learn which of these it is.
UNKNOWN_TOKEN = "The token is unknown, expired or revoked, or its operator is disabled."  # noqa: S105  (a sentence)
_MOST_RECORDED: Final = 10_000


class OperatorAuthenticator:
    def __init__(self, store: OperatorStore, *, admin_token: str | None, clock: Clock) -> None:
        self._store = store
        self._admin_token = admin_token
        self._clock = clock
        self._recorded_uses: dict[str, str] = {}
        """The minute of the last recorded use, by token id."""

    async def authenticate(self, text: str, *, address: str | None = None, request_id: str | None = None) -> Actor:
        """Return the operator of a token, or the holder of the admin token. Raises Unauthenticated."""
        try:
            return await self._authenticate(text, address, request_id)
        except Unauthenticated:
            metrics.OPERATOR_LOGINS_REFUSED.inc()
            raise

    async def of_session(self, operator_id: str, token_id: str | None) -> Actor:
        """Return an operator who has logged in, with the present role. ``token_id``: the token of the login, if any.

        Raises Unauthenticated: the operator is disabled, or the token revoked or expired.
        """
        token = None if token_id is None else await self._store.load_token(token_id)
        if token_id is not None and (
            token is None or not token.is_valid(self._clock()) or token.operator_id != operator_id
        ):
            raise Unauthenticated(UNKNOWN_TOKEN)
        return actor_of(await self._enabled(operator_id), token, address=None, request_id=None)

    async def _authenticate(self, text: str, address: str | None, request_id: str | None) -> Actor:
        if text.startswith(f"{TOKEN_PREFIX}_"):
            operator, token = await self._open(text)
            return actor_of(operator, token, address=address, request_id=request_id)
        if self._admin_token is None or not hmac.compare_digest(text.encode(), self._admin_token.encode()):
            raise Unauthenticated(fault_of_operator_token(text))
        return Actor(
            kind=ActorKind.BREAK_GLASS, name="admin token", role=Role.ADMIN, address=address, request_id=request_id
        )

    async def _open(self, text: str) -> tuple[Operator, OperatorToken]:
        parts = parse_token(text)
        if parts is None:
            raise Unauthenticated("The token is mistyped: it is incomplete or a character is wrong.")
        token, now = await self._store.load_token(parts.id), self._clock()
        if token is None or not token.opens(parts.secret, now):
            raise Unauthenticated(UNKNOWN_TOKEN)
        operator = await self._enabled(token.operator_id)
        await self._record_use(token.id, used_at(now))
        return operator, token

    async def _record_use(self, token_id: str, minute: str) -> None:
        """Record the use of a token, at most once a minute for each process. A failure fails no call."""
        if self._recorded_uses.get(token_id) == minute:
            return
        if len(self._recorded_uses) >= _MOST_RECORDED:
            self._recorded_uses.clear()
        self._recorded_uses[token_id] = minute
        try:
            await self._store.note_use(token_id, minute)
        except StoreUnavailable:  # the next call tries again
            self._recorded_uses.pop(token_id, None)

    async def _enabled(self, operator_id: str) -> Operator:
        operator = await self._store.load(operator_id)
        if operator is None or operator.disabled_at is not None:
            raise Unauthenticated(UNKNOWN_TOKEN)
        return operator


def actor_of(operator: Operator, token: OperatorToken | None, *, address: str | None, request_id: str | None) -> Actor:
    """Return an operator as an actor. ``token``: None in a session of the console."""
    return Actor(
        kind=ActorKind.OPERATOR,
        id=operator.id,
        name=operator.name,
        role=operator.role,
        token_id=None if token is None else token.id,
        address=address,
        request_id=request_id,
    )
