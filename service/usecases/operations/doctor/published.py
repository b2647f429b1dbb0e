"""Check of models: each enabled one is compared with the schema that fal publishes of its endpoint."""

from typing import Final

from service.domain.models.drift import Difference, differences
from service.domain.models.model import Model
from service.domain.models.registry import Registry
from service.upstream.http_result import HttpResponse, NoHttpResponse, Wire
from service.upstream.schemas import FalSchemas, published_schema
from service.usecases.operations.doctor.finding import Finding, fail, ok, warn

#: Lines of one model: fal's document decides how many differences there are.
_MOST: Final = 50
_REACH: Final = (
    "Allow this machine to connect to GATEWAY_FAL_SITE_URL; behind a proxy, set GATEWAY_FAL_PROXY_URL. "
    "Nothing else depends on it."
)


async def models(schemas: FalSchemas, registry: Registry) -> list[Finding]:
    """Return a finding for each difference, and one for each model without any. Nothing is charged."""
    enabled = list(registry.enabled.values())
    answers = await schemas.read(dict.fromkeys(model.upstream for model in enabled))
    if reason := _unreachable(list(answers.values())):
        return [warn("models", f"fal's published schemas are not reachable ({reason}): nothing is compared", _REACH)]
    return [finding for model in enabled for finding in _of(model, answers[model.upstream])]


def _unreachable(answers: list[Wire]) -> str | None:
    """Return why no endpoint has an answer."""
    reasons = [answer.explained for answer in answers if isinstance(answer, NoHttpResponse)]
    return reasons[0] if len(reasons) == len(answers) else None


def _of(model: Model, answer: Wire) -> list[Finding]:
    name = f"model {model.id}"
    match answer:
        case HttpResponse(status=200):
            published = published_schema(model.upstream, answer)
            if published is None:
                return [warn(name, "fal's document has no schema of the input", "Compare the model with fal's page.")]
            return _findings(model, differences(model, published)) or [ok(name, "as fal publishes it")]
        case HttpResponse(status=404):
            remedy = (
                "Look for the endpoint on fal's page of models. If it is renamed, set `endpoint` of the model in "
                "GATEWAY_MODELS_FILE; if it is gone, take the model out of GATEWAY_MODELS."
            )
            return [fail(name, f"fal publishes no schema of {model.upstream}", remedy)]
        case HttpResponse(status=status):
            return [warn(name, f"fal answered {status}: not compared", "Try again; see fal's status page.")]
        case NoHttpResponse() as none:
            return [warn(name, f"fal's published schema is not reachable ({none.explained}): not compared", _REACH)]


def _findings(model: Model, found: list[Difference]) -> list[Finding]:
    found.sort(key=lambda each: not each.breaks)
    findings = [_finding(model, each) for each in found[:_MOST]]
    if len(found) > _MOST:
        text = f"{len(found) - _MOST} more differences"
        findings.append(warn(f"model {model.id}: others", text, "Correct the first ones and run it again."))
    return findings


def _finding(model: Model, found: Difference) -> Finding:
    lines = "; ".join(found.change)
    remedy = (
        f'In GATEWAY_MODELS_FILE, [models."{model.id}"] with extends = "{model.id}": {lines}'
        if lines
        else "Compare the model with fal's page, and correct it in GATEWAY_MODELS_FILE."
    )
    return (fail if found.breaks else warn)(f"model {model.id}: {found.subject}", found.text, remedy)
