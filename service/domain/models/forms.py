"""Forms of requests: for each enabled model its class and limits. ``model`` in a body selects one."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from pydantic import TypeAdapter

from service.domain.json_body import decode
from service.domain.models.model import Model
from service.domain.models.registry import Registry
from service.domain.models.requests import request_class
from service.domain.request import CreateGeneration
from service.domain.request_limits import RequestLimits, parse_create, parse_fields
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid

FIELD: Final = "model"
#: Why a create cannot name the model.
COMPLETES_DRAFTS: Final = (
    "completes drafts: send POST /v1/generations/{generation_id}/complete for the generation of the draft"
)
_POINTER: Final = f"/{FIELD}"


class RequestForm:
    """How a request of one model is checked. The class is made when it is first needed: that takes milliseconds."""

    def __init__(self, model: Model, limits: RequestLimits, *, is_default: bool) -> None:
        self.model = model
        self.is_default = is_default
        self._limits = limits.for_model(model, named=not is_default)

    @cached_property
    def request(self) -> type[CreateGeneration]:
        made = request_class(self.model)
        if not self.is_default:
            made.fingerprint_prefix = self.model.id.encode() + b"\n"
        return made

    @cached_property
    def adapter(self) -> TypeAdapter[CreateGeneration]:
        return TypeAdapter(self.request)

    def limits(self, tenant: Limits | None = None) -> RequestLimits:
        """Return the limits, with the values that the tenant may use for texts and schemas."""
        return self._limits if tenant is None else self._limits.for_tenant(tenant.resolutions, tenant.durations)

    def parse(self, body: bytes, tenant: Limits) -> CreateGeneration:
        """Parse and check a body. Raises as ``parse_create``."""
        return parse_create(body, self.limits(tenant), self.adapter)

    def check(self, fields: dict[str, Any], tenant: Limits) -> CreateGeneration:
        """Check the fields of a body. Raises Invalid."""
        return parse_fields(fields, self.limits(tenant), self.adapter)


class RequestForms:
    def __init__(self, registry: Registry, limits: RequestLimits) -> None:
        self.registry = registry
        self._forms: Mapping[str, RequestForm] = {
            model.id: RequestForm(model, limits, is_default=model is registry.default)
            for model in registry.enabled.values()
        }
        self.default = self._forms[registry.default.id]

    def of(self, model: Model) -> RequestForm:
        return self._forms[model.id]

    def parse(self, body: bytes, tenant: Limits) -> CreateGeneration:
        """Parse and check the body of a create. ``model`` selects the model, if the body has it.

        The body is first taken for one of the default model, so that a body without ``model`` is read once. There,
        ``model`` is an unknown field.

        Raises:
            Malformed: the body is not a JSON object.
            Invalid: a field is missing, unknown, of the wrong type or out of range, or the model is unknown.

        """
        try:
            return self.default.parse(body, tenant)
        except Invalid as error:
            if all(fault.pointer != _POINTER for fault in error.errors):
                raise
        fields = decode(body)
        return self._named(fields.pop(FIELD), tenant).check(fields, tenant)

    def _named(self, name: Any, tenant: Limits) -> RequestForm:
        if name is None:
            return self.default
        if not isinstance(name, str):
            raise Invalid(FieldError(_POINTER, "must be a string", "string_type"))
        model = self.registry.find(name)
        if model is None:
            usable = ", ".join(filter(tenant.may_use, self.registry.creatable)) or "nothing"
            raise Invalid(FieldError(_POINTER, f"must be a model that you may use: {usable}", "unknown_model"))
        if model.completes_drafts:
            raise Invalid(FieldError(_POINTER, COMPLETES_DRAFTS, "completion"))
        return self._forms[model.id]

    def usable(self, tenant: Limits) -> list[str]:
        """Return the ids of the enabled models that the tenant may use."""
        return [model_id for model_id in self.registry.enabled if tenant.may_use(model_id)]
