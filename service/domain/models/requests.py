"""Classes of requests, one for each model: ``CreateGeneration`` with the fields that the model has.

A field that is the same as in Seedance 2.0 image-to-video is inherited. Fields that the model does not have are refused
as unknown ones; their attributes exist and are None.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, assert_never

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, PydanticKnownError

from service.domain import ids
from service.domain.described import describe
from service.domain.field_types import FileSource, duration_text, not_blank
from service.domain.models.model import REFERENCE_TYPES, InputField, MediaLimits, Model
from service.domain.models.registry import seed
from service.domain.pricing import Rates
from service.domain.request import VIDEO_FIELDS, CreateGeneration

_IMAGE: Final = (
    "A URL that fal can fetch, or the image as a base64 data URI, as in requests of Seedance 2.0. Default: none."
)
_DRAFT: Final = (
    "Make a draft, which `POST /v1/generations/{generation_id}/complete` renders again at 1080p within 7 days. Default "
    "`false`."
)
_DRAFT_ID: Final = "Id of the generation of the draft."
#: Fields of a completion's request that the gateway fills from the draft.
OF_DRAFT: Final = ("duration", "generate_audio", "end_user_id")
_PROMPT: Final = "What happens in the video."
#: Quoted in descriptions of prices.
_EXAMPLE_SECONDS: Final = 5


def request_class(model: Model) -> type[CreateGeneration]:
    """Make the class of a model's requests. It takes some milliseconds: keep the class."""
    inherited = _inherited(model)
    fields: dict[str, Any] = {
        **{name: _field(name, field, model) for name, field in model.fields.items() if name not in inherited},
        **{name: _refused(name, model) for name in (*VIDEO_FIELDS, *model.unknown) if name not in model.fields},
    }
    absent = frozenset(name for name in fields if name not in model.fields)
    if model.completes_drafts:
        fields |= {name: _of_draft(CreateGeneration.model_fields[name]) for name in OF_DRAFT}
        absent |= set(OF_DRAFT)
    made = create_model(
        f"Create{_class_name(model.id)}",
        __base__=CreateGeneration,
        __module__=__name__,
        __doc__=f"The body of ``POST /v1/generations`` for {model.title}.",
        **fields,
    )
    made.spec = model
    made.absent = absent
    made.completes_drafts = model.completes_drafts
    made.reference_fields = {field.type: name for name, field in model.fields.items() if field.type in REFERENCE_TYPES}
    made.input_fields = tuple(name for name in made.model_fields if name in _sent(model))
    extra = _described(absent)
    made.model_config = ConfigDict({**CreateGeneration.model_config, "json_schema_extra": extra})
    made.model_rebuild(force=True)
    return made


def _sent(model: Model) -> set[str]:
    """Return the fields of the stored input. That of a completion has no id of a draft: the record has it elsewhere."""
    if not model.completes_drafts:
        return set(model.fields)
    return {*model.fields, "duration", "generate_audio"} - {"draft_id"}


def _of_draft(field: FieldInfo) -> tuple[Any, Any]:
    """Return a field that a completion takes from its draft: refused in a body, and not a part of the fingerprint."""
    kind: Any = field.annotation
    return Annotated[kind | None, BeforeValidator(_unknown_field), Field(exclude=True)], None


def _generation_id(value: str) -> str:
    if not ids.is_id(ids.GENERATION, value):
        raise PydanticCustomError("draft_id", "must be the id of the generation of a draft: gen_ and 26 characters")
    return value


def _class_name(model_id: str) -> str:
    return "".join(part.capitalize() for part in model_id.replace("/", "-").replace(".", "-").split("-"))


def _inherited(model: Model) -> frozenset[str]:
    """Return the fields that are the same as the seed's, and whose texts are true for the model."""
    same = {name for name, field in seed().fields.items() if model.fields.get(name) == field}
    if model.price != seed().price:
        same -= {"resolution", "duration"}
    if model.kind != seed().kind:
        same -= {"aspect_ratio"}  # fal chooses the first frame's
    return frozenset(same)


def _described(hidden: frozenset[str]) -> Callable[[dict[str, Any], type], None]:
    def complete(schema: dict[str, Any], cls: type) -> None:
        for name in hidden:
            schema["properties"].pop(name, None)
        describe(schema, cls)

    return complete


def _field(name: str, field: InputField, model: Model) -> tuple[Any, Any]:
    """Return the annotation and the default of a field."""
    kind = _annotation(name, field, model)
    text = _TEXTS[field.type](name, field, model) if field.type in _TEXTS else field.description
    if field.required:
        return Annotated[kind, Field(description=text)], ...
    if field.type in REFERENCE_TYPES:  # an empty list is the same as none
        return Annotated[kind | None, Field(description=text), AfterValidator(lambda files: files or None)], None
    return Annotated[kind if field.default is not None else kind | None, Field(description=text)], field.default


