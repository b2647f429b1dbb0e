"""End users of a tenant: read, block and erase them; and trace a pseudonym, for operators."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from service.clock import Clock
from service.domain import budgets, end_user
from service.domain.erasure import Erasure
from service.domain.remains import Remains, remains
from service.domain.tenant import Tenant
from service.errors import NotFound, Unauthenticated
from service.store.keys import MONEY_RETENTION_SECONDS
from service.store.paging import Page
from service.store.tenants.end_user_lists import EndUserEntry, EndUserLists
from service.store.tenants.end_users import EndUserRecord, EndUserStore
from service.usecases.generations.concurrency import ReadQueue
from service.usecases.tenants.authentication import UNKNOWN_KEY
from service.usecases.tenants.erasure import ErasureJobs
from service.usecases.trail.recording import note, note_target, note_values

__all__ = ["EndUserEntry", "EndUsers"]

_UNKNOWN: Final = "There is no such end user."


class EndUsers:
    def __init__(
        self,
        end_users: EndUserStore,
        lists: EndUserLists,
        erasing: ErasureJobs,
        reads: ReadQueue,
        *,
        clock: Clock,
    ) -> None:
        self._end_users = end_users
        self._lists = lists
        self._erasing = erasing
        self._reads = reads
        self._clock = clock

    async def page(
        self,
        tenant: Tenant,
        *,
        prefix: str = "",
        blocked: bool | None = None,
        limit: int,
        after: str | None,
        brief: bool = False,
    ) -> Page[EndUserEntry]:
        """Return a page of the end users whose id begins with ``prefix``. A page may be short and not the last one.

        Blocked ones (``blocked``) are listed by pseudonym, with those whose id was erased, all others by id.
        ``brief``: examine ``limit`` end users at most, without today's money and the number of stored generations.
        """
        day = budgets.day(self._clock())

        def matches(entry: EndUserEntry) -> bool:
            fits = blocked in (None, entry.record.blocked_at is not None)
            return fits and (entry.record.end_user_id or "").startswith(prefix)

        async with self._reads.turn(tenant.id):
            if blocked:
                return await self._lists.blocked(
                    tenant.id, matches=matches, day=day, limit=limit, after=after, brief=brief
                )
            return await self._lists.by_name(
                tenant.id,
                prefix,
                pseudonym_of=lambda name: end_user.pseudonym(tenant, name),
                matches=matches,
                day=day,
                limit=limit,
                after=after,
                brief=brief,
            )

    async def get(self, tenant: Tenant, end_user_id: str) -> EndUserEntry:
        """Return an end user. Raises NotFound if the tenant has none of this id, even if another tenant has."""
        pseudonym = end_user.pseudonym(tenant, end_user_id)
        note_target(pseudonym)
        found = await self._lists.load(tenant.id, pseudonym, budgets.day(self._clock()))
        if not _is_known(found.record):
            raise NotFound(_UNKNOWN)
        return found

    async def require_known(self, tenant: Tenant, end_user_id: str) -> None:
        """Raise NotFound if the tenant has no end user of this id."""
        await self._known(tenant, end_user_id)

    async def block(self, tenant: Tenant, end_user_id: str, reason: str | None = None) -> EndUserEntry:
        """Refuse new generations of an end user. Without ``reason``, the reason of an earlier block stays.

        Raises:
            NotFound: the end user is unknown.
            Unauthenticated: the tenant was deleted after its key was checked.

        """
        record = await self._known(tenant, end_user_id)
        note_target(record.pseudonym)
        if not await self._end_users.block(tenant.id, record.pseudonym, self._clock(), reason):
            raise Unauthenticated(UNKNOWN_KEY)
        found = await self.get(tenant, end_user_id)
        _note_block(record, found.record)
        return found

    async def unblock(self, tenant: Tenant, end_user_id: str) -> EndUserEntry:
        """Accept new generations of an end user again. Raises as ``block``."""
        found = await self.get(tenant, end_user_id)  # before: of an erased end user nothing is left afterwards
        note_target(found.record.pseudonym)
        if not await self._end_users.unblock(tenant.id, found.record.pseudonym):
            raise Unauthenticated(UNKNOWN_KEY)
        unblocked = replace(found.record, blocked_at=None, block_reason=None)
        _note_block(found.record, unblocked)
        return replace(found, record=unblocked)

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
        note_values(erasure=(None, erased.state))
        return erased

    async def erasure(self, tenant: Tenant, end_user_id: str) -> Erasure:
        """Return the running or the last erasure of an end user. Raises NotFound."""
        pseudonym = end_user.pseudonym(tenant, end_user_id)
        note_target(pseudonym)
        found = await self._erasing.load(tenant.id, pseudonym)
        if found is None:
            raise NotFound("There is no erasure of this end user.")
        return found

    def remains(self, erasure: Erasure) -> list[Remains]:
        """Return what an erasure does not delete, and for how long it stays."""
        return remains(erasure, money_retention=timedelta(seconds=MONEY_RETENTION_SECONDS))

    async def _known(self, tenant: Tenant, end_user_id: str) -> EndUserRecord:
        record = await self._end_users.load(tenant.id, end_user.pseudonym(tenant, end_user_id))
        if not _is_known(record):
            raise NotFound(_UNKNOWN)
        return record

    async def trace(self, tenant: Tenant, pseudonym: str) -> EndUserRecord:
        """Return the end user of a pseudonym, which fal has. Raises NotFound."""
        record = await self._end_users.load(tenant.id, pseudonym) if end_user.is_pseudonym(pseudonym) else None
        if record is None or record.end_user_id is None:
            raise NotFound("This tenant has no such pseudonym, or it was erased.")
        return record


def _note_block(before: EndUserRecord, after: EndUserRecord) -> None:
    note_values(
        blocked_at=(before.blocked_at, after.blocked_at), block_reason=(before.block_reason, after.block_reason)
    )


def _is_known(record: EndUserRecord) -> bool:
    return record.end_user_id is not None or record.blocked_at is not None
