"""The body of a create as fal accepts it, normalised to what the strict schema accepts.

fal ignores unknown fields, and its pydantic converts scalars: ``"true"``, ``"7"``, ``7.0``. The strict schema is tried
first, so a strict body costs nothing more. What is accepted here is always a valid strict request.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from service.domain.data_uri import is_data_uri
from service.domain.field_types import METADATA_PAIRS
from service.domain.json_body import decode
from service.domain.models.model import REFERENCE_TYPES
from service.domain.request import HIGHEST_PRIORITY, SEED_LIMIT, CreateGeneration
from service.domain.request_limits import RequestLimits, parse_create, parse_fields
from service.errors import Invalid

_DURATION: Final = re.compile(r"0{0,9}([0-9]{1,2})(?:\.0{0,9})? ?(?:s|secs?|seconds?)?")
_URL: Final = re.compile(r"(https?://[^/?#\\]*)(.*)", re.IGNORECASE | re.DOTALL)
_UNENCODED: Final = re.compile(r"[ \u0080-\ud7ff\ue000-\U0010ffff]+")
_INTEGER: Final = TypeAdapter(int)
_BOOLEAN: Final = TypeAdapter(bool)
_LEFT_OUT: Final = object()


@dataclass(frozen=True, slots=True)
class LaxCreate:
    request: CreateGeneration
    ignored: tuple[str, ...] = ()
    """Names of fields that were left out: those that the model does not have, and values that fal would ignore."""


def parse_lax_create(
    body: bytes,
    limits: RequestLimits,
    request: type[CreateGeneration] = CreateGeneration,
    adapter: TypeAdapter[CreateGeneration] | None = None,
) -> LaxCreate:
    """Parse and check the body of a submit below ``/fal``. Raises as ``parse_create``.

    ``request``, ``adapter``: of the model; by default of Seedance 2.0 image-to-video.
    """
    try:
        return LaxCreate(parse_create(body, limits, adapter))
    except Invalid:
        given = decode(body)  # valid JSON: anything else is Malformed
        if not isinstance(given, dict):
            raise
    fields, ignored = _normalised(given, limits, request)
    return LaxCreate(parse_fields(fields, limits, adapter), ignored)


def _normalised(
    given: dict[str, Any], limits: RequestLimits, request: type[CreateGeneration]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields in the strict form, and the names of those that are left out.

    A value without a strict form stays as it is: the strict schema has the error for it.
    """
    fields: dict[str, Any] = {}
    ignored = []
    for name, value in given.items():
        if name not in request.model_fields or name in request.absent:
            ignored.append(name)
            continue
        if value is None and not request.model_fields[name].is_required():
            continue  # many programs send null for "not given"
        normal = _normaliser(name, request)(value)
        if normal is _LEFT_OUT or (name == "bitrate_mode" and not _has_bitrate_mode(normal, limits)):
            ignored.append(name)
        else:
            fields[name] = normal
    return fields, tuple(ignored)


def _has_bitrate_mode(mode: Any, limits: RequestLimits) -> bool:
    """Return whether to check a mode: without modes it is an unknown field, and ``standard`` is fal's default."""
    return mode in limits.bitrate_modes or bool(limits.bitrate_modes and mode != "standard")


def _normaliser(name: str, request: type[CreateGeneration]) -> Callable[[Any], Any]:
    """Return the normaliser of a field: by its name, or by its type if other models alone have it."""
    if name in _NORMALISERS or request.spec is None or name not in request.spec.fields:
        return _NORMALISERS.get(name, _unchanged)
    field = request.spec.fields[name]
    if field.type in REFERENCE_TYPES:
        return _urls
    return _boolean if field.type in ("boolean", "draft") and name != "draft_id" else _choice(field.values)


def _choice(values: tuple[str, ...]) -> Callable[[Any], Any]:
    """Return the value that differs in case only: ``h264`` means ``H264``."""
    by_option = {_option(value): value for value in values}
    return lambda value: by_option.get(_option(value), value) if isinstance(value, str) else value


def _unchanged(value: Any) -> Any:
    return value


def _converted(value: Any, adapter: TypeAdapter[Any]) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return value


def _within(value: Any, most: int) -> Any:
    """Leave out what is no number from 0 to ``most``: fal's model does not have the field, so fal refuses nothing."""
    number = _converted(value, _INTEGER)
    return number if type(number) is int and 0 <= number <= most else _LEFT_OUT


def _boolean(value: Any) -> Any:
    return _converted(value, _BOOLEAN)


def _option(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    """Return ``"5"`` for 5, 5.0, ``"5.0"`` and ``"5s"``."""
    if type(value) in (int, float):
        value = str(value)
    option = _option(value)
    if isinstance(option, str) and (found := _DURATION.fullmatch(option)):
        return found[1]
    return option


def _url(value: Any) -> Any:
    """Percent-encode spaces and non-ASCII characters after the host."""
    if not isinstance(value, str) or is_data_uri(value):
        return value
    found = _URL.fullmatch(value.strip())
    return value if found is None else found[1] + _UNENCODED.sub(lambda part: quote(part[0]), found[2])


def _urls(value: Any) -> Any:
    return [_url(item) for item in value] if isinstance(value, list) else value


def _end_user(value: Any) -> Any:
    return _LEFT_OUT if value == "" else value


def _metadata(value: Any) -> Any:
    """Return text for scalars. Leave out anything else: fal's model does not have the field, so fal refuses nothing."""
    if not isinstance(value, dict) or len(value) > METADATA_PAIRS:
        return _LEFT_OUT
    texts = {key: _text(item) for key, item in value.items()}
    try:
        return parse_fields({**_SMALLEST, "metadata": texts}, RequestLimits()).metadata
    except Invalid:
        return _LEFT_OUT


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


_SMALLEST: Final = {"prompt": "-", "image_url": "https://a.example/"}
_NORMALISERS: Final[dict[str, Callable[[Any], Any]]] = {
    "image_url": _url,
    "end_image_url": _url,
    "resolution": _option,
    "duration": _duration,
    "aspect_ratio": _option,
    "generate_audio": _boolean,
    "seed": lambda value: _within(value, SEED_LIMIT),
    "bitrate_mode": _option,
    "end_user_id": _end_user,
    "metadata": _metadata,
    "priority": lambda value: _within(value, HIGHEST_PRIORITY),
    "expires_in": lambda value: _converted(value, _INTEGER),
}
