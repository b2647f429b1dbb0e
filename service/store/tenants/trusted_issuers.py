"""Trusted issuers of tenants, and the index that finds them by the issuer of a token."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import TypeAdapter

from service.domain.identity import patterns
from service.domain.identity.trusted_issuer import MOST_OF_ISSUER, MOST_OF_TENANT, MOST_PATTERNS, TrustedIssuer
from service.store import keys
from service.store.redis.client import Redis, Script
from service.store.tenants.tenants import LookedUp, TenantStore

_TRUST: Final = Script("trust_issuer")
_DISTRUST: Final = Script("distrust_issuer")
_PAGE: Final = 200
_RECORD: Final = TypeAdapter(TrustedIssuer)

Written = Literal["inserted", "orphan", "tenant_full", "issuer_full", "patterns_full"]


@dataclass(frozen=True, slots=True)
class IssuerIndex:
    """The trusted issuers with one ``issuer``: ids by exact subject, and patterns with their ids."""

    content: tuple[bytes, ...]
    exact: dict[str, list[str]]
    patterns: tuple[tuple[str, str], ...]

    def of_subject(self, subject: str) -> list[str]:
        """Return the ids of those whose subject matches."""
        matching = [issuer_id for pattern, issuer_id in self.patterns if patterns.matches(pattern, subject)]
        return self.exact.get(subject, []) + matching

    def overlapping(self, subject: str) -> list[str]:
        """Return the ids of those whose subject matches one that this pattern matches too."""
        exact = [name for text, names in self.exact.items() if patterns.matches(subject, text) for name in names]
        return exact + [name for pattern, name in self.patterns if patterns.overlap(pattern, subject)]


class TrustedIssuerStore:
    def __init__(self, redis: Redis, tenants: TenantStore) -> None:
        self._redis = redis
        self._tenants = tenants

    async def insert(self, issuer: TrustedIssuer) -> Written:
        """Write a new trusted issuer.

        Raises:
            StoreFull: Redis accepts nothing new.

        """
        await self._redis.memory.demand_room()
        name_hash = _hash(issuer.issuer)
        reply: bytes = await self._redis.run(
            _TRUST,
            {
                "record": keys.trusted_issuer(issuer.id),
                "tenant": keys.tenant(issuer.tenant_id),
                "issuers_of_tenant": keys.trusted_issuers_of_tenant(issuer.tenant_id),
                "issuers_by_name": keys.trusted_issuers_by_name(name_hash),
            },
            {
                "record": _RECORD.dump_json(issuer),
                "id": issuer.id,
                "name_hash": name_hash,
                "subject": issuer.subject,
                "most_of_tenant": MOST_OF_TENANT,
                "most_of_issuer": MOST_OF_ISSUER,
                "most_patterns": MOST_PATTERNS,
            },
        )
        return _WRITTEN[reply]

    async def delete(self, issuer: TrustedIssuer) -> bool:
        """Delete a trusted issuer; False: it was deleted before."""
        return bool(
            await self._redis.run(
                _DISTRUST,
                {
                    "record": keys.trusted_issuer(issuer.id),
                    "used": keys.trusted_issuer_used(issuer.id),
                    "issuers_of_tenant": keys.trusted_issuers_of_tenant(issuer.tenant_id),
                    "issuers_by_name": keys.trusted_issuers_by_name(_hash(issuer.issuer)),
                },
                {"id": issuer.id},
            )
        )

    async def of_tenant(self, tenant_id: str) -> list[TrustedIssuer]:
        """Return the trusted issuers of a tenant, the oldest first."""
        names = await self._redis.execute("HKEYS", keys.trusted_issuers_of_tenant(tenant_id))
        return await self.load(sorted(name.decode() for name in names))

    async def load(self, issuer_ids: Iterable[str]) -> list[TrustedIssuer]:
        """Return the trusted issuers that exist, in the given order."""
        found: list[TrustedIssuer] = []
        ids = list(issuer_ids)
        for begin in range(0, len(ids), _PAGE):
            names = [keys.trusted_issuer(issuer_id) for issuer_id in ids[begin : begin + _PAGE]]
            records = await self._redis.execute("MGET", *names)
            found += [_RECORD.validate_json(record) for record in records if record is not None]
        return found

    async def last_uses(self, issuer_ids: list[str]) -> dict[str, str | None]:
        """Return when each was last used, to the minute (RFC 3339)."""
        moments = await self._redis.get_many(map(keys.trusted_issuer_used, issuer_ids))
        return {name: None if m is None else m.decode() for name, m in zip(issuer_ids, moments, strict=True)}

    async def look_up(self, issuer_id: str, before: LookedUp[TrustedIssuer] | None) -> LookedUp[TrustedIssuer] | None:
        """Return a trusted issuer with its tenant; None: there is none. ``before``: as ``TenantStore.with_tenant``."""
        return await self._tenants.with_tenant(keys.trusted_issuer(issuer_id), _RECORD, before)

    async def index(self, issuer: str, before: IssuerIndex | None = None) -> IssuerIndex:
        """Return the index of an issuer. ``before`` is an earlier result, returned if nothing has changed."""
        content = tuple(await self._redis.execute("HGETALL", keys.trusted_issuers_by_name(_hash(issuer))))
        if before is not None and content == before.content:
            return before
        exact: dict[str, list[str]] = {}
        with_wildcards: list[tuple[str, str]] = []
        for name, value in zip(content[::2], content[1::2], strict=True):
            issuer_id, subject = name.decode(), value.decode()
            if patterns.is_pattern(subject):
                with_wildcards.append((subject, issuer_id))
            else:
                exact.setdefault(subject, []).append(issuer_id)
        return IssuerIndex(content, exact, tuple(with_wildcards))


_WRITTEN: Final[dict[bytes, Written]] = {
    b"inserted": "inserted",
    b"orphan": "orphan",
    b"tenant_full": "tenant_full",
    b"issuer_full": "issuer_full",
    b"patterns_full": "patterns_full",
}


def _hash(issuer: str) -> str:
    return hashlib.sha256(issuer.encode()).hexdigest()[:32]
