"""Named schemas of enumerations.

Generators invent a name for an enumeration that has none: ``Status``, ``Status1``. Two of these names collide.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.api.schemas import SCHEMA_REFERENCE

#: Names, and a property that has the values. Every enumeration of the same values becomes a reference to the name.
_NAMES: Final = {
    "AspectRatio": ("VideoInput", "aspect_ratio"),
    "AuditStep": ("AuditProgressView", "step"),
    "BitrateMode": ("VideoInput", "bitrate_mode"),
    "BudgetScope": ("BudgetProblem", "scope"),
    "BulkItemStatus": ("BulkFilterBody", "status"),
    "BulkJobState": ("BulkJobView", "state"),
    "BulkKind": ("BulkJobView", "kind"),
    "CheckState": ("ReadinessView", "checks"),
    "DisabledReason": ("DisabledView", "reason"),
    "DispatchState": ("DispatchView", "state"),
    "FalErrorStatus": ("FalError", "status"),
    "FalRequestStatus": ("FalStatus", "status"),
    "FalWebhookStatus": ("FalWebhook", "status"),
    "GenerationMoment": ("MomentView", "event"),
    "GenerationErrorCode": ("ErrorView", "code"),
    "GenerationStatus": ("GenerationView", "status"),
    "JobState": ("UsageReportView", "state"),
    "KeyScope": ("NewApiKey", "scopes"),
    "OpenAIVideoStatus": ("OpenAIVideo", "status"),
    "ReplayStatus": ("ReplayBody", "status"),
    "ModelKind": ("ModelView", "kind"),
    "RemainsKind": ("RemainsView", "what"),
    "ReferenceTask": ("CreateGeneration", "task"),
    "EstimateBasis": ("EstimatePartsView", "decided_by"),
    "OpenRouterFrameType": ("OpenRouterFrame", "frame_type"),
    "OpenRouterReferenceType": ("OpenRouterReference", "type"),
    "OpenRouterJobStatus": ("OpenRouterJob", "status"),
    "UsageEndUserKind": ("UsageEndUser", "end_user"),
    "UsageGrouping": ("AccountUsageView", "by"),
    "VercelErrorType": ("VercelFault", "type"),
    "VercelFileType": ("VercelFile", "type"),
    "VercelFrameType": ("VercelFrame", "frameType"),
    "VercelVideoStatus": ("VercelStatus", "status"),
    "VideoCodec": ("CreateGeneration", "codec"),
    "VideoDuration": ("VideoInput", "duration"),
    "VideoResolution": ("VideoInput", "resolution"),
}
#: A value, not a schema.
_VALUES: Final = frozenset({"const", "default", "enum", "example", "examples"})


def complete(document: dict[str, Any], others: Mapping[tuple[str, ...], str]) -> None:
    """Type constants and enumerations, name the enumerations, and remove titles: they repeat names in words.

    ``others``: names by values. Those of ``_NAMES`` come first.
    """
    schemas = document["components"]["schemas"]
    parts = [document["paths"], document["webhooks"], document["components"]]
    for node in _nodes(parts):
        if "type" not in node and ("const" in node or "enum" in node):
            value = node["const"] if "const" in node else node["enum"][0]
            node["type"] = "integer" if isinstance(value, int) else "string"
        if isinstance(node.get("title"), str):
            del node["title"]
    own = {_values(schemas[schema]["properties"][field], schemas): name for name, (schema, field) in _NAMES.items()}
    names = {**others, **own}
    replaced = {name: names[values] for name, schema in schemas.items() if (values := _enum(schema)) in names}
    for name in replaced:
        del schemas[name]
    for node in list(_nodes(parts)):
        target = node.get("$ref", "").rpartition("/")[2]
        if name := names.get(_enum(node)) or replaced.get(target):
            node.pop("enum", None)
            node.pop("type", None)
            node["$ref"] = SCHEMA_REFERENCE.format(model=name)
    schemas.update({name: {"type": "string", "enum": list(values)} for values, name in names.items()})


def _values(schema: dict[str, Any], schemas: dict[str, Any]) -> tuple[str, ...]:
    """Return the values of the first enumeration in a schema."""
    for node in _nodes(schema):
        named = schemas[node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        if values := _enum(named):
            return values
    raise LookupError(schema)


def _enum(schema: dict[str, Any]) -> tuple[str, ...]:
    return tuple(schema.get("enum", ()))


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for key, value in list(node.items()):
            if key not in _VALUES:
                yield from _nodes(value)
    elif isinstance(node, list):
        for each in node:
            yield from _nodes(each)
