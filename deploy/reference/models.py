"""The page of the models of this release."""

from collections.abc import Iterable
from typing import Final

from reference import markdown
from service.domain.models.loader import packaged
from service.domain.models.model import Model
from service.domain.pricing import Rates, usd

_INTRODUCTION: Final = """\
# Models

The Seedance endpoints of fal that this release knows. One is on without settings; `GATEWAY_MODELS` enables others, see
[models](../how-to/models.md). `GET /v1/models/{id}` has the JSON Schema of each model's requests."""
_PRICES: Final = """\
Prices are published ones. **Hold of 5 seconds**: US dollars that a create holds, with audio and without an input
video. The higher one of two prices is held: that of fal's formula, with the rate per unit, and the price per second. A
unit has 1,000 tokens, of Seedance 1.x a million. Values in brackets are defaults."""
_SECONDS: Final = "5"
_HEAD: Final = ("Model", "Resolutions", "Seconds", "US dollars per unit", "per second", "Hold of 5 seconds", "Files")


def page() -> str:
    families: dict[str, list[Model]] = {}
    for model in packaged().values():
        families.setdefault(model.family, []).append(model)
    return markdown.page(_INTRODUCTION, _PRICES, *(part for item in families.items() for part in _family(*item)))


def _family(name: str, models: Iterable[Model]) -> tuple[str, str]:
    return f"## {name}", markdown.table(_HEAD, [_row(model) for model in models])


def _row(model: Model) -> tuple[str, ...]:
    rates, price = Rates.of(model), model.price
    held = {value: usd(rates.estimate(value, _SECONDS)) for value in model.resolutions}
    published = {value: str(price.per_second[value]) for value in model.resolutions if value in price.per_second}
    files = [f"{limits.count} {model.fields[name].type}" for name, limits in model.references.items()]
    return (
        f"`{model.id}`{', on' if model.enabled else ''}",
        _with_default(model.resolutions, model.fields["resolution"].default),
        _seconds(model),
        _by_resolution({value: str(price.rates[value]) for value in model.resolutions}),
        _by_resolution(published),
        _by_resolution(held),
        f"{', '.join(files)}; {model.files} in all" if files else "-",
    )


def _seconds(model: Model) -> str:
    auto = ("auto",) if model.fields["duration"].auto else ()
    values = (*auto, f"{model.shortest_seconds} to {model.longest_seconds}")
    return _with_default(values, model.fields["duration"].default)


def _with_default(values: Iterable[str], default: object) -> str:
    return ", ".join(values) + ("" if default is None else f" ({default})")


def _by_resolution(amounts: dict[str, str]) -> str:
    """Return the amount of each resolution, once if all are equal."""
    if len(set(amounts.values())) < 2:
        return next(iter(amounts.values()), "-")
    return ", ".join(f"{value}: {amount}" for value, amount in amounts.items())
