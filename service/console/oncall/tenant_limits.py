"""Limits, budgets, weight and slots of a tenant: a form with the present values, a preview, and the change."""

import json
import re
from typing import Any, Final

from service.api.admin.limits_schemas import LimitsBody, limits_view
from service.api.admin.tenant_schemas import TENANT_CHANGE, TenantChange, month_view
from service.api.admin.tenants import changed, check_change
from service.console.confirm import Confirmation, confirmation_page
from service.console.inputs import Editing, Input, differences, editing_page, label, refused, shown
from service.console.oncall.tenant_pages import own_path, parents, tenant_of
from service.console.reason import reason_of
from service.console.rendering import money
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.tenant import Tenant
from service.errors import FieldError, Invalid, Malformed

tenant_limits = ConsoleRoutes()
_TITLE: Final = "Limits and budgets"
_FIELDS: Final[dict[str, Any]] = LimitsBody.model_json_schema()["properties"]
_OF_TENANT: Final = ("name", "require_end_user")
_YES_NO: Final = (("yes", "yes"), ("no", "no"))
_NUMBER: Final = re.compile(r"[0-9]{1,15}")


@tenant_limits.page("/oncall/tenants/{tenant_id}/limits", needs=Role.ADMIN)
async def edit_limits(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    return editing_page(_TITLE, _editing(tenant), parents=parents(tenant))


@tenant_limits.preview("/oncall/tenants/{tenant_id}/limits/preview", needs=Role.ADMIN)
async def preview_limits(visit: Visit) -> Page:
    tenant = await tenant_of(visit)
    editing = _editing(tenant)
    text = json.dumps(_given(visit, tenant))
    try:
        body = parse(TENANT_CHANGE, text.encode())
        check_change(visit.runtime, body)
        after = body.applied_to(tenant)
        changes = _changes(tenant, after)
    except Invalid as error:
        given = refused(editing, visit.form, error)
        return editing_page(_TITLE, given, parents=parents(tenant), status=422)
    confirmation = Confirmation(
        action=f"{own_path(tenant)}/limits",
        button="Change the tenant",
        back=f"{own_path(tenant)}/limits",
        effects=_effects(body),
        facts=await _affected(visit, tenant, after),
        changes=changes,
        hidden=(("body", text), ("version", str(tenant.version))),
    )
    return confirmation_page(f"Change {tenant.name}", confirmation, parents=parents(tenant))


@tenant_limits.action("/oncall/tenants/{tenant_id}/limits", needs=Role.ADMIN)
async def change_tenant(visit: Visit) -> Redirect:
    """Change the tenant as the preview showed. A tenant that has changed since is left as it is."""
    reason_of(visit)
    version = visit.form.text("version")
    if not _NUMBER.fullmatch(version):
        raise Malformed("The form is not that of a preview.")
    body = parse(TENANT_CHANGE, visit.form.text("body").encode())
    tenant = await changed(visit.runtime, visit.path_params["tenant_id"], body, versions=frozenset({int(version)}))
    return Redirect(own_path(tenant), f"{tenant.name} is changed.")


def _values(tenant: Tenant) -> dict[str, Any]:
    """Return the fields of the form with their values, as the API returns them."""
    own = {"name": tenant.name, "require_end_user": tenant.require_end_user}
    return {**own, **limits_view(tenant.limits)}


def _changes(before: Tenant, after: Tenant) -> list[tuple[str, str, str]]:
    """Return what differs. Raises Invalid: nothing does."""
    found = differences(_values(before), _values(after))
    if not found:
        raise Invalid(FieldError("", "nothing differs from the present values", "unchanged"))
    return found


def _editing(tenant: Tenant) -> Editing:
    return Editing(
        action=f"{own_path(tenant)}/limits/preview",
        back=own_path(tenant),
        inputs=[_input(name, value) for name, value in _values(tenant).items()],
        notes=("An empty field is no limit of the tenant's own. Lists are separated by commas.",),
    )


def _input(name: str, value: Any) -> Input:
    hint = _hint(_FIELDS[name].get("description", "")) if name in _FIELDS else ""
    options = _YES_NO if isinstance(value, bool) else ()
    return Input(name=name, label=label(name), value=shown(value), hint=hint, options=options)


def _hint(description: str) -> str:
    """Return a description of the API in terms of the form: null is an empty field."""
    return description.replace("Default `null`", "Empty").replace("`null`", "Empty").replace("`", "")


def _given(visit: Visit, tenant: Tenant) -> dict[str, Any]:
    """Return the body of a change with the fields that differ from their present values."""
    present = {name: shown(value) for name, value in _values(tenant).items()}
    form = visit.form
    given = {name: form.text(name) for name in present if form.all(name) and form.text(name) != present[name]}
    own: dict[str, Any] = {name: given.pop(name) for name in _OF_TENANT if name in given}
    if "require_end_user" in own:
        own["require_end_user"] = own["require_end_user"] == "yes"
    limits = {name: _parsed(name, text) for name, text in given.items()}
    return {**own, "limits": limits} if limits else own


def _parsed(name: str, text: str) -> Any:
    """Return a field's text as the API reads it. A text that is no number stays: the API's check refuses it."""
    kinds = {each.get("type") for each in _FIELDS[name].get("anyOf", [_FIELDS[name]])}
    if not text:
        return None
    if "array" in kinds:
        return [part for part in text.replace(",", " ").split() if part]
    return int(text) if "integer" in kinds and _NUMBER.fullmatch(text) else text


def _effects(body: TenantChange) -> tuple[str, ...]:
    common = "Every process applies the new values within a second. The tenant reads them in GET /v1/me."
    if body.limits is not None and body.limits.model_fields_set & {"weight", "concurrent_generations"}:
        return (common, "Weight and slots change which generations are submitted next, of this and of other tenants.")
    return (common,)


async def _affected(visit: Visit, tenant: Tenant, after: Tenant) -> list[tuple[str, Any]]:
    counters = (await visit.runtime.tenants.overviews.read(tenant)).counters
    is_over = month_view(after, counters.month)["over"]
    facts: list[tuple[str, Any]] = [
        ("Queued", counters.queued),
        ("At fal", counters.in_flight),
        ("Created today", counters.created_today),
        ("Spent this month", money(counters.month.spent)),
        ("Held", money(counters.month.held)),
        ("Informed", "no webhook is sent"),
    ]
    if is_over:
        facts.append(("Over the new budget", "all creates of the tenant are refused with 402 from now on"))
    return facts
