"""Forms of a tenant's API keys: a new key, and a rotation."""

from typing import Any, Final

from service.console.inputs import Editing, Input
from service.console.oncall.tenant_pages import own_path, scopes_input
from service.console.rendering import moment
from service.domain.tenant import ApiKey, Tenant

OVERLAP: Final = "overlap_seconds"
_DAY: Final = str(24 * 3600)


def new_key_form(tenant: Tenant) -> Editing:
    return Editing(
        action=f"{own_path(tenant)}/keys/preview",
        back=f"{own_path(tenant)}/keys",
        inputs=(
            Input(name="name", label="Name", hint="For people, at most 100 characters."),
            scopes_input(
                hint="generate creates, cancels, uploads; read reads; manage changes webhooks, secrets, end users.",
            ),
            Input(name="expires_at", label="Expires at", hint="Like 2026-12-31T00:00:00Z. Empty: never."),
        ),
    )


def rotation_form(tenant: Tenant, key: ApiKey) -> Editing:
    hint = "How long the old key still works: 0 to 2592000 seconds. 86400 is a day."
    return Editing(
        action=f"{own_path(tenant)}/keys/{key.id}/rotate/preview",
        back=f"{own_path(tenant)}/keys",
        inputs=(Input(name=OVERLAP, label="Overlap (seconds)", value=_DAY, hint=hint),),
        notes=(f"Key {key.id}: {key.name or 'no name'}.",),
    )


def key_facts(key: ApiKey, used: str | None) -> list[tuple[str, Any]]:
    return [
        ("Key", key.id),
        ("Name", key.name or "–"),
        ("Scopes", ", ".join(key.scopes)),
        ("Last used", "never" if used is None else moment(used)),
    ]
