"""What parameters mean, where their route does not say it: by name, because a name means the same everywhere."""

from typing import Any, Final

_WORDS: Final = {
    "generation_id": "`id` of a generation.",
    "tenant_id": "`id` of a tenant.",
    "key_id": "`id` of an API key: the part between its underscores.",
    "endpoint_id": "`id` of a webhook endpoint.",
    "delivery_id": "`id` of a delivery: the `webhook-id` that its receiver got.",
    "end_user_id": "As you named your customer when you created a generation; slashes may be sent as they are.",
    "pseudonym": "The `end_user_id` that fal knows.",
    "token": "Sealed into the URL that fal was given.",
    "status": "Only those in this state.",
    "event": "Only those of this type.",
    "created_after": "Only those created at or after this moment (RFC 3339, with an offset).",
    "created_before": "Only those created before this moment (RFC 3339, with an offset).",
    "limit": "Entries of a page, at most.",
    "cursor": "`next_cursor` of the page before.",
}


def describe(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if words := _WORDS.get(parameter["name"]):
            parameter.setdefault("description", words)
