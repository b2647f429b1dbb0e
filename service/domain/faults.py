"""Faults of fields in the sentences of this API. pydantic's own name Python's types and the parser.

A validator of this project raises a ``PydanticCustomError`` with its own sentence, which is used as it is.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from service.errors import FieldError, Invalid, Malformed

#: Each fault costs a kilobyte and some microseconds. A body of megabytes can have a fault in every nine bytes.
_MOST_FAULTS: Final = 100
_TIME: Final = "must be a time with an offset from UTC, like 2026-01-31T09:30:00Z"
_DATE: Final = "must be a day, like 2026-01-31"
_DURATION: Final = "must be a number of seconds, or a duration like PT30S or P30D"
_URL: Final = "must be a URL, like https://example.com"
_NETWORK: Final = "must be a network, like 10.0.0.0/8"
_WHOLE: Final = "must be a whole number"
_NUMBER: Final = "must be a number"
_STRING: Final = "must be a string"
_OBJECT: Final = "must be an object"
_LIST: Final = "must be a list"
_TRUTH: Final = "must be true or false"

#: By pydantic's type of the error; names in braces are of its context.
_SENTENCES: Final[Mapping[str, str]] = {
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "date_from_datetime_inexact": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_parsing": _DATE,
    "date_type": _DATE,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "datetime_parsing": _TIME,
    "datetime_type": _TIME,
    "dict_type": _OBJECT,
    "enum": "must be {expected}",
    "extra_forbidden": "unknown field",
    "finite_number": "must be a finite number",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "is too large",
    "int_type": _WHOLE,
    "invalid_key": "must have strings as keys",
    "ip_v4_network": _NETWORK,
    "ip_v6_network": _NETWORK,
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": _LIST,
    "literal_error": "must be {expected}",
    "missing": "is required",
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "multiple_of": "must be a multiple of {multiple_of}",
    "none_required": "must be null",
    "recursion_loop": "is nested too deeply",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": _STRING,
    "string_unicode": "must be valid Unicode",
    "time_delta_parsing": _DURATION,
    "time_delta_type": _DURATION,
    "timezone_aware": _TIME,
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "tuple_type": _LIST,
    "url_parsing": _URL,
    "url_type": _URL,
}
#: Types of our own errors that pydantic has too, for values that no model here has.
_OURS: Final = frozenset({"url_scheme"})
_PYDANTICS: Final = frozenset(get_args(ErrorType)) - _OURS
_ANY_OTHER: Final = "is not valid"
_ONE: Final = re.compile(r"\b1 (character|item)s\Z")


def faults_of(error: ValidationError) -> Malformed | Invalid:
    """Return the error of a JSON body as an error of this API."""
    if (count := error.error_count()) > _MOST_FAULTS:
        return Invalid(FieldError("", f"has {count} faults", "too_many_faults"))
    # Without the input: a prompt must not appear in an error, which clients log.
    found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Malformed(f"The body is not valid JSON: {found[0]['ctx']['error']}.")
    return Invalid(*field_errors(found))


def field_errors(faults: Iterable[Any]) -> list[FieldError]:
    """Return one error for each of pydantic's ``errors()``."""
    return [FieldError(_pointer(fault["loc"]), sentence(fault), fault["type"]) for fault in faults]


def sentence(fault: Any) -> str:
    """Return what is wrong, in a sentence about the field."""
    kind = fault["type"]
    if kind == "model_type" and not fault["loc"]:
        return "the body must be a JSON object"
    form = _SENTENCES.get(kind)
    if form is None:
        return _ANY_OTHER if kind in _PYDANTICS else str(fault["msg"])
    text = form.format_map(fault.get("ctx", {}))
    return _ONE.sub(r"1 \1", text)


def _pointer(location: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
