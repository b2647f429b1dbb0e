"""End users of a tenant: read, block and erase them; and trace a pseudonym, for operators."""

from dataclasses import dataclass, replace
from typing import Final

from service.clock import Clock
from service.domain import budgets, end_user
from service.domain.budgets import Scope, Standing
from service.domain.erasure import Erasure
from service.domain.tenant import Tenant
from service.errors import NotFound, Unauthenticated
from service.store.money.money import MoneyStore
from service.store.tenants.end_users import EndUserRecord, EndUserStore
from service.usecases.tenants.authentication import UNKNOWN_KEY
from service.usecases.tenants.erasure import ErasureJobs
from service.usecases.trail.recording import note, note_target

_UNKNOWN: Final = "There is no such end user."


@dataclass(frozen=True, slots=True)
class EndUser:
    record: EndUserRecord
    today: Standing


class EndUsers:
    def __init__(
        self,
        end_users: EndUserStore,
        money_store: MoneyStore,
        erasing: ErasureJobs,
        *,
        clock: Clock,
    ) -> None:
        self._end_users = end_users
        self._money = money_store
        self._erasing = erasing
        self._clock = clock

    async def get(self, tenant: Tenant, end_user_id: str) -> EndUser:
        """Return an end user. Raises NotFound if the tenant has none of this id, even if another tenant has."""
        record, now = await self._known(tenant, end_user_id), self._clock()
        standings = await self._money.standings(
            tenant.id, record.pseudonym, today=budgets.day(now), this_month=budgets.month(now)
        )
        return EndUser(record, standings[Scope.END_USER_DAY])

    async def require_known(self, tenant: Tenant, end_user_id: str) -> None:
        """Raise NotFound if the tenant has no end user of this id."""
        await self._known(tenant, end_user_id)

    async def block(self, tenant: Tenant, end_user_id: str, reason: str | None = None) -> EndUser:
        """Refuse new generations of an end user. Without ``reason``, the reason of an earlier block stays.

        Raises:
            NotFound: the end user is unknown.
            Unauthenticated: the tenant was deleted after its key was checked.

        """
        record = await self._known(tenant, end_user_id)
        note_target(record.pseudonym)
        if not await self._end_users.block(tenant.id, record.pseudonym, self._clock(), reason):
            raise Unauthenticated(UNKNOWN_KEY)
        return await self.get(tenant, end_user_id)

    async def unblock(self, tenant: Tenant, end_user_id: str) -> EndUser:
        """Accept new generations of an end user again. Raises as ``block``."""
        found = await self.get(tenant, end_user_id)  # before: of an erased end user nothing is left afterwards
        note_target(found.record.pseudonym)
        if not await self._end_users.unblock(tenant.id, found.record.pseudonym):
            raise Unauthenticated(UNKNOWN_KEY)
        return replace(found, record=replace(found.record, blocked_at=None, block_reason=None))

    async def erase(self, tenant: Tenant, end_user_id: str) -> Erasure:
        """Erase the data of an end user: prompts, outputs, videos, webhooks, the id.

        Sums of money stay, under a pseudonym.
        A small erasure is done when this returns. A large one is ``running``: the workers continue it, and
        ``erasure`` reads its progress. What is created of the end user before it is done is erased too. A block stays.

        Raises:
            NotFound: the tenant has no id, block or generation of this end user.
            MediaUnavailable: the video store is unavailable; the workers continue.
            Unauthenticated: the tenant was deleted after its key was checked.

        """
        pseudonym = end_user.pseudonym(tenant, end_user_id)
        note_target(pseudonym)
        match await self._erasing.begin(tenant.id, pseudonym):
            case "gone":
                raise Unauthenticated(UNKNOWN_KEY)
            case "unknown":
                raise NotFound(_UNKNOWN)
        await self._erasing.erase_some(tenant.id, pseudonym)
        erased = await self.erasure(tenant, end_user_id)
        note(generations=erased.generations, in_flight=erased.in_flight)
        return erased

    async def erasure(self, tenant: Tenant, end_user_id: str) -> Erasure:
        """Return the running or the last erasure of an end user. Raises NotFound."""
        found = await self._erasing.load(tenant.id, end_user.pseudonym(tenant, end_user_id))
        if found is None:
            raise NotFound("There is no erasure of this end user.")
        return found

    async def _known(self, tenant: Tenant, end_user_id: str) -> EndUserRecord:
        record = await self._end_users.load(tenant.id, end_user.pseudonym(tenant, end_user_id))
        if record.end_user_id is None and record.blocked_at is None:
            raise NotFound(_UNKNOWN)
        return record

    async def trace(self, tenant: Tenant, pseudonym: str) -> EndUserRecord:
        """Return the end user of a pseudonym, which fal has. Raises NotFound."""
        record = await self._end_users.load(tenant.id, pseudonym) if end_user.is_pseudonym(pseudonym) else None
        if record is None or record.end_user_id is None:
            raise NotFound("This tenant has no such pseudonym, or it was erased.")
        return record
