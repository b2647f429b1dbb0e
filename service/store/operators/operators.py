"""Operators and their tokens."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter

from service.domain.operator import Operator, OperatorToken
from service.store import keys
from service.store.redis.client import Redis
from service.store.redis.records import insert_record, record_use, replace_record

_OPERATOR: Final = TypeAdapter(Operator)
_TOKEN: Final = TypeAdapter(OperatorToken)
#: More than an operator has.
_MOST_TOKENS: Final = 1_000


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

    async def count(self) -> int:
        return int(await self._redis.execute("ZCARD", keys.OPERATORS))

    async def page(self, *, limit: int, after: str | None) -> list[Operator]:
        """Return operators, the oldest first; ``after`` is the last id of the page before."""
        lower = "-" if after is None else f"({after}"
        names = await self._redis.execute("ZRANGEBYLEX", keys.OPERATORS, lower, "+", "LIMIT", 0, limit)
        records = await self._redis.get_many(keys.operator(name.decode()) for name in names)
        return [_OPERATOR.validate_json(record) for record in records if record is not None]

    async def list_tokens(self, operator_id: str) -> list[OperatorToken]:
        """Return the tokens of an operator, the oldest first."""
        names = await self._redis.execute("ZRANGE", keys.tokens_of_operator(operator_id), 0, _MOST_TOKENS)
        records = await self._redis.get_many(keys.operator_token(name.decode()) for name in names)
        found = [_TOKEN.validate_json(record) for record in records if record is not None]
        return sorted(found, key=lambda token: (token.created_at, token.id))

    async def forget_ended_tokens(self, operator_id: str, now: datetime, *, above: int) -> int:
        """Delete the tokens that are not valid any more if there are ``above`` ones. Return how many are left."""
        index = keys.tokens_of_operator(operator_id)
        count = int(await self._redis.execute("ZCARD", index))
        if count < above:
            return count
        ended = [token.id for token in await self.list_tokens(operator_id) if not token.is_valid(now)]
        for token_id in ended:
            await self._redis.execute("DEL", keys.operator_token(token_id), keys.operator_token_used(token_id))
            await self._redis.execute("ZREM", index, token_id)
        return count - len(ended)

    async def note_use(self, token_id: str, minute: str) -> None:
        """Record the minute (RFC 3339) in which a token was used."""
        await record_use(self._redis, keys.operator_token(token_id), keys.operator_token_used(token_id), minute)

    async def last_uses(self, token_ids: list[str]) -> dict[str, str | None]:
        """Return when each token was last used, to the minute (RFC 3339)."""
        moments = await self._redis.get_many(map(keys.operator_token_used, token_ids))
        return {name: None if m is None else m.decode() for name, m in zip(token_ids, moments, strict=True)}
