"""Error responses, one per status: problem documents, and other forms below ``/fal`` and the paths of dialects.

Each code has a real example.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.api import example_costs
from service.api.dialects.openai import openapi as openai
from service.api.dialects.openrouter import openapi as openrouter
from service.api.dialects.vercel import openapi as vercel
from service.api.fal import openapi as fal
from service.api.http.responses import PROBLEM_JSON
from service.api.openapi import headers
from service.api.openapi import values as v
from service.api.schemas import SCHEMA_REFERENCE, TITLES, BudgetProblem, Problem
from service.errors import BadClip, BadImage, GatewayError

_GENERATION: Final = f"/v1/generations/{v.GENERATION_ID}"
_OPERATORS: Final = f"/admin/v1/generations/{v.GENERATION_ID}"
_BUDGET: Final = {
    "scope": "tenant_month",
    "limit": "100.000000",
    "available": "0.420000",
    "estimated": example_costs.SHORT,
    "resets_at": "2026-02-01T00:00:00.000Z",
}
_MAX_COST: Final = {
    "scope": "request",
    "limit": "1.000000",
    "available": "1.000000",
    "estimated": example_costs.LONGEST,
    "resets_at": None,
}
_FAULTS: Final = {
    "errors": [
        {"pointer": "/duration", "detail": "must be 'auto', '4' or '5'", "type": "literal_error"},
        {"pointer": "/promt", "detail": "unknown field", "type": "extra_forbidden"},
    ]
}
#: Detail and path of a real occurrence of each code.
_OCCURRENCES: Final = {
    "malformed": ("The body is not valid JSON: expected `,` or `}` at line 1 column 40.", "/v1/generations"),
    "unauthenticated": ("The API key is unknown, expired or revoked.", "/v1/generations"),
    "budget_exceeded": (
        f"It may cost {example_costs.SHORT} USD; the budget tenant_month has 0.420000 USD left.",
        "/v1/generations",
    ),
    "max_cost_exceeded": (
        f"It may cost {example_costs.LONGEST} USD, more than max_cost_usd allows (1.000000).",
        "/v1/generations",
    ),
    "forbidden": ("The API key lacks the scope 'generate'.", "/v1/generations"),
    "references_forbidden": (
        "This tenant may use no reference files in a generation; this one has 3.",
        "/v1/generations",
    ),
    "model_forbidden": ("This tenant may not use the model bytedance/seedance-2.5/text-to-video.", "/v1/generations"),
    "end_user_blocked": ("This end user is blocked.", "/v1/generations"),
    "not_found": ("There is no such generation.", _GENERATION),
    "method_not_allowed": ("DELETE is not allowed here; allowed: GET, POST.", "/v1/generations"),
    "method_unknown": ("The server does not know this method. OPTIONS of a path returns its methods.", ""),
    "request_timeout": ("The body took longer than 60 seconds.", "/v1/uploads"),
    "conflict": ("The endpoint is disabled; enable it first.", f"/v1/webhook-endpoints/{v.ENDPOINT_ID}/test"),
    "not_a_draft": (f"{v.GENERATION_ID} is not a draft that can be completed.", f"{_GENERATION}/complete"),
    "draft_not_ready": ("The draft has not ended: it is in_progress.", f"{_GENERATION}/complete"),
    "draft_failed": ("The draft has no video: it is canceled.", f"{_GENERATION}/complete"),
    "draft_expired": (
        "The draft could be completed until 2026-02-07T09:31:02.000Z.",
        f"{_GENERATION}/complete",
    ),
    "not_cancellable": ("The generation has already ended: succeeded.", f"{_GENERATION}/cancel"),
    "video_not_ready": ("The generation has not ended.", f"{_GENERATION}/video"),
    "not_unconfirmed": (
        "Only an unconfirmed generation can be resolved; this one is submitted.",
        f"{_OPERATORS}/resolve",
    ),
    "not_given_up": (
        "Only a generation that failed by a deadline, or unconfirmed, can be revived.",
        f"{_OPERATORS}/revive",
    ),
    "tenant_deleted": (
        "The tenant of this generation was deleted; its budgets cannot hold the cost.",
        f"{_OPERATORS}/revive",
    ),
    "request_id_taken": ("This request id belongs to another generation.", f"{_OPERATORS}/resolve"),
    "not_settled": ("Only an ended generation can be adjusted; this one is submitted.", "/admin/v1/adjustments"),
    "cost_changed": (f"Its cost is {example_costs.SHORT} US dollars.", "/admin/v1/adjustments"),
    "spent_below_zero": (
        f"Its cost is {example_costs.SHORT} US dollars; the correction would make it negative.",
        "/admin/v1/adjustments",
    ),
    "tenant_busy": (
        "2 generations have not ended, 1 webhooks are pending: suspend or drain it first.",
        f"/admin/v1/tenants/{v.TENANT_ID}",
    ),
    "overlap_promised": (
        "The key was rotated before, and its overlap ends later. To end the key, revoke it.",
        f"/admin/v1/tenants/{v.TENANT_ID}/keys/{v.API_KEY['id']}/rotate",
    ),
    "precondition_failed": (
        "The tenant is at version 4 by now; read it again.",
        f"/admin/v1/tenants/{v.TENANT_ID}",
    ),
    "too_large": ("The body is larger than 1048576 bytes.", "/v1/generations"),
    "unsupported_media_type": ("Send the body as application/json.", "/v1/generations"),
    "range_not_satisfiable": (
        "Range lies outside the file, which has 2097152 bytes.",
        f"{_GENERATION}/video",
    ),
    "invalid": ("/duration: must be 'auto', '4' or '5'; /promt: unknown field", "/v1/generations"),
    "idempotency_mismatch": (
        "This Idempotency-Key was used with another payload; use a new key for a new request.",
        "/v1/generations",
    ),
    "image_format": (
        "body: The file is a GIF. Only JPEG, PNG and WebP images are accepted. Save it as JPEG, PNG or WebP.",
        "/v1/uploads",
    ),
    "image_truncated": ("body: The JPEG ends before its end marker.", "/v1/uploads"),
    "image_trailing_data": ("body: A ZIP archive follows the end of the image; send the image alone.", "/v1/uploads"),
    "image_too_many_pixels": (
        "body: The image has 12000 x 9000 pixels; at most 50000000 in all may be.",
        "/v1/uploads",
    ),
    "clip_format": ("body: The MP4 has 2 video streams; send a file with one.", "/v1/uploads"),
    "clip_truncated": ("body: The video ends before its last box.", "/v1/uploads"),
    "clip_unreadable": ("body: The video states no size.", "/v1/uploads"),
    "image_unreadable": ("body: The image cannot be decoded.", "/v1/uploads"),
    "too_many": ("The limit is reached.", "/v1/generations"),
    "rate_limited": ("More than 600 calls a minute.", "/v1/generations"),
    "too_many_streams": ("More than 100 event streams are open.", f"{_GENERATION}/events"),
    "too_many_waiting": ("More than 1000 calls are waiting.", _GENERATION),
    "too_many_bytes": (
        "The bodies of this tenant that are in progress would have more than 128000000 bytes.",
        "/v1/uploads",
    ),
    "too_many_downloads": ("Too many videos of this tenant are being read.", f"{_GENERATION}/video"),
    "queue_full": ("1000 generations of this tenant are waiting, as many as may.", "/v1/generations"),
    "daily_limited": ("Daily limit of generations reached (10000 today, canceled ones included).", "/v1/generations"),
    "new_end_users_limited": ("Daily limit of new end users reached (1000 today).", "/v1/generations"),
    "deliveries_full": ("100000 webhook deliveries are stored, as many as may.", "/v1/generations"),
    "too_many_changes": (
        "This tenant has made 10000 changes of configuration today (UTC).",
        f"/v1/webhook-endpoints/{v.ENDPOINT_ID}",
    ),
    "too_many_tests": ("20 test events are not delivered yet.", f"/v1/webhook-endpoints/{v.ENDPOINT_ID}/test"),
    "end_user_limited": ("This end user has had 20 generations today, as many as it may.", "/v1/generations"),
    "clip_limit": ("The measurement of the file took longer than 30 seconds.", "/v1/uploads"),
    "image_limit": ("The inspection of the image took longer than 60 seconds.", "/v1/uploads"),
    "unavailable": ("Failing checks: clock. The log of the gateway has the reasons.", "/readyz"),
    "store_unavailable": ("Redis does not answer.", "/v1/generations"),
    "store_full": ("Redis is nearly full, and accepts nothing new.", "/v1/generations"),
    "tenant_store_full": (
        "Redis is nearly full, and this tenant stores the largest part: it may store nothing new.",
        "/v1/generations",
    ),
    "draining": ("The gateway accepts nothing new for now.", "/v1/generations"),
    "media_unavailable": ("Video storage is temporarily unavailable.", f"{_GENERATION}/video"),
    "upstream_unavailable": ("fal's storage answered 502.", "/v1/uploads"),
    "internal": ("Something went wrong here; the request id finds it in our logs.", "/v1/generations"),
}
#: Fields that only some codes have.
_MEMBERS: Final[dict[str, dict[str, Any]]] = {
    "budget_exceeded": _BUDGET,
    "max_cost_exceeded": _MAX_COST,
    "tenant_busy": {"in_flight": 3, "webhooks": 1},
    "invalid": _FAULTS,
}
_BROKEN: Final = "500"


@dataclass(frozen=True, slots=True)
class _Form:
    """The form of errors below one path."""

    path: str
    schema: str
    """Name of its schema, and of its responses in front of the status."""
    statuses: Mapping[int, str]
    examples: Mapping[int, Mapping[str, Any]]
    headers: Callable[[str], dict[str, Any]]
    schemas: Callable[[], dict[str, Any]]

    def refusal(self, status: int) -> dict[str, Any]:
        examples = {name: {"value": value} for name, value in self.examples[status].items()}
        schema = {"$ref": SCHEMA_REFERENCE.format(model=self.schema)}
        return {
            "description": self.statuses[status],
            "headers": self.headers(str(status)),
            "content": {"application/json": {"schema": schema, "examples": examples}},
        }


_FORMS: Final = (
    _Form("/fal/", "FalError", fal.ERRORS, fal.ERROR_EXAMPLES, headers.of_fals_refusal, fal.error_schema),
    _Form("/vercel/", "VercelError", vercel.ERRORS, vercel.ERROR_EXAMPLES, headers.of_refusal, vercel.error_schema),
    _Form("/openai/", "OpenAIError", openai.ERRORS, openai.ERROR_EXAMPLES, headers.of_refusal, openai.error_schema),
    _Form(
        "/openrouter/",
        "OpenRouterError",
        openrouter.ERRORS,
        openrouter.ERROR_EXAMPLES,
        headers.of_refusal,
        openrouter.error_schema,
    ),
)


def refer(path: str, operation: dict[str, Any]) -> None:
    """Replace error responses by references. Every operation may respond 500."""
    answers = operation["responses"]
    form = next((form for form in _FORMS if path.startswith(form.path)), None)
    if form is None and "application/json" in answers.get("422", {}).get("content", {}):
        del answers["422"]  # FastAPI's own validation error
    if form is not None:
        for status in [status for status in answers if status >= "400" and int(status) not in form.statuses]:
            del answers[status]
    answers.setdefault(_BROKEN, {})
    for status in [status for status in answers if status >= "400"]:
        if form is not None or status == _BROKEN or PROBLEM_JSON in answers[status].get("content", {}):
            name = "Error" if form is None else form.schema
            answers[status] = {"$ref": f"#/components/responses/{name}{status}"}


def components(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the referenced responses, and add their schemas to ``schemas``."""
    for model in (Problem, BudgetProblem):
        schemas[model.__name__] = model.model_json_schema(ref_template=SCHEMA_REFERENCE)
        schemas.update(schemas[model.__name__].pop("$defs", {}))
    schemas.update({_schema_name(status): _schema(status) for status in TITLES})
    found = {f"Error{status}": _refusal(status) for status in sorted(TITLES)}
    for form in _FORMS:
        schemas.update(form.schemas())
        found |= {f"{form.schema}{status}": form.refusal(status) for status in form.statuses}
    return found


