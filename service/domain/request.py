"""The body of a create: fal's input fields, the gateway's own fields, and the checks of both."""

import hashlib
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, PydanticKnownError, from_json

from service.domain.data_uri import has_base64, is_data_uri
from service.domain.described import describe
from service.domain.faults import faults_of
from service.domain.models.model import FieldType, Model
from service.domain.models.rules import broken_rules
from service.errors import FieldError, Invalid

HIGHEST_PRIORITY: Final = 9

Resolution = Literal["480p", "720p", "1080p", "4k"]
Duration = Literal["auto", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"]
AspectRatio = Literal["auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"]
BitrateMode = Literal["standard", "high"]

URL_LENGTH: Final = 2048
#: Presigned URLs of object stores carry session tokens of up to 4 kB, percent-encoded.
IMAGE_URL_LENGTH: Final = 8192
SEED_LIMIT: Final = 2**32 - 1
METADATA_PAIRS: Final = 16
METADATA_KEY_LENGTH: Final = 64
METADATA_VALUE_LENGTH: Final = 512
END_USER_LENGTH: Final = 256
SHORTEST_EXPIRY: Final = 10  # seconds
LONGEST_EXPIRY: Final = 7 * 24 * 3600
_FINGERPRINT_VERSION: Final = 1
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


def _printable(value: str) -> str:
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


Url = Annotated[str, Field(json_schema_extra={"maxLength": URL_LENGTH}), AfterValidator(web_url)]
FileSource = Annotated[str, AfterValidator(file_source)]

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


class VideoInput(BaseModel):
    """fal's input fields, with the defaults of its model page."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra=describe)

    prompt: Annotated[
        str, Field(description="What happens in the video, 4,000 characters at most."), AfterValidator(not_blank)
    ]
    image_url: Annotated[
        FileSource,
        Field(
            description=(
                "The first frame: JPEG, PNG or WebP, 30 MB at most. A URL that fal can fetch, 8,192 characters at "
                "most, or the image as a base64 data URI of any media type, which the gateway uploads to fal's storage."
            )
        ),
    ]
    end_image_url: Annotated[FileSource | None, Field(description="The last frame: as `image_url`. Default: none.")] = (
        None
    )
    resolution: Resolution = "720p"
    """Default `720p`. It decides the price: 5 seconds cost up to 0.71 USD at `480p` and up to 1.54 USD at `720p`.
    With the defaults (`720p`, `auto`) one generation holds up to 4.58 USD, at fal's list price. `1080p` and `4k`
    are accepted only if the operator allows them.
    """
    duration: AnyDuration = "auto"
    """Seconds of video, `4` to `15`, as a string or a number; default `auto`: fal chooses. `auto` holds the price of
    15 seconds: with the default `720p` up to 4.58 USD for one generation. `480p` and `5` hold 0.71 USD. If fal's
    video is shorter, the rest is released at the end.
    """
    aspect_ratio: AspectRatio = "auto"
    """Width to height; default `auto`: as the image. The price does not exceed the estimate for any ratio."""
    generate_audio: Annotated[
        bool, Field(description="Default `true`. The cost is the same with and without audio.")
    ] = True
    seed: Annotated[int | None, Field(ge=0, le=SEED_LIMIT)] = None
    """Default: fal chooses a random seed. The same seed and input give a similar video, not an identical one."""
    bitrate_mode: BitrateMode | None = None
    """Default: fal's. `high` gives larger files. Accepted only if the operator allows it."""
    end_user_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=END_USER_LENGTH,
            description=(
                "Your customer, 1 to 256 printable characters. fal receives a pseudonym. Daily limits and budgets"
                " count by it. Default: none; some tenants must give it."
            ),
        ),
        AfterValidator(lambda value: value if value is None else _printable(value)),
    ] = None


IMAGE_FIELDS: Final = ("image_url", "end_image_url")
VIDEO_FIELDS: Final = tuple(name for name in VideoInput.model_fields if name != "end_user_id")


