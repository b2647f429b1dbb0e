"""Reads a submit in fal's form: the input is the whole body, options are in headers and query."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from service.api.http.bodies import release_memory, whole_body
from service.api.http.dependencies import caller_of, runtime
from service.api.http.response_receipt import client_of
from service.api.v1.generations import check_fields, check_images, idempotency_key, traceparent
from service.domain.faults import sentence
from service.domain.field_types import Url
from service.domain.lax_request import LaxCreate, parse_lax_create
from service.domain.models.model import Model
from service.domain.request import CreateGeneration
from service.domain.tenant import Tenant
from service.errors import (
    DraftExpired,
    DraftFailed,
    DraftNotReady,
    FieldError,
    Invalid,
    Malformed,
    NotADraft,
    NotFound,
)
from service.observability import log
from service.runtime import Runtime
from service.usecases.generations import completions
from service.usecases.generations.create import CreateOptions
from service.usecases.generations.resends import Submission

_URL: Final = TypeAdapter(Url)
IGNORED_FIELDS: Final = "x-fal-ignored-fields"
_IGNORED: Final = "gateway.ignored_fields"
_MOST_NAMES: Final = 20
_LONGEST_NAME: Final = 64  # characters
_LONGEST_NUMBER: Final = 9  # digits
_SHORTEST_TIMEOUT: Final = 0.1  # seconds, as fal has it
_LONGEST_TIMEOUT: Final = 7 * 24 * 3600
#: If the body has no ``priority``: fal's "low" is dispatched after its default "normal".
_LOW, _NORMAL = 0, 1
_TIMEOUT_HEADERS: Final = ("x-fal-request-start-timeout", "x-fal-request-timeout")


@dataclass(frozen=True, slots=True)
class _Order:
    request: CreateGeneration
    options: CreateOptions
    digest: str


async def submit(request: Request, tenant: Tenant, model: Model) -> Submission:
    """Accept the submit. A repeat of a submit whose response was lost returns the first generation.

    The names of fields that were left out are in the scope, for ``ignored_header``.
    """
    order = await _read(request, model)
    resends = runtime(request).generations.resends
    try:
        return await resends.create(
            tenant, order.request, order.options, digest=order.digest, require_client=client_of(request)
        )
    except (NotFound, NotADraft, DraftNotReady, DraftFailed, DraftExpired) as error:
        if order.request.completes is None:
            raise
        raise Invalid(FieldError("/draft_id", error.detail)) from None  # as fal's model does
    finally:
        release_memory(request.scope)  # `run` waits for an hour


async def _read(request: Request, model: Model) -> _Order:
    gateway = runtime(request)
    body = await whole_body(request, limit=gateway.settings.max_create_bytes)
    lax = _parsed(body or b"{}", gateway, model)
    wanted = lax.request
    if lax.ignored:
        request.scope[_IGNORED] = names = _header_value(lax.ignored)
        log.get(__name__).info("fields_ignored", fields=names, count=len(lax.ignored))
    changes: dict[str, Any] = {"priority": _priority(request, wanted), "expires_in": _expires_in(request, wanted)}
    webhook = _webhook(request, wanted)
    options = CreateOptions(
        idempotency_key=idempotency_key(request),
        webhook_style="standard" if webhook is None else "fal",
        queue_limit=_queue_limit(request),
        traceparent=traceparent(request),
    )
    if webhook is not None:
        changes["webhook_url"] = webhook
    return _Order(wanted.model_copy(update=changes), options, _digest(request, body))


def _parsed(body: bytes, gateway: Runtime, model: Model) -> LaxCreate:
    check_fields(body, gateway)
    forms = gateway.generations.fal_forms
    form = completions.form_of(forms, model.id) if model.completes_drafts else forms.of(model)
    lax = parse_lax_create(body, form.limits(), form.request, form.adapter)
    check_images(body, lax.request, gateway)
    return lax


def ignored_header(request: Request) -> dict[str, str]:
    """Return the header that names the fields that the gateway left out of the submit; none: an empty dictionary."""
    names: str | None = request.scope.get(_IGNORED)
    return {} if names is None else {IGNORED_FIELDS: names}


def _header_value(names: tuple[str, ...]) -> str:
    """Return the names, percent-encoded where they have other characters; ``...`` for what is cut off."""
    shown = [_shown(name) for name in names[:_MOST_NAMES]]
    return ", ".join([*shown, "..."] if len(names) > _MOST_NAMES else shown)


def _shown(name: str) -> str:
    text = quote(name[:_LONGEST_NAME].encode("utf-8", "replace"), safe="")
    return text if len(name) <= _LONGEST_NAME else f"{text}..."


def _digest(request: Request, body: bytes) -> str:
    """Hash what makes two requests the same: key, path, query, body."""
    scope = request.scope
    parts = (caller_of(request).key.id.encode(), scope["path"].encode(), scope["query_string"], body)
    whole = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(whole).hexdigest()[:32]


def _webhook(request: Request, wanted: CreateGeneration) -> str | None:
    given = request.query_params.get("fal_webhook")
    if given is None:
        return None
    if wanted.webhook_url is not None:
        raise Invalid(FieldError("/query/fal_webhook", "give this or webhook_url, not both", "value_error"))
    try:
        return _URL.validate_python(given)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise Invalid(FieldError("/query/fal_webhook", sentence(fault), fault["type"])) from None


def _queue_limit(request: Request) -> int | None:
    """Read ``fal_max_queue_length=N``: refuse if more than N requests are queued."""
    given = request.query_params.get("fal_max_queue_length")
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) <= _LONGEST_NUMBER):
        raise Malformed("fal_max_queue_length takes a whole number.")
    return int(given) + 1


def _priority(request: Request, wanted: CreateGeneration) -> int:
    if "priority" in wanted.model_fields_set:
        return wanted.priority
    return _LOW if request.headers.get("x-fal-queue-priority", "").lower() == "low" else _NORMAL


def _expires_in(request: Request, wanted: CreateGeneration) -> int | None:
    """Return the seconds within which the request must begin."""
    given = next((request.headers[name] for name in _TIMEOUT_HEADERS if name in request.headers), None)
    if given is None:
        return wanted.expires_in
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not _SHORTEST_TIMEOUT < seconds < math.inf:
        raise Malformed("X-Fal-Request-Timeout takes seconds above 0.1.")
    return math.ceil(min(seconds, _LONGEST_TIMEOUT))
