"""``/v1/generations/{id}/complete``: render a draft again at 1080p, as a new generation."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from service.api.http.bodies import optional_json_body
from service.api.http.dependencies import Creator, Gateway, preferred_wait
from service.api.schemas import COMPLETE_BODY, problems
from service.api.v1.generations import IDEMPOTENCY, PREFER, answer_created, idempotency_key, traceparent
from service.domain import ids
from service.domain.generation_view import GenerationView
from service.domain.json_body import parse
from service.domain.models.forms import RequestForm
from service.domain.request import CreateGeneration
from service.domain.tenant import Tenant
from service.errors import FieldError, Invalid, ModelForbidden, NotFound
from service.runtime import Runtime
from service.usecases.generations import completions
from service.usecases.generations.create import CreateOptions
from service.usecases.generations.ownership import generation_not_found

router = APIRouter(prefix="/v1/generations", tags=["generations"])

_FIELDS: Final = TypeAdapter(dict[str, Any])
_COMPLETE: Final = """\
A draft is a generation of Seedance 2.5 that was created with `draft: true`. Its completion is a new generation, with \
its own id, queue, hold, cost and webhooks, in the same budgets as other generations of the tenant and of the draft's \
end user. It costs as much as a video of the draft's duration at `1080p`; if fal chose the duration of the draft, the \
longest one that the bill of the draft allows is held.

The draft must have succeeded, at most 7 days ago: see `draft.completable_until`. A draft can be completed more than \
once, and each completion is paid: send an `Idempotency-Key`. A completion stays when its draft is deleted.
"""


@router.post(
    "/{generation_id}/complete",
    summary="Complete a draft",
    description=_COMPLETE,
    status_code=202,
    responses={
        202: {"model": GenerationView, "description": "Accepted. It is a new generation, at `Location`."},
        **problems(400, 402, 403, 404, 408, 409, 413, 415, 422, 429, 503),
    },
    openapi_extra={**COMPLETE_BODY, "parameters": [IDEMPOTENCY, PREFER]},
)
async def complete_generation(request: Request, gateway: Gateway, caller: Creator, generation_id: str) -> Response:
    wait = preferred_wait(request)
    wanted = await _read(request, gateway, caller, generation_id)
    options = CreateOptions(idempotency_key=idempotency_key(request), traceparent=traceparent(request))
    creation = await gateway.generations.creator.create(caller, wanted, options)
    return await answer_created(request, caller, creation, wait)


async def _read(request: Request, gateway: Runtime, caller: Tenant, generation_id: str) -> CreateGeneration:
    """Return the request of the completion. The path names the draft, not the body."""
    if not ids.is_id(ids.GENERATION, generation_id):
        raise generation_not_found()
    body = await optional_json_body(request)
    fields = parse(_FIELDS, body) if body else {}
    if "draft_id" in fields:
        raise Invalid(FieldError("/draft_id", "unknown field: the path names the draft", "extra_forbidden"))
    form = await _form(gateway, caller, generation_id)
    return form.check({**fields, "draft_id": generation_id}, caller.limits)


async def _form(gateway: Runtime, caller: Tenant, generation_id: str) -> RequestForm:
    """Return the form of the draft's completion. An unknown draft is 404 even where no draft can be completed."""
    forms = gateway.generations.forms
    try:
        draft = await gateway.generations.reader.get(caller, generation_id)
    except NotFound as missing:
        try:
            return completions.form_of(forms)  # a completion is returned again after its draft is gone
        except ModelForbidden:
            raise missing from None
    return completions.form_of(forms, draft.model)
