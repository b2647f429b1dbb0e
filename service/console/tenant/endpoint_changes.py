"""Register, change and delete webhook endpoints of the own tenant, and show and rotate their secrets."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from pydantic import TypeAdapter

from service.api.v1.webhook_endpoint_schemas import EndpointBody, EndpointChange, SecretRotation
from service.api.v1.webhook_endpoints import endpoint_patch, endpoint_spec
from service.console.confirm import Confirmation, confirmation_page
from service.console.form import Form
from service.console.inputs import Editing, Input, differences, editing_page, refused
from service.console.reason import reason_of
from service.console.rendering import duration, moment
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain.json_body import parse
from service.domain.signing import SigningKey
from service.domain.tenant import Scope
from service.domain.webhook import ENDS, EventType
from service.domain.webhook_endpoint import Endpoint
from service.errors import FieldError, Invalid, Malformed, PreconditionFailed

endpoint_changes = ConsoleRoutes()
_LIST: Final = ("/tenant/endpoints", "Webhook endpoints")
_NEW: Final = "Register an endpoint"
_ROTATE: Final = "Rotate a secret"
_EVENTS: Final = [(each.value, each.value) for each in EventType if each is not EventType.TEST]
_BODY: Final = TypeAdapter(EndpointBody)
_CHANGE: Final = TypeAdapter(EndpointChange)
_ROTATION: Final = TypeAdapter(SecretRotation)
_LONGEST_NUMBER: Final = 9


@endpoint_changes.page("/tenant/endpoints/new", needs=Scope.MANAGE)
async def edit_new_endpoint(_visit: Visit) -> Page:
    return editing_page(_NEW, _editing(None), parents=(_LIST,))


@endpoint_changes.preview("/tenant/endpoints/preview", needs=Scope.MANAGE)
async def preview_new_endpoint(visit: Visit) -> Page:
    text = json.dumps(_given(visit.form))
    try:
        body: EndpointBody = parse(_BODY, text.encode())
    except Invalid as error:
        return editing_page(_NEW, refused(_editing(None), visit.form, error), parents=(_LIST,), status=422)
    confirmation = Confirmation(
        action=_LIST[0],
        button=_NEW,
        back=f"{_LIST[0]}/new",
        effects=("The endpoint receives these events from now on. The next page shows its signing secret.",),
        changes=differences(None, body.model_dump(mode="json", exclude={"headers"})),
        hidden=(("body", text), ("newest", await _newest(visit))),
    )
    return confirmation_page(_NEW, confirmation, parents=(_LIST,))


@endpoint_changes.action(_LIST[0], needs=Scope.MANAGE)
async def create_webhook_endpoint(visit: Visit) -> Page:
    reason_of(visit)
    body: EndpointBody = parse(_BODY, visit.form.text("body").encode())
    if await _newest(visit) != visit.form.text("newest"):  # a reload of this page registers no second endpoint
        raise PreconditionFailed("Another endpoint was registered since the preview. Read the list of endpoints.")
    endpoint = await visit.runtime.webhooks.endpoints.create(visit.tenant, endpoint_spec(body))
    return _secret_page("New endpoint", "The endpoint is registered.", endpoint, endpoint.keys)


@endpoint_changes.page("/tenant/endpoints/{endpoint_id}/change", needs=Scope.MANAGE)
async def edit_endpoint(visit: Visit) -> Page:
    endpoint = await _endpoint(visit)
    return editing_page("Change an endpoint", _editing(endpoint), parents=_parents(endpoint))


@endpoint_changes.preview("/tenant/endpoints/{endpoint_id}/change/preview", needs=Scope.MANAGE)
async def preview_endpoint(visit: Visit) -> Page:
    endpoint, title = await _endpoint(visit), "Change an endpoint"
    before, after = _values(endpoint), _given(visit.form)
    text = json.dumps({name: value for name, value in after.items() if value != before[name]})
    try:
        parse(_CHANGE, text.encode())
        if text == "{}":
            raise _unchanged()
    except Invalid as error:
        given = refused(_editing(endpoint), visit.form, error)
        return editing_page(title, given, parents=_parents(endpoint), status=422)
    confirmation = Confirmation(
        action=f"{_own(endpoint)}/change",
        button="Change the endpoint",
        back=f"{_own(endpoint)}/change",
        effects=("Pending deliveries go to the new URL. Earlier deliveries are not sent again.",),
        changes=differences(before, {**before, **after}),
        hidden=(("body", text), ("version", str(endpoint.version))),
    )
    return confirmation_page(title, confirmation, parents=_parents(endpoint))


@endpoint_changes.action("/tenant/endpoints/{endpoint_id}/change", needs=Scope.MANAGE)
async def change_webhook_endpoint(visit: Visit) -> Redirect:
    reason_of(visit)
    endpoint = await _endpoint(visit)
    version = _number(visit.form.text("version"))
    if not isinstance(version, int):
        raise Malformed("The form is not that of a preview.")
    body: EndpointChange = parse(_CHANGE, visit.form.text("body").encode())
    changes, service = endpoint_patch(body), visit.runtime.webhooks.endpoints
    await service.change(visit.tenant, endpoint.id, changes, versions=frozenset({version}))
    return Redirect(_own(endpoint), "The endpoint is changed.")


@endpoint_changes.page("/tenant/endpoints/{endpoint_id}/delete", needs=Scope.MANAGE)
async def confirm_deletion_of_endpoint(visit: Visit) -> Page:
    endpoint = await _endpoint(visit)
    confirmation = Confirmation(
        action=f"{_own(endpoint)}/delete",
        button="Delete the endpoint",
        back=_own(endpoint),
        effects=("It receives nothing any more. Its pending deliveries become dead letters. This cannot be undone.",),
        facts=(("URL", endpoint.url), ("Events", ", ".join(endpoint.events))),
        is_dangerous=True,
    )
    return confirmation_page("Delete an endpoint", confirmation, parents=_parents(endpoint))


@endpoint_changes.action("/tenant/endpoints/{endpoint_id}/delete", needs=Scope.MANAGE)
async def delete_webhook_endpoint(visit: Visit) -> Redirect:
    reason_of(visit)
    await visit.runtime.webhooks.endpoints.delete(visit.tenant, visit.path_params["endpoint_id"])
    return Redirect(_LIST[0], "The endpoint is deleted.")


@endpoint_changes.page("/tenant/endpoints/{endpoint_id}/secret", needs=Scope.MANAGE)
async def show_webhook_secret(visit: Visit) -> Page:
    endpoint = await _endpoint(visit)
    keys = await visit.runtime.webhooks.endpoints.keys(visit.tenant, endpoint.id)
    return _secret_page("Signing secret", "These secrets sign now, the current one first.", endpoint, keys)


@endpoint_changes.page("/tenant/endpoints/{endpoint_id}/rotate", needs=Scope.MANAGE)
async def edit_rotation_of_secret(visit: Visit) -> Page:
    endpoint = await _endpoint(visit)
    return editing_page(_ROTATE, _rotation(endpoint), parents=_parents(endpoint))


@endpoint_changes.preview("/tenant/endpoints/{endpoint_id}/rotate/preview", needs=Scope.MANAGE)
async def preview_rotation_of_secret(visit: Visit) -> Page:
    endpoint = await _endpoint(visit)
    text = json.dumps({"overlap_seconds": _number(visit.form.text("overlap_seconds"))})
    try:
        body: SecretRotation = parse(_ROTATION, text.encode())
    except Invalid as error:
        given = refused(_rotation(endpoint), visit.form, error)
        return editing_page(_ROTATE, given, parents=_parents(endpoint), status=422)
    overlap = duration(timedelta(seconds=body.overlap_seconds))
    confirmation = Confirmation(
        action=f"{_own(endpoint)}/rotate",
        button="Rotate the secret",
        back=f"{_own(endpoint)}/rotate",
        effects=(f"A new secret signs from now on. For {overlap}, the old one signs too. The next page shows both.",),
        facts=(("URL", endpoint.url),),
        hidden=(("body", text), ("version", str(endpoint.version))),
    )
    return confirmation_page(_ROTATE, confirmation, parents=_parents(endpoint))


@endpoint_changes.action("/tenant/endpoints/{endpoint_id}/rotate", needs=Scope.MANAGE)
async def rotate_webhook_secret(visit: Visit) -> Page:
    reason_of(visit)
    endpoint = await _endpoint(visit)
    body: SecretRotation = parse(_ROTATION, visit.form.text("body").encode())
    if str(endpoint.version) != visit.form.text("version"):  # a reload of this page does not rotate again
        raise PreconditionFailed("The endpoint has changed since the preview. Its page shows the secret.")
    overlap = timedelta(seconds=body.overlap_seconds)
    keys = await visit.runtime.webhooks.endpoints.rotate(visit.tenant, endpoint.id, overlap=overlap)
    return _secret_page("New secret", "The secret is rotated.", endpoint, keys)


async def _endpoint(visit: Visit) -> Endpoint:
    return await visit.runtime.webhooks.endpoints.get(visit.tenant, visit.path_params["endpoint_id"])


async def _newest(visit: Visit) -> str:
    return max((each.id for each in await visit.runtime.webhooks.endpoints.list(visit.tenant)), default="")


def _own(endpoint: Endpoint) -> str:
    return f"{_LIST[0]}/{endpoint.id}"


def _parents(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    return (_LIST, (_own(endpoint), endpoint.url))


def _unchanged() -> Invalid:
    return Invalid(FieldError("", "nothing differs from the present values", "unchanged"))


def _number(text: str) -> int | str:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_number else text


def _values(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "events": [each.value for each in endpoint.events],
        "description": endpoint.description,
        "ed25519": endpoint.ed25519,
        "enabled": endpoint.disabled is None,
    }


def _given(form: Form) -> dict[str, Any]:
    switches = {name: form.text(name) == "yes" for name in ("ed25519", "enabled")}
    texts = {name: form.text(name) for name in ("url", "description")}
    return {**texts, "events": form.all("events"), **switches}


def _editing(endpoint: Endpoint | None) -> Editing:
    new: dict[str, Any] = {"url": "", "events": list(ENDS), "description": "", "ed25519": False, "enabled": True}
    values = new if endpoint is None else _values(endpoint)
    switch = (("yes", "yes"), ("no", "no"))
    return Editing(
        action=f"{_LIST[0]}/preview" if endpoint is None else f"{_own(endpoint)}/change/preview",
        back=_LIST[0] if endpoint is None else _own(endpoint),
        notes=("Headers that are sent with each event are set with PATCH /v1/webhook-endpoints.",),
        inputs=(
            Input(name="url", label="URL", value=values["url"], hint="Absolute http or https URL."),
            Input(name="events", label="Events", options=_EVENTS, is_multiple=True, chosen=values["events"]),
            Input(name="description", label="Description", value=values["description"], hint="Your own note."),
            Input(
                name="ed25519",
                label="Also sign with Ed25519",
                value="yes" if values["ed25519"] else "no",
                options=switch,
            ),
            Input(name="enabled", label="Enabled", value="yes" if values["enabled"] else "no", options=switch),
        ),
    )


def _rotation(endpoint: Endpoint) -> Editing:
    hint = "How long the old secret signs too: 0 to 604800 seconds. 86400 is a day."
    return Editing(
        action=f"{_own(endpoint)}/rotate/preview",
        back=_own(endpoint),
        inputs=(Input(name="overlap_seconds", label="Overlap (seconds)", value="86400", hint=hint),),
    )


def _secret_page(title: str, note: str, endpoint: Endpoint, keys: Sequence[SigningKey]) -> Page:
    context = {
        "notes": (note,),
        "secrets": [(f"Secret{'' if key.until is None else ' until its overlap ends'}", key.secret) for key in keys],
        "facts": [("URL", endpoint.url), *(("Old secret signs until", moment(key.until)) for key in keys if key.until)],
        "back": _own(endpoint),
        "back_title": "The endpoint",
    }
    return Page("secret.html", title, context, parents=_parents(endpoint), has_secret=True)
