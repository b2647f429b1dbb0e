"""Entries of the audit trail: who did what, when and why, to what, with which outcome.

Secrets are never in an entry, and end users are there under their pseudonyms, because an erasure cannot change an
entry: see ``chain``.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from service.domain import ids
from service.domain.actor import Actor
from service.domain.credential import is_credential_id
from service.domain.end_user import is_pseudonym

#: In place of a secret that changed.
REDACTED: Final = "[redacted]"
#: Not a change of its own: it counts the others.
_UNTOLD: Final = frozenset({"version"})
_LONGEST_VALUE: Final = 1_000


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    """Nothing but ``changes`` was changed; ``error`` is the code."""
    FAILED = "failed"
    """The gateway failed. Whether something was changed is not known."""
    UNKNOWN = "unknown"
    """The process ended, or the call was canceled, before the outcome was known."""


Changes = dict[str, tuple[Any, Any]]
"""Names of fields, like ``limits.weight``, with their JSON values before and after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    at: datetime
    """When the act began."""
    actor: Actor
    action: str
    """Name of the operation, as in the OpenAPI document: ``pause_dispatch``."""
    target: str | None = None
    """Id of what was acted on. None: the gateway itself, or a text that is no id."""
    tenant_id: str | None = None
    """The tenant that was acted on, or that acted."""
    reason: str | None = None
    changes: Changes = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    """Further facts: counts, or conditions of a filter."""
    outcome: Outcome
    error: str | None = None
    """Code of the refusal."""


ENTRY: Final = TypeAdapter(Entry)
_PREFIXES: Final = (
    ids.GENERATION,
    ids.DELIVERY,
    ids.TENANT,
    ids.ENDPOINT,
    ids.OPERATOR,
    ids.BULK_JOB,
    ids.TRUSTED_ISSUER,
)


def known_form(target: str | None) -> str | None:
    """Return a target that has the form of an id; None: it has not, and could be a secret or the name of a person."""
    if target is None or is_pseudonym(target) or is_credential_id(target):
        return target
    return target if any(ids.is_id(prefix, target) for prefix in _PREFIXES) else None


def changes_between(before: object | None, after: object | None) -> Changes:
    """Return the fields that differ between two dataclasses of one type; None: it did not exist, or does no longer.

    Fields that ``repr`` does not show are secrets: a change is stated, and no value.
    """
    old, new = _flat(before), _flat(after)
    found: Changes = {}
    for name in sorted(old.keys() | new.keys()):
        (was, secret), (becomes, is_secret) = old.get(name, (None, False)), new.get(name, (None, False))
        if was == becomes:
            continue
        hides = secret or is_secret
        found[name] = (_shown(was, hides=hides), _shown(becomes, hides=hides))
    return found


def _flat(value: object | None, prefix: str = "", *, secret: bool = False) -> dict[str, tuple[Any, bool]]:
    if value is None or not is_dataclass(value):
        return {}
    flat: dict[str, tuple[Any, bool]] = {}
    for part in fields(value):
        if part.name in _UNTOLD:
            continue
        name, inner = prefix + part.name, getattr(value, part.name)
        hidden = secret or not part.repr
        if is_dataclass(inner):
            flat |= _flat(inner, f"{name}.", secret=hidden)
        elif inner is not None:
            flat[name] = (inner, hidden)
    return flat


def _shown(value: Any, *, hides: bool) -> Any:
    if value is None:
        return None
    if hides:
        return REDACTED
    plain = to_jsonable_python(value)
    return plain if len(str(plain)) <= _LONGEST_VALUE else f"{str(plain)[:_LONGEST_VALUE]}..."
