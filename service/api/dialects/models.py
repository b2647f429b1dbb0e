"""The model that a request names. An unknown one is 404, one that the tenant may not use is 403 at the create."""

from collections.abc import Callable

from service.domain.models.forms import RequestForm, RequestForms
from service.domain.models.model import Model
from service.domain.tenant import Limits
from service.errors import NotFound


class UnknownModel(NotFound):
    code = "model_not_found"


def form_of(name: str | None, forms: RequestForms, limits: Limits) -> RequestForm:
    """Return the form of a model by its id or an alias; None: of the default model. Raises UnknownModel."""
    if name is None:
        return forms.default
    model = forms.registry.find(name)
    if model is None or model.completes_drafts:
        raise UnknownModel(f"There is no such model; you may use: {usable_models(forms, limits)}.")
    return forms.of(model)


def takes_images(model: Model) -> bool:
    """Return whether the model takes an image as first frame or as reference."""
    return "image_url" in model.fields or "image_urls" in model.fields


def makes_videos_of_text(model: Model) -> bool:
    return model.kind == "text-to-video"


def usable_models(forms: RequestForms, limits: Limits, matches: Callable[[Model], bool] = lambda _model: True) -> str:
    """Return the ids of the matching models that the tenant may use, for the text of an error."""
    names = [name for name, model in forms.registry.creatable.items() if limits.may_use(name) and matches(model)]
    return ", ".join(names) or "none"