class CreateGeneration(VideoInput):
    """The body of ``POST /v1/generations``."""

    webhook_url: Annotated[
        Url | None,
        Field(
            description=(
                "URL that receives the event of the end. Default: the `webhook_url` of the tenant's limits. "
                "Webhook endpoints receive events in any case."
            )
        ),
    ] = None
    metadata: Annotated[
        dict[str, str],
        Field(
            description=(
                "Up to 16 pairs of your own, returned with the generation. Keys have 1 to 64 characters, values "
                "512 at most. Default: none."
            )
        ),
        AfterValidator(_metadata),
    ] = Field(default_factory=dict)
    priority: Annotated[
        int,
        Field(
            ge=0, le=HIGHEST_PRIORITY, description="0 to 9, default 0. Within your tenant, higher is dispatched first."
        ),
    ] = 0
    max_cost_usd: Annotated[
        OptionalMoney,
        Field(
            description=(
                "Most US dollars that this generation may cost, as a decimal string or a number. If the estimate "
                "is higher, the request is refused with 402 `max_cost_exceeded`. Default: no maximum of your own."
            )
        ),
    ] = None
    expires_in: Annotated[
        int | None,
        Field(
            ge=SHORTEST_EXPIRY,
            le=LONGEST_EXPIRY,
            description=(
                "Seconds that it may stay queued, 10 to 604800; then it fails with `expired` and costs nothing. "
                "Default: the deployment's setting, one day."
            ),
        ),
    ] = None

    spec: ClassVar[Model | None] = None
    """The model of which this is the request; None: the default one of the deployment."""
    input_fields: ClassVar[tuple[str, ...]] = VIDEO_FIELDS
    """Fields that fal receives. ``end_user_id`` is not among them: fal gets a pseudonym."""
    fingerprint_prefix: ClassVar[bytes] = b""
    """What the fingerprint has in front of the fields: the id of a model that is not the default one."""
    completes_drafts: ClassVar[bool] = False
    """Whether it names the draft that it completes."""
    reference_fields: ClassVar[Mapping[FieldType, str]] = {}
    """The fields that are lists of files, by their types."""
    absent: ClassVar[frozenset[str]] = frozenset()
    """Fields that the model does not have: they are refused, and None. mypy does not know that they can be None."""

    def video(self) -> dict[str, Any]:
        """Return the fields that fal receives, with their values."""
        return {name: value for name in self.input_fields if (value := getattr(self, name)) is not None}

    @property
    def wants_draft(self) -> bool:
        return self.spec is not None and "draft" in self.spec.fields and getattr(self, "draft", None) is True

    @property
    def completes(self) -> str | None:
        """The id of the draft's generation, if this is a request of a completion."""
        return getattr(self, "draft_id", None) if self.completes_drafts else None

    @property
    def has_data_uris(self) -> bool:
        return any(is_data_uri(source) for source in (self.image_url, self.end_image_url) if source is not None) or (
            bool(self.reference_fields) and any(is_data_uri(source) for source in self.references())
        )

    def references(self, *kinds: FieldType) -> list[str]:
        """Return the sources of the reference files of these types; no type: of all."""
        names = [name for kind, name in self.reference_fields.items() if not kinds or kind in kinds]
        return [source for name in names for source in getattr(self, name) or ()]

    def fingerprint(self) -> str:
        """Return a hash that is equal for bodies that mean the same: 5 and "5", metadata in any order.

        Fields that have their default value are left out. A release that adds an optional field thus computes the same
        fingerprint for an old body, and a client that repeats its create across the deploy gets its generation, not 422
        ``idempotency_mismatch``. Fields are hashed in the order of their declaration: do not reorder them.

        The id of a model is hashed too, unless it is the default one of the deployment.

        The version says what is hashed, and how. Increase it when the same body must hash differently, for example
        after a change of a default: creates that are repeated across that one deploy are then refused.
        """
        changed = self.__pydantic_serializer__.to_json(self, exclude_defaults=True)
        return f"{_FINGERPRINT_VERSION}:{hashlib.sha256(self.fingerprint_prefix + changed).hexdigest()}"


