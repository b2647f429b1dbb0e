"""The limits of a deployment on creates, and the check of a body against schema and limits."""

from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from service.domain.faults import faults_of
from service.domain.field_types import Duration
from service.domain.json_body import decode, parse
from service.domain.models.model import Model
from service.domain.models.rules import broken_rules
from service.domain.request import CreateGeneration
from service.errors import FieldError, Invalid

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
        return self._refused(field)

    def _refused(self, field: str) -> FieldError:
        """Return the fault of a value that is none of the choices."""
        if field == "bitrate_mode" and not self.bitrate_modes:
            return _NO_BITRATE_MODE
        return FieldError(f"/{field}", self.choices(field), "literal_error")

    def faults(self, request: CreateGeneration) -> list[FieldError]:
        """Return one FieldError for each value that this deployment does not accept."""
        faults = []
        if (prompt := request.prompt) and len(prompt) > self.prompt_characters:
            text = f"must have at most {self.prompt_characters} characters, has {len(prompt)}"
            faults.append(self.of_model(FieldError("/prompt", text, "string_too_long")))
        if request.resolution not in self.resolutions:
            faults.append(self.of_model(self._refused("resolution")))
        if request.bitrate_mode is not None and request.bitrate_mode not in self.bitrate_modes:
            faults.append(self.of_model(self._refused("bitrate_mode")))
        return faults if self.model is None else [*faults, *self.broken_rules(dict(request))]

    def broken_rules(self, values: object) -> list[FieldError]:
        """Return the faults between fields. The values may be those of a body that is wrong elsewhere."""
        if self.model is None or not isinstance(values, dict):
            return []
        return [self.of_model(fault) for fault in broken_rules(self.model, values)]


def parse_create(
    body: bytes, limits: RequestLimits, adapter: TypeAdapter[CreateGeneration] | None = None
) -> CreateGeneration:
    """Parse and check the body of a create. ``adapter``: of the model; None: of Seedance 2.0 image-to-video.

    Raises:
        Malformed: the body is not a JSON object.
        Invalid: a field is missing, unknown, of the wrong type or out of range; one FieldError each.

    """
    try:
        found = parse(adapter or _CREATE, body)
    except Invalid as error:
        values = None if limits.model is None else decode(body)
        raise _in_words(error, limits, values) from None
    return _within(found, limits)


def parse_fields(
    fields: dict[str, Any], limits: RequestLimits, adapter: TypeAdapter[CreateGeneration] | None = None
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


_CREATE: Final = TypeAdapter(CreateGeneration)