def _annotation(name: str, field: InputField, model: Model) -> Any:  # noqa: PLR0911  (one return per type)
    match field.type:
        case "prompt":
            return Annotated[str, AfterValidator(not_blank)]
        case "image":
            return FileSource
        case "boolean":
            return bool
        case "integer":
            return Annotated[int, Field(ge=field.least, le=field.most)]
        case "duration":
            allowed = _literal(field.choices)
            first, last = field.seconds or (1, 1)
            number = Annotated[int, Field(ge=first, le=last)]
            return Annotated[allowed, BeforeValidator(duration_text, json_schema_input_type=allowed | number)]
        case "draft" if model.completes_drafts:
            return Annotated[str, AfterValidator(_generation_id)]
        case "draft":
            return Annotated[bool | None, AfterValidator(lambda value: value or None)]
        case "choice":
            values = tuple(value for value in field.values if value not in model.unknown)
            return Annotated[_literal(values), BeforeValidator(_known_value(name, model))]
        case "images" | "videos" | "audios":
            most = None if field.files is None else field.files.count
            return Annotated[list[FileSource], Field(max_length=most)]
    assert_never(field.type)


def _literal(values: tuple[str, ...]) -> Any:
    return Literal.__getitem__(values)  # the values are known at run time only


def _known_value(name: str, model: Model) -> Callable[[Any], Any]:
    """Refuse a resolution without a known price with the reason; other values are for the list of choices."""

    def check(value: Any) -> Any:
        if name == "resolution" and isinstance(value, str) and value in model.unknown:
            raise _unknown(f"has no known price with {value}")
        return value

    return check


def _refused(name: str, model: Model) -> tuple[Any, Any]:
    """Return the annotation of a field that the model does not have."""
    if name not in model.unknown:
        return Annotated[None, BeforeValidator(_unknown_field)], None
    return Annotated[None, BeforeValidator(_unknown_capability)], None


def _unknown_field(_value: Any) -> None:
    raise PydanticKnownError("extra_forbidden")


def _unknown_capability(value: Any) -> None:
    if value is not None and value is not False:  # else it is not asked for
        raise _unknown("is not known to exist")


def _unknown(text: str) -> PydanticCustomError:
    return PydanticCustomError("unknown_capability", f"{text}: an operator can configure it in GATEWAY_MODELS_FILE")


def _resolution_text(_name: str, field: InputField, model: Model) -> str:
    rates = Rates.of(model)
    least = min(rates.longest, max(rates.shortest, _EXAMPLE_SECONDS))
    prices = [f"{_cents(rates.estimate(value, str(least)))} USD at `{value}`" for value in model.resolutions]
    start = "" if field.default is None else f"Default `{field.default}`. "
    return f"{start}It decides the price: {least} seconds cost up to {', '.join(prices)}."


def _cents(micro: int) -> str:
    return f"{-(-micro // 10_000) / 100:.2f}"


def _duration_text(_name: str, field: InputField, model: Model) -> str:
    rates = Rates.of(model)
    text = f"Seconds of video, `{rates.shortest}` to `{rates.longest}`, as a string or a number."
    if field.default is not None:
        text += f" Default `{field.default}`."
    return f"{text} `auto` holds the price of {rates.longest} seconds." if field.auto else text


def _choice_text(name: str, field: InputField, model: Model) -> str | None:
    if name == "resolution":
        return _resolution_text(name, field, model)
    if field.description is not None or field.default is None:
        return field.description
    return f"{'Width to height. ' if name == 'aspect_ratio' else ''}Default `{field.default}`."


def references_text(field: InputField) -> str:
    """Return what a list of files takes, and the limits of the files."""
    name, at_prompt = _REFERENCES[field.type]
    limits = field.files or MediaLimits()
    text = f"URLs of up to {limits.count} {name} that fal can fetch, or the files as base64 data URIs."
    text += f" The prompt names them {at_prompt}1, {at_prompt}2 and so on."
    facts = [
        f"formats {', '.join(limits.formats)}" if limits.formats else "",
        f"{limits.bytes_each // 1_000_000} MB each" if limits.bytes_each else "",
        f"{limits.bytes_total // 1_000_000} MB together" if limits.bytes_total else "",
        f"{_range(limits.seconds_each)} seconds each" if limits.seconds_each else "",
        f"{_range(limits.seconds_total)} seconds together" if limits.seconds_total else "",
        f"{_range(limits.pixels)} pixels a side" if limits.pixels else "",
        f"{_range(limits.frames_per_second)} frames per second" if limits.frames_per_second else "",
    ]
    if given := ", ".join(fact for fact in facts if fact):
        text += f" fal accepts: {given}."
    return f"{text} Their seconds are billed." if field.type == "videos" else text


_REFERENCES: Final = {"images": ("images", "@Image"), "videos": ("videos", "@Video"), "audios": ("sounds", "@Audio")}


def _range(bounds: tuple[Decimal | int, Decimal | int]) -> str:
    least, most = bounds
    return f"{least} to {most}" if least else f"up to {most}"


_TEXTS: Final[dict[str, Callable[[str, InputField, Model], str | None]]] = {
    "prompt": lambda _name, field, _model: field.description or _PROMPT,
    "image": lambda _name, field, _model: field.description or _IMAGE,
    "images": lambda _name, field, _model: references_text(field),
    "videos": lambda _name, field, _model: references_text(field),
    "audios": lambda _name, field, _model: references_text(field),
    "duration": _duration_text,
    "draft": lambda _name, _field, model: _DRAFT_ID if model.completes_drafts else _DRAFT,
    "choice": _choice_text,
}