_NO_BITRATE_MODE: Final = FieldError("/bitrate_mode", "unknown field", "extra_forbidden")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of this deployment, in addition to those of the schema."""

    prompt_characters: int = 4000
    resolutions: tuple[str, ...] = ("480p", "720p")
    bitrate_modes: tuple[str, ...] = ()
    tenant_resolutions: tuple[str, ...] | None = None
    tenant_durations: tuple[str, ...] | None = None
    """What the tenant may use; None: all. They change texts and schemas only: the admission refuses other values,
    after the look-up of the idempotency key.
    """
    durations: tuple[str, ...] = get_args(Duration)
    named_model: str | None = None
    """The model that faults name; None: the default one, whose faults name no model."""
    model: Model | None = None
    """The model whose rules apply; None: it has none."""

    def for_tenant(self, resolutions: tuple[str, ...] | None, durations: tuple[str, ...] | None) -> "RequestLimits":
        if resolutions is None and durations is None:
            return self
        return replace(self, tenant_resolutions=resolutions, tenant_durations=durations)

    def for_model(self, model: Model, *, named: bool) -> "RequestLimits":
        """Return the limits with the values that the model has. ``named``: faults name the model."""
        modes = model.fields["bitrate_mode"].values if "bitrate_mode" in model.fields else ()
        return replace(
            self,
            resolutions=tuple(value for value in self.resolutions if value in model.resolutions),
            durations=model.durations,
            bitrate_modes=tuple(mode for mode in self.bitrate_modes if mode in modes),
            named_model=model.id if named else None,
            model=model if model.has_rules else None,
        )

    def values(self, field: str) -> tuple[str, ...]:
        """Return the values that this deployment accepts of the tenant."""
        every, own = {
            "resolution": (self.resolutions, self.tenant_resolutions),
            "duration": (self.durations, self.tenant_durations),
            "bitrate_mode": (self.bitrate_modes, None),
        }[field]
        return every if own is None else tuple(value for value in every if value in own)

    def choices(self, field: str) -> str:
        """Return the values that this deployment accepts of the tenant, in the words of a fault."""
        *first, last = [repr(value) for value in self.values(field)] or ["nothing"]
        return f"must be {', '.join(first)}{' or ' if first else ''}{last}"

    def in_words(self, fault: FieldError) -> FieldError:
        """Return the fault of a value that the schema has not, with the text of one that the limits refuse."""
        return self.of_model(self._with_choices(fault))

    def of_model(self, fault: FieldError) -> FieldError:
        """Return the fault with the name of the model that the caller named."""
        if self.named_model is None:
            return fault
        return FieldError(fault.pointer, f"{fault.detail} ({self.named_model})", fault.type)

    def _with_choices(self, fault: FieldError) -> FieldError:
        field = fault.pointer.removeprefix("/")
        if fault.type != "literal_error" or field not in ("resolution", "duration", "bitrate_mode"):
            return fault
        if field == "bitrate_mode" and not self.bitrate_modes:
            return _NO_BITRATE_MODE
        return FieldError(fault.pointer, self.choices(field), fault.type)

    def faults(self, request: "CreateGeneration") -> list[FieldError]:
        """Return one FieldError for each value that this deployment does not accept."""
        faults = []
        prompt = request.prompt or ""
        if len(prompt) > self.prompt_characters:
            text = f"must have at most {self.prompt_characters} characters, has {len(prompt)}"
            faults.append(self.of_model(FieldError("/prompt", text, "string_too_long")))
        if request.resolution not in self.resolutions:
            faults.append(self.in_words(FieldError("/resolution", "", "literal_error")))
        if request.bitrate_mode is not None and request.bitrate_mode not in self.bitrate_modes:
            faults.append(self.in_words(FieldError("/bitrate_mode", "", "literal_error")))
        return faults if self.model is None else [*faults, *self.broken_rules(dict(request))]

    def broken_rules(self, values: object) -> list[FieldError]:
        """Return the faults between fields. The values may be those of a body that is wrong elsewhere."""
        if self.model is None or not isinstance(values, dict):
            return []
        return [self.of_model(fault) for fault in broken_rules(self.model, values)]


def parse_create(
    body: bytes, limits: RequestLimits, adapter: "TypeAdapter[CreateGeneration] | None" = None
) -> CreateGeneration:
    """Parse and check the body of a create. ``adapter``: of the model; None: of Seedance 2.0 image-to-video.

    Raises:
        Malformed: the body is not a JSON object.
        Invalid: a field is missing, unknown, of the wrong type or out of range; one FieldError each.

    """
    try:
        found = parse(adapter or _CREATE, body)
    except Invalid as error:
        values = None if limits.model is None else json_of(body)
        raise _in_words(error, limits, values) from None
    return _within(found, limits)


def parse_fields(
    fields: dict[str, Any], limits: RequestLimits, adapter: "TypeAdapter[CreateGeneration] | None" = None
) -> CreateGeneration:
    """Check the fields of a create. Raises Invalid as ``parse_create``."""
    try:
        found = (adapter or _CREATE).validate_python(fields)
    except ValidationError as error:
        fault = faults_of(error)
        raise (_in_words(fault, limits, fields) if isinstance(fault, Invalid) else fault) from None
    return _within(found, limits)


def _in_words(error: Invalid, limits: RequestLimits, values: object) -> Invalid:
    return Invalid(*(limits.in_words(fault) for fault in error.errors), *limits.broken_rules(values))


def _within(request: CreateGeneration, limits: RequestLimits) -> CreateGeneration:
    if faults := limits.faults(request):
        raise Invalid(*faults)
    return request


def json_of(body: bytes) -> Any:
    """Return the value of a body that ``parse`` found to be JSON."""
    return from_json(body.removeprefix(BOM_UTF8))


Body = TypeVar("Body")


def parse(adapter: TypeAdapter[Body], body: bytes) -> Body:
    """Validate JSON bytes, with or without a byte order mark.

    Raises Malformed or Invalid, in the terms of this API instead of pydantic's.
    """
    try:
        return adapter.validator.validate_json(body.removeprefix(BOM_UTF8))  # type: ignore[no-any-return]
    except ValidationError as error:
        raise faults_of(error) from None


_CREATE: Final = TypeAdapter(CreateGeneration)
