"""API keys of a tenant, for operators: list, create, rotate, revoke. The text of a new key is shown once."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from service.api.admin.key_schemas import NEW_API_KEY, ROTATION, NewApiKey, Rotation, key_view
from service.console.api_keys import page_of_keys
from service.console.confirm import Confirmation, confirmation_page
from service.console.inputs import differences, editing_page, label, refused, shown
from service.console.oncall.tenant_key_forms import OVERLAP, key_facts, new_key_form, rotation_form
from service.console.oncall.tenant_pages import LIST, own_path, parents, tenant_of
from service.console.reason import reason_of
from service.console.rendering import duration, moment
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.tenant import ApiKey, Tenant
from service.errors import Invalid, PreconditionFailed
from service.usecases.tenants.api_keys import NewKey

tenant_keys = ConsoleRoutes()
_TITLE: Final = "API keys"
#: Keys that are counted: one command reads them.
_COUNTED: Final = 100
_SHOWN_FIELDS: Final = ("name", "scopes")


@tenant_keys.page("/oncall/tenants/{tenant_id}/keys", needs=Role.VIEWER)
async def list_keys_of_tenant(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    rows, following = await page_of_keys(visit, tenant.id, f"{own_path(tenant)}/keys")
    context = {"tenant": tenant, "keys": rows, "next": following, "may_change": visit.may(Role.ADMIN)}
    return Page("oncall/keys.html", _TITLE, context, parents=parents(tenant))


@tenant_keys.page("/oncall/tenants/{tenant_id}/keys/new", needs=Role.ADMIN)
async def edit_new_key(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    return editing_page("Create an API key", new_key_form(tenant), parents=_parents(tenant))


@tenant_keys.preview("/oncall/tenants/{tenant_id}/keys/preview", needs=Role.ADMIN)
async def preview_new_key(visit: Visit) -> Page:
    tenant, form = await tenant_of(visit), visit.form
    expiry = form.text("expires_at") or None
    text = json.dumps({"name": form.text("name"), "scopes": form.all("scopes"), "expires_at": expiry}).encode()
    try:
        body = parse(NEW_API_KEY, text)
    except Invalid as error:
        given = refused(new_key_form(tenant), form, error)
        return editing_page("Create an API key", given, parents=_parents(tenant), status=422)
    confirmation = Confirmation(
        action=f"{own_path(tenant)}/keys",
        button="Create the key",
        back=f"{own_path(tenant)}/keys/new",
        effects=("The next page shows the key. It is stored as a hash: no later page shows it again.",),
        facts=await _facts(visit, tenant),
        changes=differences(None, {**body.model_dump(mode="json"), "tenant": f"{tenant.name} ({tenant.id})"}),
        hidden=(("body", text.decode()), ("newest", _newest(await _keys(visit, tenant)))),
    )
    return confirmation_page("Create an API key", confirmation, parents=_parents(tenant))


@tenant_keys.action("/oncall/tenants/{tenant_id}/keys", needs=Role.ADMIN)
async def create_api_key(visit: Visit) -> Page:
    reason_of(visit)
    body: NewApiKey = parse(NEW_API_KEY, visit.form.text("body").encode())
    tenant = await _unchanged(visit)
    keys = visit.runtime.tenants.api_keys
    made = await keys.create(tenant.id, name=body.name, scopes=tuple(body.scopes), expires_at=body.expires_at)
    return _shown_once(tenant, made)


@tenant_keys.page("/oncall/tenants/{tenant_id}/keys/{key_id}/rotate", needs=Role.ADMIN)
async def edit_rotation_of_key(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    key, _ = await _key(visit, tenant)
    return editing_page("Rotate an API key", rotation_form(tenant, key), parents=_parents(tenant))


@tenant_keys.preview("/oncall/tenants/{tenant_id}/keys/{key_id}/rotate/preview", needs=Role.ADMIN)
async def preview_rotation_of_key(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    key, used = await _key(visit, tenant)
    text = _rotation_text(visit)
    try:
        body: Rotation = parse(ROTATION, text)
    except Invalid as error:
        given = refused(rotation_form(tenant, key), visit.form, error)
        return editing_page("Rotate an API key", given, parents=_parents(tenant), status=422)
    own = f"{own_path(tenant)}/keys/{key.id}"
    overlap = timedelta(seconds=body.overlap_seconds)
    confirmation = Confirmation(
        action=f"{own}/rotate",
        button="Rotate the key",
        back=f"{own}/rotate",
        effects=(
            "A successor has the same name, scopes and expiry. The next page shows it, and no later page.",
            f"The old key works for {duration(overlap)}. After that, all clients that still use it are refused.",
        ),
        facts=[*key_facts(key, used), *await _facts(visit, tenant)],
        changes=[(f"Expiry of {key.id}", _text(key.expires_at), _text(_end(visit.runtime.clock(), overlap, key)))],
        hidden=(("body", text.decode()), ("newest", _newest(await _keys(visit, tenant)))),
    )
    return confirmation_page("Rotate an API key", confirmation, parents=_parents(tenant))


@tenant_keys.action("/oncall/tenants/{tenant_id}/keys/{key_id}/rotate", needs=Role.ADMIN)
async def rotate_api_key(visit: Visit) -> Page:
    reason_of(visit)
    body: Rotation = parse(ROTATION, visit.form.text("body").encode())
    tenant = await _unchanged(visit)
    overlap = timedelta(seconds=body.overlap_seconds)
    made = await visit.runtime.tenants.api_keys.rotate(tenant.id, visit.path_params["key_id"], overlap=overlap)
    return _shown_once(tenant, made)


@tenant_keys.page("/oncall/tenants/{tenant_id}/keys/{key_id}/revoke", needs=Role.ADMIN)
async def confirm_revocation(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    key, used = await _key(visit, tenant)
    confirmation = Confirmation(
        action=f"{own_path(tenant)}/keys/{key.id}/revoke",
        button="Revoke the key",
        back=f"{own_path(tenant)}/keys",
        effects=(
            "Every process refuses the key within a second. Its waits, event streams and console sessions end.",
            "This cannot be undone. Accepted generations continue, and webhooks are sent.",
        ),
        facts=[*key_facts(key, used), *await _facts(visit, tenant, without=key.id)],
        is_dangerous=True,
    )
    return confirmation_page("Revoke an API key", confirmation, parents=_parents(tenant))


@tenant_keys.action("/oncall/tenants/{tenant_id}/keys/{key_id}/revoke", needs=Role.ADMIN)
async def revoke_api_key(visit: Visit) -> Redirect:
    reason_of(visit)
    tenant_id = visit.path_params["tenant_id"]
    key = await visit.runtime.tenants.api_keys.revoke(tenant_id, visit.path_params["key_id"])
    return Redirect(f"{LIST[0]}/{tenant_id}/keys", f"The key {key.id} is revoked.")


async def _keys(visit: Visit, tenant: Tenant) -> list[tuple[ApiKey, str | None]]:
    return await visit.runtime.tenants.api_keys.of_tenant(tenant.id)


async def _key(visit: Visit, tenant: Tenant) -> tuple[ApiKey, str | None]:
    return await visit.runtime.tenants.api_keys.get(tenant.id, visit.path_params["key_id"])


def _newest(keys: list[tuple[ApiKey, str | None]]) -> str:
    return max(((key.created_at, key.id) for key, _ in keys), default=(None, ""))[1]


async def _unchanged(visit: Visit) -> Tenant:
    """Return the tenant. Raises PreconditionFailed: a key was created since the preview, for example by a reload."""
    tenant = await tenant_of(visit)
    if _newest(await _keys(visit, tenant)) != visit.form.text("newest"):
        raise PreconditionFailed("The tenant has another key since the preview. Read the list of its keys.")
    return tenant


def _parents(tenant: Tenant) -> tuple[tuple[str, str], ...]:
    return (*parents(tenant), (f"{own_path(tenant)}/keys", _TITLE))


def _rotation_text(visit: Visit) -> bytes:
    given = visit.form.text(OVERLAP)
    is_number = given.isascii() and given.isdecimal() and len(given) < 10
    return json.dumps({OVERLAP: int(given) if is_number else given}).encode()


def _end(now: datetime, overlap: timedelta, key: ApiKey) -> datetime:
    return now + overlap if key.expires_at is None else min(now + overlap, key.expires_at)


def _text(value: datetime | None) -> str:
    return "never" if value is None else moment(value)


async def _facts(visit: Visit, tenant: Tenant, *, without: str = "") -> list[tuple[str, Any]]:
    """Return who the action concerns: how many keys the callers of the tenant have."""
    now = visit.runtime.clock()
    found = await visit.runtime.tenants.api_keys.page(tenant.id, limit=_COUNTED)
    valid = [key for key, _ in found if key.is_valid(now) and key.id != without]
    number = str(len(valid)) + (" or more" if len(found) == _COUNTED else "")
    facts: list[tuple[str, Any]] = [
        ("Tenant", tenant.name),
        ("Other valid keys" if without else "Valid keys", number),
    ]
    if without and not valid and len(found) < _COUNTED:
        facts.append(("Loses access", "every client of the tenant without a trusted issuer"))
    return [*facts, ("Informed", "no webhook is sent: give the key to its tenant yourself")]


def _shown_once(tenant: Tenant, made: NewKey) -> Page:
    view = key_view(made.key)
    context = {
        "notes": ("The key is created.", "Copy it now: no later page shows it."),
        "secrets": [("API key", made.text)],
        "facts": [
            ("Id", made.key.id),
            *((label(name), shown(view[name])) for name in _SHOWN_FIELDS if view[name]),
            ("Expires", _text(made.key.expires_at)),
        ],
        "back": f"{own_path(tenant)}/keys",
        "back_title": "All keys of the tenant",
    }
    return Page("secret.html", "New API key", context, parents=_parents(tenant), has_secret=True)
