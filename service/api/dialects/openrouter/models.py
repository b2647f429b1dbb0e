"""``/openrouter/api/v1/videos/models``: the models that the tenant may use, as OpenRouter describes models."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from typing_extensions import TypedDict

from service.api.dialects.families import families
from service.api.dialects.openrouter.call import passthrough
from service.api.dialects.sizes import sizes_of
from service.domain.described import described
from service.domain.models.forms import RequestForm, RequestForms
from service.domain.tenant import Limits

_FRAMES: Final = {"image_url": "first_frame", "end_image_url": "last_frame"}
_SPELLINGS: Final = {"4k": "4K"}
_ONE: Final = Decimal(1)


@described
class OpenRouterModel(TypedDict):
    id: str
    """Send it as `model`: the name of a family, or the id of a model."""
    canonical_slug: str
    """The same as `id`."""
    name: str
    """Name for people."""
    description: str
    """What the model makes a video of."""
    created: int
    """Always 0: the gateway does not know it."""
    supported_resolutions: list[str]
    """Resolutions that you may request."""
    supported_aspect_ratios: list[str]
    """Aspect ratios. Without one, fal chooses."""
    supported_durations: list[int]
    """Seconds that you may request. Without a duration, most models choose."""
    supported_sizes: list[str]
    """Values of `size`, each a resolution and an aspect ratio."""
    supported_frame_images: list[str]
    """Frames that `frame_images` may have."""
    generate_audio: bool
    """Whether `generate_audio` is a field of the model."""
    seed: bool
    """Whether `seed` is a field of the model; of a family, whether one of its models has it."""
    pricing_skus: dict[str, str]
    """US dollars as decimal strings. `video_tokens`: per token, with `_480p` for a resolution whose rate differs. A
    video has width x height x (24 x seconds + 1) / 1024 tokens. `duration_seconds_720p`: per second as fal publishes
    it. The higher price is held.
    """
    allowed_passthrough_parameters: list[str]
    """Members of `provider.options.fal`."""
    creativity: str | None
    """Always `null`."""
    upscale_factor: float | None
    """Always `null`."""


@described
class OpenRouterModels(TypedDict):
    data: list[OpenRouterModel]
    """Families first, then single models."""


def listed(forms: RequestForms, limits: Limits) -> OpenRouterModels:
    """Return every name that the tenant may send: those of families, then the ids of models."""
    entries = [_entry(name, members, limits) for name, members in families(forms, limits).items()]
    single = (forms.of(model) for model in forms.registry.creatable.values() if limits.may_use(model.id))
    return {"data": [*entries, *(_entry(form.model.id, [form], limits) for form in single)]}


def _entry(name: str, forms: Sequence[RequestForm], limits: Limits) -> OpenRouterModel:
    """Return the entry of a name. That of a family has what at least one of its models has."""
    first, fields = forms[0].model, {field for form in forms for field in form.request.input_fields}
    kinds = " or ".join(form.model.kind for form in forms)
    return {
        "id": name,
        "canonical_slug": name,
        "name": first.title if len(forms) == 1 and name == first.id else first.title.partition(",")[0],
        "description": f"{first.title.partition(',')[0]}: {kinds}.",
        "created": 0,
        "supported_resolutions": [_SPELLINGS.get(value, value) for value in _union(_resolutions, forms, limits)],
        "supported_aspect_ratios": [value for value in _union(_ratios, forms, limits) if value != "auto"],
        "supported_durations": [int(value) for value in _union(_durations, forms, limits) if value != "auto"],
        "supported_sizes": _union(lambda form, own: list(sizes_of(form, own)), forms, limits),
        "supported_frame_images": [frame for field, frame in _FRAMES.items() if field in fields],
        "generate_audio": "generate_audio" in fields,
        "seed": "seed" in fields,
        "pricing_skus": _prices(forms, limits),
        "allowed_passthrough_parameters": _union(lambda form, _limits: passthrough(form), forms, limits),
        "creativity": None,
        "upscale_factor": None,
    }


def _union(values: Any, forms: Sequence[RequestForm], limits: Limits) -> list[str]:
    return list(dict.fromkeys(value for form in forms for value in values(form, limits)))


def _resolutions(form: RequestForm, limits: Limits) -> Iterator[str]:
    return iter(form.limits(limits).values("resolution"))


def _ratios(form: RequestForm, _limits: Limits) -> Sequence[str]:
    field = form.model.fields.get("aspect_ratio")
    return () if field is None else field.values


def _durations(form: RequestForm, limits: Limits) -> Iterator[str]:
    return (value for value in form.model.durations if limits.durations is None or value in limits.durations)


def _prices(forms: Sequence[RequestForm], limits: Limits) -> dict[str, str]:
    """Return the prices of the first model: those of a family are equal. The form is OpenRouter's."""
    price = forms[0].model.price
    usable = list(_union(_resolutions, forms, limits))
    rates = {name: price.rates[name] / price.unit_tokens for name in usable}
    if not rates:
        return {}
    base = rates[usable[0]]
    skus = {"video_tokens": base}
    skus |= {f"video_tokens_{name}": rate for name, rate in rates.items() if rate != base}
    if price.silent_factor != _ONE:
        skus["video_tokens_without_audio"] = base * price.silent_factor
    if price.video_input_factor != _ONE and any("video_urls" in form.request.input_fields for form in forms):
        skus["video_tokens_with_video_input"] = base * price.video_input_factor
    skus |= {f"duration_seconds_{name}": price.per_second[name] for name in usable if name in price.per_second}
    return {name: format(value.normalize(), "f") for name, value in skus.items()}
