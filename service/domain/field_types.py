"""Types of fields that several bodies have: names, URLs, files, choices of a video, metadata, money."""

import re
from decimal import Decimal
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError, PydanticKnownError

from service.domain.data_uri import has_base64, is_data_uri

Resolution = Literal["480p", "720p", "1080p", "4k"]
Duration = Literal["auto", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"]
AspectRatio = Literal["auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"]
BitrateMode = Literal["standard", "high"]

URL_LENGTH: Final = 2048
#: Presigned URLs of object stores carry session tokens of up to 4 kB, percent-encoded.
IMAGE_URL_LENGTH: Final = 8192
METADATA_PAIRS: Final = 16
METADATA_KEY_LENGTH: Final = 64
METADATA_VALUE_LENGTH: Final = 512
#: Printable ASCII without space and backslash. A match of the whole takes a sixth of the time of a search for others.
_URL_CHARACTERS: Final = re.compile(r"[!-\[\]-~]*")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_MONEY: Final = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")
_ZERO: Final = re.compile(r"0{1,7}(\.0{1,6})?")
_SMALLEST_MONEY: Final = Decimal("0.000001")
MAX_COST: Final = Decimal(1_000_000)


def _fault(kind: str, text: str) -> PydanticCustomError:
    return PydanticCustomError(kind, text)


def web_url(value: str, *, longest: int = URL_LENGTH) -> str:
    """Check that this is an absolute http(s) URL without credentials. The host is checked elsewhere."""
    if len(value) > longest:
        raise PydanticKnownError("string_too_long", {"max_length": longest})
    if not _URL_CHARACTERS.fullmatch(value):
        raise _fault("url_characters", "must be a percent-encoded URL: no spaces, control or non-ASCII characters")
    parts = _split(value)
    if parts.scheme not in ("http", "https"):
        raise _fault("url_scheme", "must be an absolute http or https URL")
    if not parts.hostname:
        raise _fault("url_host", "has no host")
    if "@" in parts.netloc:
        raise _fault("url_credentials", "must not carry credentials")
    return value


def file_source(value: str) -> str:
    """Check that this is a web URL or a data URI with base64, of any media type. The data is checked later."""
    if not is_data_uri(value):
        return web_url(value, longest=IMAGE_URL_LENGTH)
    if not has_base64(value):
        raise _fault("data_uri", "must have its data as base64: data:image/jpeg;base64,...")
    return value


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError if it is not a number or out of range
    except ValueError:
        raise _fault("url_form", "is not a URL") from None
    return parts


def printable(value: str) -> str:
    if _UNPRINTABLE.search(value):
        raise _fault("string_characters", "must not contain control characters")
    return value


def not_blank(value: str) -> str:
    if not value.strip():
        raise _fault("string_blank", "must not be blank")
    return value


def duration_text(value: object) -> object:
    """Return a number as text: fal's page documents numbers, its schema has strings. 5 and "5" mean the same."""
    return str(value) if type(value) is int else value


def _money(value: object) -> int:
    """Return micro-USD of a decimal string or a JSON number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _fault("money_type", "must be an amount in US dollars, as a decimal string or a number")
    if isinstance(value, str) and not _MONEY.fullmatch(value):
        raise _fault("money_form", 'must be an amount in US dollars like "1.50"')
    amount = Decimal(str(value))
    if not (amount.is_finite() and _SMALLEST_MONEY <= amount <= MAX_COST):
        raise _fault("money_range", "must be from 0.000001 to 1000000")
    return int(amount * 1_000_000)


def _signed_money(value: object) -> object:
    """Return micro-USD of an amount above or below 0."""
    if isinstance(value, str) and value.startswith("-"):
        return -_money(value[1:])
    if isinstance(value, int | float) and value < 0:
        return -_money(-value)
    return _money(value)


def _money_or_zero(value: object) -> object:
    is_zero = _ZERO.fullmatch(value) is not None if isinstance(value, str) else value == 0 and value is not False
    return 0 if is_zero else _money(value)


def _metadata(value: dict[str, str]) -> dict[str, str]:
    if len(value) > METADATA_PAIRS:
        raise _fault("metadata_size", f"must have at most {METADATA_PAIRS} pairs")
    for key, text in value.items():
        if not 0 < len(key) <= METADATA_KEY_LENGTH:
            raise _fault("metadata_key", f"keys must have 1 to {METADATA_KEY_LENGTH} characters")
        if len(text) > METADATA_VALUE_LENGTH:
            raise _fault("metadata_value", f"values must have at most {METADATA_VALUE_LENGTH} characters")
    return dict(sorted(value.items()))


#: Name of a tenant or an operator, for people.
DisplayName = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Url = Annotated[str, Field(json_schema_extra={"maxLength": URL_LENGTH}), AfterValidator(web_url)]
FileSource = Annotated[str, AfterValidator(file_source)]
Metadata = Annotated[dict[str, str], AfterValidator(_metadata)]
AnyDuration = Annotated[
    Duration, BeforeValidator(duration_text, json_schema_input_type=Duration | Annotated[int, Field(ge=4, le=15)])
]
#: Micro-USD, from a decimal string or a JSON number of US dollars.
OptionalMoney = Annotated[
    int | None,
    BeforeValidator(lambda value: None if value is None else _money(value), json_schema_input_type=str | float | None),
]
SignedMoney = Annotated[int, BeforeValidator(_signed_money, json_schema_input_type=str | float)]
MoneyOrZero = Annotated[int, BeforeValidator(_money_or_zero, json_schema_input_type=str | float)]
