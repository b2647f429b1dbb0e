"""Descriptions of parameters by name: a name has the same meaning in every route."""

from typing import Any, Final

_DESCRIPTIONS: Final = {
    "generation_id": "`id` of a generation.",
    "video_id": "`id` of a video, which is the id of a generation.",
    "job_id": "`id` of a video job, which is the id of a generation.",
    "model_id": "Id of a model, with its slashes or with `%2F`.",
    "operator_id": "`id` of an operator.",
    "token_id": "`id` of an operator's token: the part between its underscores.",
    "tenant_id": "`id` of a tenant.",
    "key_id": "`id` of an API key: the part between its underscores.",
    "issuer_id": "`id` of a trusted issuer.",
    "endpoint_id": "`id` of a webhook endpoint.",
    "bulk_job_id": "`id` of a bulk job.",
    "delivery_id": "`id` of a delivery: the `webhook-id` that its receiver got.",
    "end_user_id": "Your customer, as you named it when you created a generation. Slashes need no encoding.",
    "report_id": "`id` of a usage report.",
    "pseudonym": "The `end_user_id` that fal knows.",
    "token": "Secret of the callback URL that fal received with the submit.",
    "status": "Only entries with this status. Default: all.",
    "event": "Only entries of this event type. Default: all.",
    "created_after": "Only entries created after this time, to the millisecond (RFC 3339 with an offset). "
    "Default: no bound.",
    "created_before": "Only entries created before this time, to the millisecond (RFC 3339 with an offset). "
    "Default: no bound.",
    "limit": "Most entries of the response.",
    "cursor": "`next_cursor` of the previous page. Default: the first page.",
    "If-None-Match": "The `ETag` of an earlier response, several, or `*`; 304 if nothing has changed. Default: none.",
    "If-Match": "The `ETag` of the object as you read it, several, or `*`; 412 if the object has changed since. "
    "Default: no check.",
}


def describe(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if description := _DESCRIPTIONS.get(parameter["name"]):
            parameter.setdefault("description", description)
