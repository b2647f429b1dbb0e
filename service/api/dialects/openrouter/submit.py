"""Creates a generation from a submit in OpenRouter's form."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from service.api.dialects import creates
from service.api.dialects.families import form_for
from service.api.dialects.images import check_first_image
from service.api.dialects.models import usable_models
from service.api.dialects.openrouter.call import CALL, translate
from service.api.dialects.refusals import note_names
from service.api.http.bodies import json_body, release_memory
from service.api.http.dependencies import runtime
from service.api.v1.generations import check_fields, check_images
from service.domain.json_body import parse
from service.domain.models.forms import RequestForms
from service.domain.request import CreateGeneration
from service.domain.tenant import Limits, Tenant
from service.errors import ModelForbidden
from service.runtime import Runtime
from service.usecases.generations.resends import Submission


async def submit(request: Request, caller: Tenant) -> Submission:
    """Create the generation. A repeat of a submit whose response was lost returns the first one."""
    gateway = runtime(request)
    body = await json_body(request, limit=gateway.settings.max_create_bytes)
    wanted = _read(request, body, gateway, caller)
    with _names_usable_models(gateway.generations.forms, caller.limits):
        created = await creates.create(request, caller, wanted, webhook_style="openrouter")
    release_memory(request.scope)
    return created


def _read(request: Request, body: bytes, gateway: Runtime, caller: Tenant) -> CreateGeneration:
    """Return the request that a body means. Raises Malformed, Invalid, UnknownModel, TooLarge."""
    check_fields(body, gateway)
    call, forms, limits = parse(CALL, body), gateway.generations.forms, caller.limits
    form = form_for(call.model, call.kind, forms, limits)
    meant = translate(call, form, limits)
    note_names(request.scope, meant.names)
    check_first_image(form, forms, limits, given="image_url" in meant.fields, pointer="/frame_images")
    wanted = form.check(dict(meant.fields), limits)
    check_images(body, wanted, gateway)
    return wanted


@contextmanager
def _names_usable_models(forms: RequestForms, limits: Limits) -> Iterator[None]:
    """Add the models that the tenant may use to the refusal of another one."""
    try:
        yield
    except ModelForbidden as error:
        raise ModelForbidden(f"{error.detail} You may use: {usable_models(forms, limits)}.") from None
