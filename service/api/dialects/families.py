"""Names of families, such as ``bytedance/seedance-2.0``. The inputs of a request select a model of the family."""

from service.api.dialects.models import UnknownModel, form_of, usable_models
from service.domain.models.forms import RequestForm, RequestForms
from service.domain.models.model import Kind
from service.domain.tenant import Limits


def form_for(name: str, kind: Kind, forms: RequestForms, limits: Limits) -> RequestForm:
    """Return the form of the model that an id, an alias or the name of a family means for inputs of this kind.

    Raises UnknownModel. Its text names what the tenant may use.
    """
    family = forms.registry.family(name)
    if not family:
        return form_of(name, forms, limits)
    model = family.get(kind)
    if model is not None and model.id in forms.registry.enabled:
        return forms.of(forms.registry.enabled[model.id])
    fault = f"has no {kind}" if model is None else f"is not enabled here for {kind}"
    raise UnknownModel(f"{name} {fault}, which these inputs mean; {_usable(name, forms, limits)}.")


def family_of(name: str, forms: RequestForms, limits: Limits) -> list[RequestForm]:
    """Return the forms of the models of a family that the tenant may use."""
    usable = set(forms.usable(limits))
    return [
        forms.of(forms.registry.enabled[each.id]) for each in forms.registry.family(name).values() if each.id in usable
    ]


def families(forms: RequestForms, limits: Limits) -> dict[str, list[RequestForm]]:
    """Return the forms of the models that the tenant may use, by the names of their families."""
    found = {name: family_of(name, forms, limits) for name in forms.registry.families}
    return {name: members for name, members in found.items() if members}


def _usable(name: str, forms: RequestForms, limits: Limits) -> str:
    kinds = [f"{form.model.kind} ({form.model.id})" for form in family_of(name, forms, limits)]
    if kinds:
        return f"of this family you may use: {', '.join(kinds)}"
    return f"you may use: {usable_models(forms, limits)}"
