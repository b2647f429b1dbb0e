"""Input schemas of the endpoints. A model checks its input when it runs, not at submit."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, create_model

from sandbox.outcome import Outcome, detail, model_error

#: Type and default of a field; the default `...` makes the field required.
InputField = tuple[Any, Any]
Fields = Mapping[str, InputField]

_literal: Any = Literal


class Request(BaseModel):
    """What a valid input asks for. A field that its endpoint does not have has its default here."""

    prompt: str | None = None
    image_url: str | None = None
    end_image_url: str | None = None
    image_urls: list[str] | None = None
    video_urls: list[str] | None = None
    audio_urls: list[str] | None = None
    resolution: str
    duration: str = "auto"
    aspect_ratio: str = "auto"
    generate_audio: bool = True
    bitrate_mode: str = "standard"
    codec: str = "auto"
    task: str = "reference"
    seed: int | None = None
    draft: bool = False
    draft_id: str | None = None


#: Returns what is wrong with fields that are valid alone.
Rule = Callable[[Request], str | None]


def choice(*values: str, default: Any = ...) -> InputField:
    return _literal[values], default


def seconds(first: int, last: int, *, auto: bool = True, default: Any = ...) -> InputField:
    numbers = map(str, range(first, last + 1))
    return choice("auto", *numbers, default="auto") if auto else choice(*numbers, default=default)


def optional(kind: Any) -> InputField:
    return kind | None, None


def files(most: int) -> InputField:
    return Annotated[list[str], Field(max_length=most)] | None, None


def schema(title: str, fields: Fields) -> type[BaseModel]:
    """Return a schema that ignores unknown fields, as fal's models do."""
    definitions: dict[str, Any] = dict(fields)
    return create_model(title, **definitions)


def check(form: type[BaseModel], rules: tuple[Rule, ...], given: Any) -> Request | Outcome:
    try:
        request = Request.model_validate(form.model_validate(given).model_dump())
    except ValidationError as error:
        return model_error(*map(_detail, error.errors(include_url=False))).at_once()
    broken = [text for rule in rules if (text := rule(request))]
    if broken:
        entries = (detail("value_error", f"Value error, {text}", ("body",), given=given) for text in broken)
        return model_error(*entries).at_once()
    return request


def _detail(error: Any) -> dict[str, Any]:
    ctx = {name: str(value) for name, value in error.get("ctx", {}).items()}
    return detail(error["type"], error["msg"], ("body", *error["loc"]), ctx=ctx, given=error["input"])
