"""Trusted issuers of a tenant, for operators: list, add after a preview, remove."""

import json
from typing import Any, Final

from service.api.admin.issuer_schemas import NEW_ISSUER, NewIssuer
from service.console.confirm import Confirmation, confirmation_page
from service.console.form import Form
from service.console.inputs import Editing, Input, differences, editing_page, refused
from service.console.oncall.tenant_pages import LIST, own_path, parents, scopes_input, tenant_of
from service.console.reason import reason_of
from service.console.rendering import moment
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain.identity.trusted_issuer import TrustedIssuer
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.errors import FieldError, Invalid

tenant_issuers = ConsoleRoutes()
_TITLE: Final = "Trusted issuers"
_ADD: Final = "Trust an issuer"
#: Fields of the form that are texts of the API, and those that are JSON.
_TEXTS: Final = ("name", "issuer", "audience", "subject", "jwks_url")
_JSON: Final = ("claims", "jwks")


@tenant_issuers.page("/oncall/tenants/{tenant_id}/issuers", needs=Role.VIEWER)
async def list_issuers_of_tenant(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    found = await visit.runtime.tenants.trusted_issuers.list(tenant.id)
    context = {"tenant": tenant, "issuers": found, "may_change": visit.may(Role.ADMIN)}
    return Page("oncall/issuers.html", _TITLE, context, parents=parents(tenant))


@tenant_issuers.page("/oncall/tenants/{tenant_id}/issuers/new", needs=Role.ADMIN)
async def edit_new_issuer(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    return editing_page(_ADD, _editing(tenant), parents=_parents(tenant))


@tenant_issuers.preview("/oncall/tenants/{tenant_id}/issuers/preview", needs=Role.ADMIN)
async def preview_new_issuer(visit: Visit) -> Page:
    """Show what is trusted. The key set is fetched by the action."""
    tenant = await tenant_of(visit)
    try:
        text = json.dumps(_given(visit.form))
        body: NewIssuer = parse(NEW_ISSUER, text.encode())
    except Invalid as error:
        given = refused(_editing(tenant), visit.form, error)
        return editing_page(_ADD, given, parents=_parents(tenant), status=422)
    confirmation = Confirmation(
        action=f"{own_path(tenant)}/issuers",
        button=_ADD,
        back=f"{own_path(tenant)}/issuers/new",
        effects=(
            "Tokens that match work wherever an API key of the tenant does, with these scopes.",
            "The key set is fetched once now. Nothing is added if it cannot be used, or if another rule overlaps.",
        ),
        facts=[("Tenant", tenant.name), ("Trusted issuers now", await _number(visit, tenant))],
        changes=differences(None, body.model_dump(mode="json", exclude_defaults=False)),
        hidden=(("body", text),),
    )
    return confirmation_page(_ADD, confirmation, parents=_parents(tenant))


@tenant_issuers.action("/oncall/tenants/{tenant_id}/issuers", needs=Role.ADMIN)
async def create_trusted_issuer(visit: Visit) -> Redirect:
    reason_of(visit)
    body: NewIssuer = parse(NEW_ISSUER, visit.form.text("body").encode())
    added = await visit.runtime.tenants.trusted_issuers.add(visit.path_params["tenant_id"], body.wanted())
    return Redirect(f"{LIST[0]}/{added.tenant_id}/issuers", f"The issuer {added.issuer} is trusted.")


@tenant_issuers.page("/oncall/tenants/{tenant_id}/issuers/{issuer_id}/remove", needs=Role.ADMIN)
async def confirm_removal(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    issuer, used = await visit.runtime.tenants.trusted_issuers.get(tenant.id, visit.path_params["issuer_id"])
    confirmation = Confirmation(
        action=f"{own_path(tenant)}/issuers/{issuer.id}/remove",
        button="Trust it no longer",
        back=f"{own_path(tenant)}/issuers",
        effects=(
            "Every process refuses its tokens within a second, and ends their waits and event streams.",
            "Accepted generations continue, and webhooks are sent. To undo this, add the issuer again.",
        ),
        facts=[*_facts(issuer), ("Last used", moment(used)), ("Informed", "no webhook is sent")],
        is_dangerous=True,
    )
    return confirmation_page("Trust an issuer no longer", confirmation, parents=_parents(tenant))


@tenant_issuers.action("/oncall/tenants/{tenant_id}/issuers/{issuer_id}/remove", needs=Role.ADMIN)
async def delete_trusted_issuer(visit: Visit) -> Redirect:
    reason_of(visit)
    tenant_id, issuer_id = visit.path_params["tenant_id"], visit.path_params["issuer_id"]
    await visit.runtime.tenants.trusted_issuers.remove(tenant_id, issuer_id)
    return Redirect(f"{LIST[0]}/{tenant_id}/issuers", "The issuer is trusted no longer.")


async def _number(visit: Visit, tenant: Tenant) -> int:
    return len(await visit.runtime.tenants.trusted_issuers.list(tenant.id))


def _parents(tenant: Tenant) -> tuple[tuple[str, str], ...]:
    return (*parents(tenant), (f"{own_path(tenant)}/issuers", _TITLE))


def _given(form: Form) -> dict[str, Any]:
    """Return the body that the form is. Raises Invalid: a field is no JSON."""
    given: dict[str, Any] = {name: form.text(name) for name in _TEXTS if form.text(name)}
    for name in _JSON:
        if text := form.text(name):
            try:
                given[name] = json.loads(text)
            except (ValueError, RecursionError):
                raise Invalid(FieldError(f"/{name}", "must be JSON", "json")) from None
    return {**given, "scopes": form.all("scopes")}


def _editing(tenant: Tenant) -> Editing:
    return Editing(
        action=f"{own_path(tenant)}/issuers/preview",
        back=f"{own_path(tenant)}/issuers",
        notes=("Signed tokens (JWT) of this issuer, with this audience, subject and claims, then act for the tenant.",),
        inputs=(
            Input(name="name", label="Name", hint="For people, at most 100 characters."),
            Input(name="issuer", label="Issuer", hint="iss of the tokens, or spiffe:// and a trust domain."),
            Input(name="audience", label="Audience", hint="aud of the tokens must have or contain it."),
            Input(name="subject", label="Subject", hint="sub. * is one part without / and :, ** is any characters."),
            Input(name="claims", label="Claims", is_long=True, hint="JSON object of names and patterns. Empty: none."),
            Input(name="jwks_url", label="URL of the key set", hint="Either this or the key set itself."),
            Input(name="jwks", label="Key set (JWKS)", is_long=True, hint="JSON of 16384 bytes at most."),
            scopes_input(),
        ),
    )


def _facts(issuer: TrustedIssuer) -> list[tuple[str, Any]]:
    return [
        ("Issuer", issuer.issuer),
        ("Audience", issuer.audience),
        ("Subject", issuer.subject),
        ("Claims", json.dumps(dict(issuer.claims)) if issuer.claims else "–"),
        ("Scopes", ", ".join(issuer.scopes)),
    ]
