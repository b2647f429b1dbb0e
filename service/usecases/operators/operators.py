"""Operators and their tokens."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from service.clock import Clock
from service.domain import ids
from service.domain.credential import hash_secret, is_credential_id
from service.domain.operator import Operator, OperatorToken, Role, new_token_text
from service.errors import Conflict, NotFound, PreconditionFailed
from service.store.operators.operators import OperatorStore
from service.usecases.conflicts import LOST, Lost, Versions, check_version, retry_on_conflict
from service.usecases.credentials import DEFAULT_OVERLAP, CredentialChanges
from service.usecases.trail.recording import note_change

#: Operators and tokens of one operator. Lists and the search for a further admin read all of them.
MOST_OPERATORS: Final = 1_000
MOST_TOKENS: Final = 100
_NO_OPERATOR: Final = "There is no such operator."


class NewToken(NamedTuple):
    """``text`` is shown once and stored nowhere."""

    token: OperatorToken
    text: str


class Operators:
    def __init__(self, store: OperatorStore, *, has_admin_token: bool, clock: Clock) -> None:
        """``has_admin_token``: GATEWAY_ADMIN_TOKEN is set, so that the last admin can be disabled."""
        self._store = store
        self._has_admin_token = has_admin_token
        self._clock = clock
        self._credentials = CredentialChanges("token", store.update_token, clock=clock)

    async def create(self, name: str, role: Role) -> Operator:
        """Create an operator. Raises Conflict if there are too many."""
        now = self._clock()
        if await self._store.count() >= MOST_OPERATORS:
            raise Conflict(f"There are {MOST_OPERATORS} operators already.")
        operator = Operator(id=ids.new(ids.OPERATOR, now), name=name, role=role, created_at=now)
        if not await self._store.insert(operator):
            raise AssertionError("Operator id collision")
        note_change(None, operator, target=operator.id)
        return operator

    async def page(self, *, limit: int = 100, after: str | None = None) -> list[Operator]:
        """Return operators, the oldest first; ``after``: the last id of the page before."""
        return await self._store.page(limit=limit, after=after)

    async def get(self, operator_id: str) -> Operator:
        """Return an operator. Raises NotFound."""
        operator = await self._store.load(operator_id) if ids.is_id(ids.OPERATOR, operator_id) else None
        if operator is None:
            raise NotFound(_NO_OPERATOR)
        return operator

    async def change(
        self, operator_id: str, *, name: str | None = None, role: Role | None = None, versions: Versions = None
    ) -> Operator:
        """Change name and role; None: unchanged. Acts at once, since each call reads the operator.

        Raises:
            NotFound: there is no such operator.
            Conflict: it is the last admin, and there is no admin token.
            PreconditionFailed: another request has changed the operator.

        """
        return await self._update(
            operator_id,
            lambda current: replace(current, name=name or current.name, role=role or current.role),
            versions=versions,
        )

    async def disable(self, operator_id: str, *, versions: Versions = None) -> Operator:
        """Refuse all tokens and logins of an operator, at once. A second call does not change the time. As ``change``.

        Raises as ``change``.
        """
        now = self._clock()
        return await self._update(
            operator_id, lambda current: replace(current, disabled_at=current.disabled_at or now), versions=versions
        )

    async def enable(self, operator_id: str, *, versions: Versions = None) -> Operator:
        """Accept the tokens and logins of an operator again. Raises as ``change``."""
        return await self._update(operator_id, lambda current: replace(current, disabled_at=None), versions=versions)

    async def _update(
        self, operator_id: str, change: Callable[[Operator], Operator], *, versions: Versions
    ) -> Operator:
        async def attempt() -> Operator | Lost:
            before = await self.get(operator_id)
            check_version(before.version, versions, "operator")
            after = change(before)
            if before.is_active_admin and not after.is_active_admin:
                await self._require_another_admin(operator_id)
            changed = await self._store.update(after)
            if changed is not None:
                note_change(before, changed, target=operator_id)
            return changed or LOST

        after = await retry_on_conflict(attempt)
        if after is LOST:
            raise PreconditionFailed("The operator is being changed by other requests; try again.")
        return after

    async def _require_another_admin(self, operator_id: str) -> None:
        """Raise Conflict if no one could manage operators over HTTP afterwards.

        Two such changes at the same time can both pass: the command line creates an admin then.
        """
        if self._has_admin_token:
            return
        everyone = await self._store.page(limit=MOST_OPERATORS, after=None)
        if not any(other.is_active_admin for other in everyone if other.id != operator_id):
            raise Conflict(
                "This is the last admin, and GATEWAY_ADMIN_TOKEN is unset: make another operator admin first."
            )

    async def create_token(self, operator_id: str, *, name: str = "", expires_at: datetime | None = None) -> NewToken:
        """Create a token. Raises NotFound, and Conflict if the operator has too many valid ones."""
        await self.get(operator_id)
        return await self._create_token(operator_id, name, expires_at)

    async def _create_token(
        self, operator_id: str, name: str, expires_at: datetime | None, *, part: str = ""
    ) -> NewToken:
        now = self._clock()
        if await self._store.forget_ended_tokens(operator_id, now, above=MOST_TOKENS) >= MOST_TOKENS:
            raise Conflict(f"The operator has {MOST_TOKENS} valid tokens; revoke those that are not used.")
        parts, text = new_token_text()
        token = OperatorToken(
            id=parts.id,
            operator_id=operator_id,
            secret_hash=hash_secret(parts.secret),
            name=name,
            created_at=now,
            expires_at=expires_at,
        )
        if not await self._store.insert_token(token):
            raise NotFound(_NO_OPERATOR)
        note_change(None, token, target=token.id, part=part)
        return NewToken(token, text)

    async def list_tokens(self, operator_id: str) -> list[tuple[OperatorToken, str | None]]:
        """Return the tokens, each with the minute of its last use. Raises NotFound."""
        await self.get(operator_id)
        found = await self._store.list_tokens(operator_id)
        uses = await self._store.last_uses([token.id for token in found])
        return [(token, uses[token.id]) for token in found]

    async def rotate_token(self, operator_id: str, token_id: str, *, overlap: timedelta = DEFAULT_OVERLAP) -> NewToken:
        """Create a successor with the same name and expiry. The old token works for ``overlap`` or to its expiry.

        Raises:
            NotFound: the operator has no such token.
            Conflict: the token is revoked or has expired.
            OverlapPromised: the token was rotated before, with an overlap that ends later.

        """

        async def succeed(old: OperatorToken) -> NewToken:
            return await self._create_token(operator_id, old.name, old.expiry_of_successor, part="successor.")

        return await self._credentials.rotate(lambda: self.get_token(operator_id, token_id), succeed, overlap)

    async def revoke_token(self, operator_id: str, token_id: str) -> OperatorToken:
        """Revoke a token, at once: no process caches tokens. A second call does not change the time."""
        return await self._credentials.revoke(lambda: self.get_token(operator_id, token_id))

    async def get_token(self, operator_id: str, token_id: str) -> OperatorToken:
        """Return a token of an operator. Raises NotFound."""
        token = await self._store.load_token(token_id) if is_credential_id(token_id) else None
        if token is None or token.operator_id != operator_id:
            raise NotFound("This operator has no such token.")
        return token
