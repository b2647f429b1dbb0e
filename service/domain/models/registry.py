"""The models of a deployment: all that it knows, those that are enabled, and the one of requests that name none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Final

from service.domain.models.loader import ModelsFileError, packaged, with_file
from service.domain.models.model import Kind, Model

SEED: Final = "bytedance/seedance-2.0/image-to-video"
#: In ``GATEWAY_MODELS``: every model that the gateway knows.
EVERY: Final = "*"
#: fal's own models have this owner, and some programs put it before the id of every model.
NAMESPACE: Final = "fal-ai/"


class ModelsError(ValueError):
    """The settings of models are wrong. ``setting`` is the name of the field of ``Settings``."""

    def __init__(self, setting: str, fault: str) -> None:
        super().__init__(f"{setting}: {fault}")
        self.setting, self.fault = setting, fault


@dataclass(frozen=True, slots=True)
class Registry:
    known: Mapping[str, Model]
    """All models by their ids: generations of one that is not enabled any more are still settled."""
    default: Model
    """The model of requests that name none."""
    enabled: Mapping[str, Model]
    """Models that callers can name, by their ids: the default one first."""
    names: Mapping[str, Model]
    """The enabled models by ids and aliases, without the namespace."""
    families: Mapping[str, Mapping[Kind, Model]]
    """All models by the aliases of their families, without the namespace, and by their kinds."""

    @property
    def creatable(self) -> Mapping[str, Model]:
        """The enabled models whose generations need no other one: completions of drafts have a route of their own."""
        return {model_id: model for model_id, model in self.enabled.items() if not model.completes_drafts}

    def find(self, name: str) -> Model | None:
        """Return the enabled model of an id or an alias, with or without ``fal-ai/`` in front."""
        return self.names.get(name.removeprefix(NAMESPACE))

    def completion_of(self, model_id: str | None) -> Model | None:
        """Return the enabled model that completes drafts of a model; None: of any."""
        family = None if model_id is None or model_id not in self.known else self.known[model_id].family
        completions = (model for model in self.enabled.values() if model.completes_drafts)
        return next((model for model in completions if family in (None, model.family)), None)

    def family(self, name: str) -> Mapping[Kind, Model]:
        """Return all models of a family by their kinds, enabled or not. Empty: the name is no alias of a family."""
        return self.families.get(name.removeprefix(NAMESPACE), {})

    def upstream(self, model_id: str) -> str:
        """Return fal's endpoint id. A model that is not known any more was its own endpoint."""
        model = self.known.get(model_id)
        return model_id if model is None else model.upstream


def build(
    *,
    default: str = SEED,
    enabled: Sequence[str] | None = None,
    file: tuple[str, str] | None = None,
    rates: Mapping[str, Decimal] | None = None,
) -> Registry:
    """Make the registry of a deployment.

    ``default`` is always enabled. ``enabled``: ids or aliases; None: those that the files enable. ``file``: the text of
    a file of models, and its name. ``rates``: what the default model costs for this account, in place of published
    prices.

    Raises ModelsError.
    """
    try:
        known = dict(packaged() if file is None else with_file(*file))
    except ModelsFileError as error:
        raise ModelsError("models_file", str(error)) from None
    first = _named(default, known, "fal_model")
    if first.completes_drafts:
        raise ModelsError("fal_model", f"{first.id} cannot be the default: it completes drafts")
    if rates is not None:
        first = known[first.id] = _priced(first, rates)
    chosen = {first.id: first, **{model.id: model for model in _chosen(enabled, known)}}
    names = {name.removeprefix(NAMESPACE): model for model in chosen.values() for name in (model.id, *model.aliases)}
    return Registry(known, first, chosen, names, _families(known))


@cache
def seed() -> Model:
    """Return the model whose requests ``CreateGeneration`` describes."""
    return packaged()[SEED]


def _families(known: Mapping[str, Model]) -> Mapping[str, Mapping[Kind, Model]]:
    found: dict[str, dict[Kind, Model]] = {}
    for model in known.values():
        for alias in model.family_aliases:
            found.setdefault(alias.removeprefix(NAMESPACE), {})[model.kind] = model
    return found


def _chosen(names: Sequence[str] | None, known: Mapping[str, Model]) -> Iterable[Model]:
    if names is None:
        return [model for model in known.values() if model.enabled]
    if EVERY in names:
        return list(known.values())
    return [_named(name, known, "models") for name in names]


def _named(name: str, known: Mapping[str, Model], setting: str) -> Model:
    bare = name.removeprefix(NAMESPACE)
    for model in known.values():
        if bare in (each.removeprefix(NAMESPACE) for each in (model.id, *model.aliases)):
            return model
    raise ModelsError(setting, f"{name} is not a known model; GATEWAY_MODELS_FILE can add it to {', '.join(known)}")


def _priced(model: Model, rates: Mapping[str, Decimal]) -> Model:
    """Return a model with the rates of this account, which replace what fal publishes."""
    own = {name: rate * model.price.unit_tokens / 1000 for name, rate in rates.items() if name in model.price.rates}
    return model.model_copy(update={"price": model.price.model_copy(update={"rates": own, "per_second": {}})})
