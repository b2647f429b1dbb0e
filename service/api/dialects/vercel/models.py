"""The model that a call names, and ``/vercel/config``: the models that ``gateway.getAvailableModels()`` lists."""

from typing import Literal

from fastapi import APIRouter, Request
from typing_extensions import TypedDict

from service.api.dialects.families import form_for
from service.api.dialects.vercel import MODEL_HEADER, PREFIX
from service.api.http.dependencies import AnyCaller, Gateway
from service.domain.described import described
from service.domain.models.forms import COMPLETES_DRAFTS, RequestForm, RequestForms
from service.domain.models.model import Kind, Model
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid

router = APIRouter(prefix=PREFIX, tags=["vercel"])


@described
class VercelSpecification(TypedDict):
    specificationVersion: Literal["v4"]
    """Always `v4`."""
    provider: Literal["seedance-gateway"]
    """Always `seedance-gateway`."""
    modelId: str
    """Id of the model."""


@described
class VercelModel(TypedDict):
    id: str
    """Id of the model, for `gateway.video(id)`."""
    name: str
    """Name for people."""
    description: str | None
    """What the model makes a video of."""
    specification: VercelSpecification
    """How the AI SDK calls it."""
    modelType: Literal["video"]
    """Always `video`."""


@described
class VercelModels(TypedDict):
    models: list[VercelModel]
    """The models, the default one first."""


@router.get(
    "/config",
    summary="List the models that you may use (AI SDK)",
    description="What `gateway.getAvailableModels()` reads.",
)
async def list_vercel_models(gateway: Gateway, caller: AnyCaller) -> VercelModels:
    forms = gateway.generations.forms
    usable = filter(caller.tenant.limits.may_use, forms.registry.creatable)
    return {"models": [_view(forms.registry.enabled[name]) for name in usable]}


def named_form(request: Request, forms: RequestForms, limits: Limits, kind: Kind) -> RequestForm:
    """Return the form of the model that the header names. The name of a family means its model for these inputs.

    Raises Invalid, UnknownModel.
    """
    name = request.headers.get(MODEL_HEADER, "")
    if not name:
        raise Invalid(FieldError(f"/header/{MODEL_HEADER}", "is required", "missing"))
    if (model := forms.registry.find(name)) is not None and model.completes_drafts:
        raise Invalid(FieldError(f"/header/{MODEL_HEADER}", COMPLETES_DRAFTS, "completion"))
    return form_for(name, kind, forms, limits)


def _view(model: Model) -> VercelModel:
    return {
        "id": model.id,
        "name": model.title,
        "description": f"{model.family}, {model.kind}",
        "specification": {"specificationVersion": "v4", "provider": "seedance-gateway", "modelId": model.id},
        "modelType": "video",
    }
