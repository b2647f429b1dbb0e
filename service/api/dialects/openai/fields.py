"""The fields of OpenAI's create as those of ``/v1``. Fields that OpenAI does not have are those of the gateway."""

import json
import re
from typing import Any, Final

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from service.api.dialects import images, models, sizes
from service.api.dialects.refusals import note_names
from service.api.http.forms import Form
from service.domain.json_body import parse as parse_body
from service.domain.models.forms import RequestForm, RequestForms
from service.domain.request import CreateGeneration
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid

REFERENCE: Final = "input_reference"
_OWN: Final = ("model", "seconds", "size", REFERENCE)
_BRACKETS: Final = re.compile(r"([^\[\]]+)(?:\[([^\[\]]*)\])?")
_OBJECT: Final = TypeAdapter(dict[str, Any])
_BOOLEAN, _INTEGER = TypeAdapter(bool), TypeAdapter(int)
#: Fields of the gateway that are numbers.
_INTEGERS: Final = ("priority", "expires_in")


def of_json(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object. Raises Malformed, Invalid."""
    return parse_body(_OBJECT, body)


def of_form(form: Form) -> dict[str, Any]:
    """Return the fields of a form: ``metadata[order]`` is a member, ``image_urls[]`` an item, a file a data URI."""
    fields: dict[str, Any] = {name: images.data_uri(content) for name, content in form.files.items()}
    for given, text in form.texts:
        found = _BRACKETS.fullmatch(given)
        if found is None:
            raise Invalid(FieldError(f"/{given}", "unknown field", "extra_forbidden"))
        name, member = found[1], found[2]
        if member is None:
            value: Any = text
        else:
            before = fields.get(name, [] if member == "" else {})
            value = _with_member(before, member, text)
        if value is None or (member is None and name in fields):
            raise Invalid(FieldError(f"/{name}", "must be given once", "repeated"))
        fields[name] = value
    if isinstance(metadata := fields.get("metadata"), str):
        fields["metadata"] = _object(metadata)
    return fields


def _with_member(before: Any, member: str, text: str) -> Any:
    match before:
        case list() if member == "":
            return [*before, text]
        case dict() if member != "":
            return {**before, member: text}
    return None


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def with_scalars(fields: dict[str, Any], form: RequestForm) -> dict[str, Any]:
    """Return the fields with numbers and truth values where the model has such: a form has texts only.

    A text that is none stays, and the schema of the model has the error for it.
    """
    return {name: _scalar(value, _adapter(name, form)) for name, value in fields.items()}


def _adapter(name: str, form: RequestForm) -> TypeAdapter[Any] | None:
    if name in _INTEGERS:
        return _INTEGER
    field = form.model.fields.get(name)
    kind = None if field is None else field.type
    return _BOOLEAN if kind == "boolean" else _INTEGER if kind == "integer" else None


def _scalar(value: Any, adapter: TypeAdapter[Any] | None) -> Any:
    if adapter is None or not isinstance(value, str):
        return value
    try:
        return adapter.validate_strings(value)
    except ValidationError:
        return value


def parse(
    given: dict[str, Any], request: Request, forms: RequestForms, limits: Limits, *, texts: bool
) -> CreateGeneration:
    """Check the fields of a create. ``texts``: all scalars are texts. Raises UnknownModel, Invalid."""
    own = {name: given[name] for name in _OWN if given.get(name) is not None}
    fields = {name: value for name, value in given.items() if name not in _OWN}
    form = models.form_of(_text(own, "model"), forms, limits)
    names = {
        **_add(fields, _duration(own), "seconds"),
        **_add(fields, _size(own, form, limits), "size"),
        **_add(fields, _image(own, form), REFERENCE),
    }
    note_names(request.scope, names)
    given_image = fields.get("image_url") is not None
    pointer = "/image_url" if given_image and REFERENCE not in own else f"/{REFERENCE}"
    images.check_first_image(form, forms, limits, given=given_image, pointer=pointer)
    return form.check(with_scalars(fields, form) if texts else fields, limits)


def _add(fields: dict[str, Any], found: dict[str, Any], name: str) -> dict[str, str]:
    """Add fields that OpenAI's field ``name`` stands for. Return the caller's name of each."""
    for key in found:
        if fields.get(key) is not None:
            raise Invalid(FieldError(f"/{name}", f"give this or {key}, not both", "value_error"))
    fields |= found
    return dict.fromkeys(found, name)


def _duration(own: dict[str, Any]) -> dict[str, Any]:
    return {"duration": own["seconds"]} if "seconds" in own else {}


def _size(own: dict[str, Any], form: RequestForm, limits: Limits) -> dict[str, str]:
    size = _text(own, "size")
    return {} if size is None else sizes.fields_of(size, form, limits)


def _image(own: dict[str, Any], form: RequestForm) -> dict[str, Any]:
    """Return the image as the first frame; for a model that has no first frame, as its only reference."""
    source = _source(own.get(REFERENCE))
    if source is None:
        return {}
    fields = form.model.fields
    return {"image_urls": [source]} if "image_urls" in fields and "image_url" not in fields else {"image_url": source}


def _source(given: Any) -> str | None:
    match given:
        case None:
            return None
        case str():
            return given
        case {"file_id": str()}:
            text = "no files are stored here: send the file itself, or its URL as image_url"
            raise Invalid(FieldError(f"/{REFERENCE}/file_id", text, "value_error"))
        case {"image_url": str(url)} if len(given) == 1:
            return url
    raise Invalid(FieldError(f"/{REFERENCE}", "must be a file, or an object with image_url", "value_error"))


def _text(own: dict[str, Any], name: str) -> str | None:
    value = own.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Invalid(FieldError(f"/{name}", "must be a string", "string_type"))
