"""What a tenant does with its end users: look, block, erase; and an operator: trace."""

from dataclasses import dataclass

from service.domain import end_user, money
from service.domain.generation import Generation, Status
from service.domain.money import Scope, Standing
from service.domain.tenant import Tenant
from service.errors import NotFound
from service.media.videos import VideoStore
from service.store.deliveries import DeliveryStore
from service.store.end_users import EndUserRecord, EndUserStore
from service.store.generations import GenerationStore
from service.store.money import MoneyStore
from service.usecases import videos
from service.usecases.moves import Clock, Moves


@dataclass(frozen=True, slots=True)
class EndUser:
    record: EndUserRecord
    today: Standing


@dataclass(frozen=True, slots=True)
class Erased:
    """``in_flight``: stripped of all it held, and forgotten as soon as they end."""

    generations: int
    in_flight: int


class EndUsers:
    def __init__(
        self,
        end_users: EndUserStore,
        generations: GenerationStore,
        deliveries: DeliveryStore,
        money_store: MoneyStore,
        kept: VideoStore | None,
        moves: Moves,
        *,
        clock: Clock,
    ) -> None:
        self._end_users = end_users
        self._generations = generations
        self._deliveries = deliveries
        self._money = money_store
        self._videos = kept
        self._moves = moves
        self._clock = clock

    async def get(self, tenant: Tenant, end_user_id: str) -> EndUser:
        """Raises NotFound where nothing is known of it, whoever else may know it."""
        record, now = await self._known(tenant, end_user_id), self._clock()
        standings = await self._money.standings(
            tenant.id, record.pseudonym, today=money.day(now), this_month=money.month(now)
        )
        return EndUser(record, standings[Scope.END_USER_DAY])

    async def block(self, tenant: Tenant, end_user_id: str) -> EndUser:
        """New generations of it are refused. Raises NotFound."""
        record = await self._known(tenant, end_user_id)
        await self._end_users.block(tenant.id, record.pseudonym, self._clock())
        return await self.get(tenant, end_user_id)

    async def unblock(self, tenant: Tenant, end_user_id: str) -> None:
        """Raises NotFound."""
        record = await self._known(tenant, end_user_id)
        await self._end_users.unblock(tenant.id, record.pseudonym)

    async def erase(self, tenant: Tenant, end_user_id: str) -> Erased:
        """Prompts, outputs, videos, webhooks and the name are gone when this returns; sums stay, under a pseudonym.

        Raises NotFound. A block stays, and is all that is known then.
        """
        pseudonym = (await self._known(tenant, end_user_id)).pseudonym
        names = [name async for name in self._end_users.generations(tenant.id, pseudonym)]
        in_flight = 0
        for name in names:
            g = await self._moves.apply(name, self._erased)
            if g is not None and not g.is_terminal:
                await self._deliveries.delete(tenant.id, g.deliveries)  # they quote what it was before
                in_flight += 1
            elif (ended := g or await self._generations.load(name)) is not None:
                await videos.forget(self._videos, ended)
                await self._deliveries.delete(tenant.id, ended.deliveries)
                await self._generations.purge(ended)
        await self._end_users.forget(tenant.id, pseudonym)
        return Erased(len(names), in_flight)

    async def _known(self, tenant: Tenant, end_user_id: str) -> EndUserRecord:
        record = await self._end_users.load(tenant.id, end_user.pseudonym(tenant, end_user_id))
        if record.end_user_id is None and record.blocked_at is None:
            raise NotFound("There is no such end user.")
        return record

    async def trace(self, tenant: Tenant, pseudonym: str) -> EndUserRecord:
        """From the name fal knows to the tenant's own."""
        record = await self._end_users.load(tenant.id, pseudonym) if end_user.is_pseudonym(pseudonym) else None
        if record is None or record.end_user_id is None:
            raise NotFound("This tenant has no such pseudonym, or it was erased.")
        return record

    def _erased(self, g: Generation) -> Generation | None:
        if g.is_terminal:
            return None
        now = self._clock()
        stripped = g.stripped(now)
        if g.copying is not None:
            return stripped.copied(now)  # less its output: nothing is kept of it
        return stripped.canceled(0, now) if g.status is Status.QUEUED else stripped