def _schema_name(status: int) -> str:
    return f"Problem{status}"


def _schema(status: int) -> dict[str, Any]:
    """Return the problem document of a status.

    The codes are no ``enum``: a generated client would fail at a code that a later release adds.
    """
    base = BudgetProblem if status == 402 else Problem
    code = {
        "type": "string",
        "description": "Stable code of the error. A later release may add codes.",
        "x-extensible-enum": list(_errors(status)),
    }
    own = {
        "type": "object",
        "properties": {
            "status": {"type": "integer", "enum": [status], "description": "The HTTP status."},
            "code": code,
        },
    }
    return {"allOf": [{"$ref": SCHEMA_REFERENCE.format(model=base.__name__)}, own], "description": TITLES[status]}


def _errors(status: int) -> dict[str, type[GatewayError]]:
    return {error.code: error for error in _family(GatewayError) if error.status == status}


def _refusal(status: int) -> dict[str, Any]:
    errors = _errors(status)
    content = {
        "schema": {"$ref": SCHEMA_REFERENCE.format(model=_schema_name(status))},
        "examples": {code: {"value": _example(error)} for code, error in errors.items()},
    }
    return {
        "description": TITLES[status],
        "headers": headers.of_refusal(str(status)),
        "content": {PROBLEM_JSON: content},
    }


def _example(error: type[GatewayError]) -> dict[str, Any]:
    detail, instance = _OCCURRENCES[error.code]
    faults = {"errors": [{"pointer": "", "detail": detail.removeprefix("body: "), "type": error.code}]}
    return {
        "type": f"urn:seedance-gateway:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": detail,
        "instance": instance,
        "code": error.code,
        "retryable": error.retryable,
        "request_id": headers.COMPONENTS["X-Request-Id"]["example"],
        **(faults if issubclass(error, BadImage | BadClip) else _MEMBERS.get(error.code, {})),
    }


def _family(error: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__ == GatewayError.__module__:
            yield from _family(child)
