"""Terms of generations: the conditions that the indexes of terms answer, and the entries of each generation in them.

A term is a hash of a condition. An entry of an index is a term and the id of a generation, so that all generations with
one term are a range of the index, in the order of their creation. The hash has 6 bytes: an entry then takes no more
memory than the id alone. Different conditions may have the same term, so a reader compares each record with its filter.

The index of all tenants has status, error code and fal's request id. That of a tenant has what ends without a video,
error codes and metadata. Generations that succeeded have no term for it: they are most of all generations, so that
a walk through the index of all finds them.
"""

import hashlib
from collections.abc import Collection, Iterable
from functools import cache
from typing import Final

from service.domain.generation import Generation
from service.domain.status import Status

#: Bytes of a term; ``parts/terms.lua`` has the same number.
LENGTH: Final = 6


def _term(*condition: str) -> bytes:
    return hashlib.blake2b("\0".join(condition).encode(), digest_size=LENGTH).digest()


QUEUED: Final = _term("status", "queued")
#: All statuses between ``queued`` and an end: few generations, which the slots of the account limit.
IN_FLIGHT: Final = _term("status", "in_flight")
ENDED: Final = {status: _term("status", status) for status in (Status.FAILED, Status.CANCELED)}
_LIVE: Final = frozenset((QUEUED, IN_FLIGHT))


@cache
def of_code(code: str) -> bytes:
    """Return the term of an error code, of which there is a fixed list."""
    return _term("code", code)


def of_request_id(request_id: str) -> bytes:
    return _term("request_id", request_id)


def of_metadata(name: str, value: str) -> bytes:
    return _term("metadata", name, value)


def account_terms(g: Generation) -> set[bytes]:
    """Return the terms of a generation in the index of all tenants."""
    found = _of_end(g) if g.is_terminal else {QUEUED if g.status is Status.QUEUED else IN_FLIGHT}
    if g.request_id is not None:
        found.add(of_request_id(g.request_id))
    return found


def tenant_terms(g: Generation) -> set[bytes]:
    """Return the terms of a generation in the index of its tenant."""
    return _of_end(g) | {of_metadata(name, value) for name, value in g.metadata.items()}


def _of_end(g: Generation) -> set[bytes]:
    found = {ENDED[g.status]} if g.status in ENDED else set()
    if g.error is not None:
        found.add(of_code(g.error.code))
    return found


def status_entry(g: Generation) -> bytes:
    """Return the one entry of a new generation in the index of all tenants. It is made in each create: no set here."""
    return (QUEUED if g.status is Status.QUEUED else IN_FLIGHT) + g.id.encode()


def of_new(g: Generation) -> bytes:
    """Return the terms of a new generation in the index of its tenant."""
    return b"".join([of_metadata(name, value) for name, value in g.metadata.items()]) if g.metadata else b""


def _terms_of(g: Generation) -> dict[str, bytes]:
    return {"terms": _joined(account_terms(g)), "tenant_terms": _joined(tenant_terms(g))}


def complete(g: Generation) -> dict[str, bytes]:
    """Return all terms of a generation, and those that an older release may have left, as arguments of the script."""
    return {**_terms_of(g), "stale_terms": _joined(_LIVE - account_terms(g))}


def all_of(g: Generation) -> dict[str, bytes]:
    """Return every term that a generation that is purged may have, as arguments of the script."""
    return {**_terms_of(g), "terms": _joined(account_terms(g) | _LIVE)}


def changed(g: Generation, before: Generation | None) -> dict[str, bytes]:
    """Return what a transition adds and removes, as arguments of the scripts.

    ``before``: the record that it started from. None: a transition of the status, after which nothing else is stale.
    """
    now, now_of_tenant = account_terms(g), tenant_terms(g)
    was, was_of_tenant = (_LIVE, set[bytes]()) if before is None else (account_terms(before), tenant_terms(before))
    added, added_of_tenant = (now, now_of_tenant) if before is None else (now - was, now_of_tenant - was_of_tenant)
    return {
        "terms": _joined(added),
        "stale_terms": _joined(was - now),
        "tenant_terms": _joined(added_of_tenant),
        "stale_tenant_terms": _joined(was_of_tenant - now_of_tenant),
    }


def _joined(terms: Collection[bytes]) -> bytes:
    return b"".join(sorted(terms))


def entries(terms: Iterable[bytes], generation_id: str) -> list[bytes]:
    """Return the entries of a generation for these terms."""
    return [term + generation_id.encode() for term in terms]
