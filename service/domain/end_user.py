"""The tenant's own customers. fal gets a keyed pseudonym, so that abuse can be traced by us and by nobody else."""

import hashlib
import hmac

from service.domain.tenant import Tenant


def pseudonym(tenant: Tenant, end_user_id: str | None) -> str:
    """``eu_`` + 32 hex digits of an HMAC under the tenant's key; without an end user the tenant itself is meant."""
    subject = b"tenant:" + tenant.id.encode() if end_user_id is None else b"end_user:" + end_user_id.encode()
    digest = hmac.new(bytes.fromhex(tenant.pseudonym_key), subject, hashlib.sha256)
    return f"eu_{digest.hexdigest()[:32]}"
