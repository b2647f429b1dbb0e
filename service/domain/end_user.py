"""Pseudonyms of end users. fal receives a keyed hash, so only the gateway can trace abuse to an end user."""

import hmac
import re
from functools import lru_cache
from typing import Final

from service.domain.tenant import Tenant

_PREFIX: Final = "eu_"
_FORM: Final = re.compile(_PREFIX + r"[0-9a-f]{32}")


def is_pseudonym(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def packed(name: str) -> bytes:
    """Return the 16 bytes of a pseudonym, without its prefix."""
    return bytes.fromhex(name.removeprefix(_PREFIX))


def unpacked(value: bytes) -> str:
    return _PREFIX + value.hex()


def pseudonym(tenant: Tenant, end_user_id: str | None) -> str:
    """Return ``eu_`` and 32 hex digits of an HMAC under the tenant's key. Without an end user: of the tenant itself."""
    if end_user_id is None:
        return _of_tenant(tenant.pseudonym_key, tenant.id)
    return _keyed(tenant.pseudonym_key, "end_user:" + end_user_id)


@lru_cache(maxsize=1024)  # of tenants only: the id of an end user does not stay in memory
def _of_tenant(key: str, tenant_id: str) -> str:
    return _keyed(key, "tenant:" + tenant_id)


def _keyed(key: str, subject: str) -> str:
    return _PREFIX + hmac.digest(bytes.fromhex(key), subject.encode(), "sha256").hex()[:32]
