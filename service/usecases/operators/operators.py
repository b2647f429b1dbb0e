"""Operators and their tokens."""

from datetime import datetime

from service.clock import Clock
from service.domain import ids
from service.domain.credential import hash_secret
from service.domain.operator import Operator, OperatorToken, Role, new_token_text
from service.errors import NotFound
from service.store.operators.operators import OperatorStore
from service.usecases.trail.recording import note_change


class Operators:
    def __init__(self, store: OperatorStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(self, name: str, role: Role) -> Operator:
        now = self._clock()
        operator = Operator(id=ids.new(ids.OPERATOR, now), name=name, role=role, created_at=now)
        if not await self._store.insert(operator):
            raise AssertionError("Operator id collision")
        note_change(None, operator, target=operator.id)
        return operator

    async def get(self, operator_id: str) -> Operator:
        """Return an operator. Raises NotFound."""
        operator = await self._store.load(operator_id) if ids.is_id(ids.OPERATOR, operator_id) else None
        if operator is None:
            raise NotFound("There is no such operator.")
        return operator

    async def create_token(
        self, operator_id: str, *, name: str = "", expires_at: datetime | None = None
    ) -> tuple[OperatorToken, str]:
        """Create a token. Return it and its text, which is shown once. Raises NotFound."""
        await self.get(operator_id)
        parts, text = new_token_text()
        token = OperatorToken(
            id=parts.id,
            operator_id=operator_id,
            secret_hash=hash_secret(parts.secret),
            name=name,
            created_at=self._clock(),
            expires_at=expires_at,
        )
        if not await self._store.insert_token(token):
            raise NotFound("There is no such operator.")
        note_change(None, token, target=operator_id)
        return token, text
