"""Operators and their tokens."""

from dataclasses import replace
from typing import Final

from pydantic import TypeAdapter

from service.domain.operator import Operator, OperatorToken
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.records import insert_record, replace_record

_OPERATOR: Final = TypeAdapter(Operator)
_TOKEN: Final = TypeAdapter(OperatorToken)


class OperatorStore:
    """Records of operators and of their tokens."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def insert(self, operator: Operator) -> bool:
        """Write a new operator; False: the id exists. Raises StoreFull."""
        record = _OPERATOR.dump_json(operator)
        return await insert_record(
            self._redis, keys.operator(operator.id), record, index=keys.OPERATORS, name=operator.id, owner=None
        )

    async def insert_token(self, token: OperatorToken) -> bool:
        """Write a new token; False: its operator does not exist. Raises StoreFull."""
        return await insert_record(
            self._redis,
            keys.operator_token(token.id),
            _TOKEN.dump_json(token),
            index=keys.tokens_of_operator(token.operator_id),
            name=token.id,
            owner=keys.operator(token.operator_id),
        )

    async def update(self, operator: Operator) -> Operator | None:
        """Replace an operator that still has this version; None: another process has changed it."""
        after = replace(operator, version=operator.version + 1)
        record = _OPERATOR.dump_json(after)
        won = await replace_record(self._redis, keys.operator(operator.id), record, version=operator.version)
        return after if won else None

    async def update_token(self, token: OperatorToken) -> OperatorToken | None:
        """Replace a token that still has this version; None: another process has changed it."""
        after = replace(token, version=token.version + 1)
        record = _TOKEN.dump_json(after)
        won = await replace_record(self._redis, keys.operator_token(token.id), record, version=token.version)
        return after if won else None

    async def load(self, operator_id: str) -> Operator | None:
        """Return an operator; None: there is none."""
        record = await self._redis.execute("GET", keys.operator(operator_id))
        return None if record is None else _OPERATOR.validate_json(record)

    async def load_token(self, token_id: str) -> OperatorToken | None:
        """Return a token; None: there is none."""
        record = await self._redis.execute("GET", keys.operator_token(token_id))
        return None if record is None else _TOKEN.validate_json(record)
