"""Descriptions that pydantic and FastAPI leave out: inherited fields, plain results, and who may call."""

from typing import Any, Final

from service.api.admin.generation_views import OperatorsGenerationView
from service.api.v1.delivery_schemas import DeliveryDetailView, DeliveryView
from service.api.v1.webhook_endpoint_schemas import NewEndpointView
from service.domain.generation_view import GenerationView
from service.domain.webhook_endpoint_view import EndpointView

#: TypedDicts that extend another one. pydantic reads the descriptions of a TypedDict's own fields only.
_EXTENDED: Final = (
    (NewEndpointView, EndpointView),
    (DeliveryDetailView, DeliveryView),
    (OperatorsGenerationView, GenerationView),
)
#: FastAPI's description of a response that has none.
_UNDESCRIBED: Final = "Successful Response"
#: What a response holds, by the name of its schema.
_RESULTS: Final = {
    "AdjustmentView": "The adjustment, with the cost after it.",
    "AccountUsageView": "A page of rows, and the figures of the whole period. CSV if `Accept` names `text/csv`.",
    "ApiKeyList": "All keys of the tenant.",
    "BudgetList": "The tenants with the highest shares.",
    "ApiKeyView": "The API key.",
    "AuditView": "The audit.",
    "BulkJobList": "One page of bulk jobs.",
    "BulkJobView": "The bulk job.",
    "BulkPreviewView": "What a job would act on.",
    "CallbackView": "The callback was stored.",
    "DeliveryDetailView": "The delivery, with its body and attempts.",
    "DeliveryList": "One page of deliveries.",
    "DeliveryView": "The delivery.",
    "DismissedView": "How many were dismissed, and how many are left.",
    "DispatchView": "The state of dispatch.",
    "EndUserList": "One page of end users.",
    "EndUserView": "The end user.",
    "EndpointList": "All webhook endpoints of the tenant.",
    "EndpointView": "The webhook endpoint.",
    "ErasedView": "The erasure.",
    "EstimateView": "The estimate.",
    "FailingReceiverList": "Receivers that only fail.",
    "FalUpload": "Where to upload the bytes, and the URL of the image afterwards.",
    "GenerationDetailsView": "The generation, with what happened to it.",
    "GenerationList": "One page of generations.",
    "GenerationRows": "One page of generations.",
    "GenerationView": "The generation.",
    "NewEndpointView": "The webhook endpoint, with its secret.",
    "IssuerList": "All trusted issuers of the tenant.",
    "IssuerView": "The trusted issuer.",
    "MeView": "The caller.",
    "ModelDetailView": "The model, with the schema of its requests.",
    "ModelList": "The models that you may use.",
    "OperatorDeliveryDetailView": "The delivery, with its attempts.",
    "OperatorDeliveryList": "One page of deliveries.",
    "OperatorDeliveryView": "The delivery.",
    "OperatorEndpointList": "All webhook endpoints of the tenant.",
    "OperatorEndpointView": "The webhook endpoint.",
    "OperatorList": "One page of operators.",
    "OperatorSelfView": "The calling operator.",
    "OperatorTokenList": "All tokens of the operator.",
    "OperatorTokenView": "The token.",
    "OperatorView": "The operator.",
    "OperatorsGenerationView": "The generation, with fields for operators.",
    "PaidAndLostList": "The oldest of these generations.",
    "PublicKeysView": "The public keys.",
    "ReplayView": "How many deliveries are sent again.",
    "SecretsView": "The secrets that sign now.",
    "TenantList": "One page of tenants.",
    "TenantView": "The tenant.",
    "TrailList": "One page of the audit trail.",
    "TraceView": "The end user behind the pseudonym.",
    "UnconfirmedList": "The oldest unconfirmed generations.",
    "StreamTicketView": "The ticket.",
    "UploadView": "The stored image.",
    "UsageEndUserList": "One page of end users.",
    "UsageReportView": "The usage report.",
    "VercelModels": "The models that you may use.",
    "UsageView": "The usage of the period. CSV if `Accept` names `text/csv`.",
}
_CALLERS: Final = {
    "apiKey": "Needs an API key with the scope `{scope}`.",
    "falKey": "Needs an API key with the scope `{scope}`.",
    "adminToken": "Needs an operator's token with the role `{scope}`.",
    "falSignature": "Needs a signature of fal.",
    "uploadTicket": "Needs the ticket of the upload URL.",
}


def complete_schemas(schemas: dict[str, Any]) -> None:
    """Give every property one line of description."""
    for extended, base in _EXTENDED:
        known = schemas[base.__name__]["properties"]
        for name, field in schemas[extended.__name__]["properties"].items():
            if name in known:
                field.setdefault("description", known[name]["description"])
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            if "description" in field:
                field["description"] = " ".join(field["description"].split())


def complete_results(operation: dict[str, Any]) -> None:
    """Describe the responses that FastAPI calls "Successful Response"."""
    for response in operation["responses"].values():
        if response.get("description") == _UNDESCRIBED:
            schema = response["content"]["application/json"]["schema"]
            response["description"] = _RESULTS[schema["$ref"].rpartition("/")[2]]


def name_callers(operation: dict[str, Any]) -> None:
    """Append who may call: Swagger UI does not show scopes."""
    callers = [
        _CALLERS[scheme].format(scope=scopes[0]) if scopes else _without_scope(scheme)
        for way in operation["security"]
        for scheme, scopes in way.items()
    ]
    parts = (operation.get("description"), *(callers or ["Needs no key."]))
    operation["description"] = "\n\n".join(part.strip() for part in parts if part)


def _without_scope(scheme: str) -> str:
    return {
        **_CALLERS,
        "apiKey": "Needs an API key with any scope.",
        "falKey": "Needs an API key with the scope of the target.",
    }[scheme]
