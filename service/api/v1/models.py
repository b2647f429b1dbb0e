"""``/v1/models``: the models that the caller's tenant may use, with their values, prices and input schemas."""

from typing import Any, Literal
from urllib.parse import unquote

from fastapi import APIRouter
from typing_extensions import TypedDict

from service.api.http.cursors import page_of
from service.api.http.dependencies import AnyCaller, Gateway
from service.domain.described import described
from service.domain.models import schema
from service.domain.models.forms import RequestForm
from service.domain.pricing import Rates, usd
from service.domain.tenant import Limits
from service.errors import NotFound

router = APIRouter(prefix="/v1/models", tags=["models"])


@described
class ModelPriceView(TypedDict):
    resolution: str
    """The resolution."""
    unit_usd: str
    """US dollars per billed unit, as a decimal string, before discounts."""
    unit_tokens: int
    """Tokens of a billed unit. A video has width x height x (24 x seconds + 1) / 1024 tokens."""
    second_usd: str | None
    """US dollars per second as fal publishes it. The higher price is held. `null`: fal publishes none."""
    held_second_usd: str
    """Most US dollars that a create holds per second: those of the shortest duration, with audio and no input video."""


@described
class ModelView(TypedDict):
    id: str
    """Id of the model: fal's endpoint id. Send it as `model`."""
    object: Literal["model"]
    """Always `model`."""
    title: str
    """Name for people."""
    family: str
    """Family of the model, such as `seedance-2.0`."""
    kind: Literal["text-to-video", "image-to-video", "reference-to-video", "completion"]
    """What the model makes a video of."""
    default: bool
    """Whether requests without `model` are for it."""
    legacy: bool
    """Whether it is an older model, of which newer ones exist."""
    aliases: list[str]
    """Other names that `model` may have."""
    resolutions: list[str]
    """Resolutions that you may request."""
    durations: list[str]
    """Durations that you may request, in seconds; `auto`: fal chooses."""
    longest_seconds: int
    """Seconds that `auto` is priced as."""
    prices: list[ModelPriceView]
    """Prices of these resolutions."""


@described
class ModelDetailView(ModelView):
    input_schema: dict[str, Any]
    """JSON Schema of the body of a create for this model; of a model that completes drafts, of a completion."""


@described
class ModelList(TypedDict):
    object: Literal["list"]
    """Always `list`."""
    data: list[ModelView]
    """The models, the default one first."""
    has_more: bool
    """Always `false`: the list has one page."""
    next_cursor: str | None
    """Always `null`."""


@router.get(
    "",
    summary="List the models that you may use",
    description="The models that the operator has enabled and your tenant may use, all on one page.",
)
async def list_models(gateway: Gateway, caller: AnyCaller) -> ModelList:
    forms, limits = gateway.generations.forms, caller.tenant.limits
    views = [_view(forms.of(forms.registry.enabled[name]), limits) for name in forms.usable(limits)]
    answer: ModelList = page_of(views, None)
    return answer


@router.get(
    "/{model_id:path}",
    summary="Read a model",
    description="With the JSON Schema of its requests. The id can have its slashes as they are, or percent-encoded.",
)
async def read_model(gateway: Gateway, caller: AnyCaller, model_id: str) -> ModelDetailView:
    forms = gateway.generations.forms
    model = forms.registry.find(unquote(model_id))
    limits = caller.tenant.limits
    if model is None or not limits.may_use(model.id):
        raise NotFound("There is no such model, or your tenant may not use it.")
    form = forms.of(model)
    return {**_view(form, limits), "input_schema": schema.of_form(form, limits)}


def _view(form: RequestForm, limits: Limits) -> ModelView:
    model, price = form.model, form.model.price
    usable, rates = form.limits(limits), Rates.of(model)
    return {
        "id": model.id,
        "object": "model",
        "title": model.title,
        "family": model.family,
        "kind": model.kind,
        "default": form.is_default,
        "legacy": model.legacy,
        "aliases": list(model.aliases),
        "resolutions": list(usable.values("resolution")),
        "durations": list(usable.values("duration")),
        "longest_seconds": model.longest_seconds,
        "prices": [
            {
                "resolution": name,
                "unit_usd": str(price.rates[name]),
                "unit_tokens": price.unit_tokens,
                "second_usd": None if name not in price.per_second else str(price.per_second[name]),
                "held_second_usd": usd(rates.most_per_second(name)),
            }
            for name in usable.values("resolution")
        ],
    }
