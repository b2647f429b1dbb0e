"""Tenants and their API keys. The gateway stores only the hash of a key.

A key has the form of a ``credential`` with the prefix ``sgk``.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from service.domain.credential import Credential, CredentialForm, KeyText
from service.domain.signing import SigningKey, in_force

KEY_PREFIX: Final = "sgk"
_FORM: Final = CredentialForm(KEY_PREFIX)


class Scope(StrEnum):
    GENERATE = "generate"
    READ = "read"
    MANAGE = "manage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a tenant; None: no limit of its own. Money in micro-USD."""

    requests_per_minute: int | None = None
    burst: int | None = None
    """Requests that may arrive at once; None: a tenth of ``requests_per_minute``."""
    queued_generations: int | None = None
    daily_generations: int | None = None
    """Generations created in a day (UTC), canceled ones included."""
    daily_new_end_users: int | None = None
    """End users named for the first time in a day (UTC)."""
    stored_deliveries: int | None = None
    """Pending deliveries, dead letters and delivered ones that are stored."""
    undelivered_tests: int | None = None
    """Test events whose delivery is pending."""
    webhook_endpoints: int | None = None
    """None: as many as a tenant can have."""
    concurrent_generations: int | None = None
    weight: int = 1
    """Its share of the slots, relative to other tenants that have queued generations."""
    models: tuple[str, ...] | None = None
    """Ids of the models that may be requested."""
    references: int | None = None
    """Reference files (images, videos, sounds) of one generation; 0: none."""
    resolutions: tuple[str, ...] | None = None
    durations: tuple[str, ...] | None = None
    monthly_budget: int | None = None
    end_user_daily_budget: int | None = None
    end_user_daily_count: int | None = None
    retention: timedelta | None = None
    webhook_url: str | None = field(default=None, repr=False)
    """URL for the events of generations whose request has no ``webhook_url``."""

    def may_use(self, model_id: str) -> bool:
        return self.models is None or model_id in self.models


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator has stopped the dispatch of a tenant."""

    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Suspension:
    """An operator refuses the requests of a tenant."""

    reason: str | None
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An internal service that calls the gateway. Its secrets are encrypted in the store."""

    id: str
    name: str
    webhook_secret: str = field(repr=False)
    """``whsec_`` and base64. It signs webhooks to a ``webhook_url``."""
    pseudonym_key: str = field(repr=False)
    """Key of the pseudonyms, in hex. The same end user has a different pseudonym for each tenant."""
    created_at: datetime
    pseudonym_key_version: int = 1
    suspended: bool = False
    suspension: Suspension | None = None
    """Since when and why it is suspended. None also if an older release has suspended it."""
    paused: Pause | None = None
    limits: Limits = Limits()
    require_end_user: bool = False
    retired_webhook_keys: tuple[SigningKey, ...] = field(default=(), repr=False)
    """Earlier secrets that also sign until their overlap ends. Encrypted in the store."""
    fal_signing_key: str = field(default="", repr=False)
    """``whsk_`` and base64 of an Ed25519 seed. It signs webhooks in fal's form. "": the tenant has none yet."""
    version: int = 1
    """Number of updates; the ETag of the admin API."""

    def signing(self, now: datetime) -> tuple[SigningKey, ...]:
        """Return the keys that sign webhooks to a ``webhook_url``, the current one first."""
        return (SigningKey(self.webhook_secret), *in_force(self.retired_webhook_keys, now))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(Credential):
    tenant_id: str
    scopes: tuple[Scope, ...] = tuple(Scope)


def new_key_text() -> tuple[KeyText, str]:
    """Make a key. Return its parts and its text, which is shown once."""
    return _FORM.new()


def parse_key(text: str) -> KeyText | None:
    """Return the parts of a key; None: wrong form or checksum, so it is mistyped."""
    return _FORM.parse(text)


def from_fal_form(text: str) -> str:
    """Return a key in the gateway's form. fal's form is ``<id>:<secret>``: some clients split it at the colon.

    ``<id>:<key>`` and ``sgk_<id>:<rest of the key>`` are accepted; any other text is returned as it is, and no key.
    """
    first, colon, rest = text.partition(":")
    if not colon:
        return text
    if first.startswith(f"{KEY_PREFIX}_"):
        return f"{first}_{rest}"
    return rest if rest.startswith(f"{KEY_PREFIX}_{first}_") else text
