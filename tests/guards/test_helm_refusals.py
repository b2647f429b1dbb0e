"""Values that Helm refuses, and its messages."""

from functools import cache

import pytest

from tests.support import helm
from tests.support.helm import Rendering, Values

SECRET = "hunter2hunter2hunter2"
#: Values that must not render, and a part of Helm's message.
REFUSED: dict[str, tuple[Values, str]] = {
    "unknown key": ({"replicaCount": 3}, "additional properties 'replicaCount' not allowed"),
    "unknown key below": ({"gateway": {"replica": 3}}, "at '/gateway': additional properties 'replica'"),
    "unknown key of pod": ({"beat": {"pod": {"toleration": []}}}, "at '/beat/pod': additional properties 'toleration'"),
    "wrong type": ({"gateway": {"replicas": "3"}}, "at '/gateway/replicas': got string, want integer"),
    "text for switch": ({"keda": {"enabled": "false"}}, "at '/keda/enabled': got string, want boolean"),
    "wrong enum": ({"image": {"pullPolicy": "Sometimes"}}, "'/image/pullPolicy': value must be one of"),
    "short digest": ({"image": {"digest": "sha256:abc"}}, "at '/image/digest'"),
    "tag in repository with digest": ({"image": {"repository": "r/i@sha256:0"}}, "at '/image/repository'"),
    "tag in repository": ({"image": {"repository": "r.example:5000/i:1.2"}}, "at '/image/repository'"),
    "public URL without scheme": ({"settings": {"GATEWAY_PUBLIC_URL": "gateway.example.com"}}, "GATEWAY_PUBLIC_URL"),
    "budget that blocks nodes": ({"gateway": {"podDisruptionBudget": {"maxUnavailable": 0}}}, "/maxUnavailable"),
    "number as annotation": ({"pod": {"annotations": {"a": 1}}}, "at '/pod/annotations/a': got number, want string"),
    "root": ({"podSecurityContext": {"runAsUser": 0}}, "at '/podSecurityContext/runAsUser': minimum: got 0, want 1"),
    "root allowed": ({"podSecurityContext": {"runAsNonRoot": False}}, "at '/podSecurityContext/runAsNonRoot'"),
    "privileged": ({"podSecurityContext": {"privileged": True}}, "additional properties 'privileged' not allowed"),
    "no worker of a queue": ({"workers": {"dispatch": None}}, "at '/workers': missing property 'dispatch'"),
    "no peers of Prometheus": ({"networkPolicy": {"prometheus": []}}, "at '/networkPolicy/prometheus': minItems"),
    "no secret": ({"secrets": {"existingSecret": ""}}, "at '/secrets/existingSecret'"),
    "long name": ({"fullnameOverride": "a" * 41}, "at '/fullnameOverride': maxLength: got 41, want 40"),
    "upper case name": ({"fullnameOverride": "Gateway"}, "at '/fullnameOverride'"),
    "secret as a value": (
        {"secrets": {"GATEWAY_FAL_KEY": SECRET}},
        "additional properties 'GATEWAY_FAL_KEY' not allowed",
    ),
    "secret as a setting": (
        {"settings": {"GATEWAY_FAL_KEY": SECRET}},
        "'(unset: GATEWAY_FAL_KEY belongs to the Secret that secrets.existingSecret names)'",
    ),
    "password in a proxy": (
        {"settings": {"GATEWAY_FAL_PROXY_URL": f"http://user:{SECRET}@proxy:3128"}},
        "at '/settings/GATEWAY_FAL_PROXY_URL'",
    ),
    "secret as a variable": (
        {"pod": {"extraEnv": [{"name": "AWS_SECRET_ACCESS_KEY", "value": SECRET}]}},
        "at '/pod/extraEnv/0",
    ),
    "setting as a variable": (
        {"gateway": {"pod": {"extraEnv": [{"name": "GATEWAY_RETENTION", "value": "1"}]}}},
        "at '/gateway/pod/extraEnv/0",
    ),
    "secret as an object": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}]},
        "at '/extraObjects/0/kind': 'not' failed",
    ),
    "misspelt setting": (
        {"settings": {"GATEWAY_PUBLIC_ULR": "https://x.example"}},
        "at '/settings': additional properties 'GATEWAY_PUBLIC_ULR' not allowed",
    ),
    "setting of the chart": (
        {"settings": {"GATEWAY_METRICS_PORT": 9200}},
        "value must be '(unset: the chart sets GATEWAY_METRICS_PORT to 9100)'",
    ),
    "money with a unit": ({"settings": {"GATEWAY_ACCOUNT_DAILY_BUDGET_USD": "500 USD"}}, "'500 USD' does not match"),
    "limit as a word": ({"settings": {"GATEWAY_DEFAULT_QUEUED_GENERATIONS": "unlimited"}}, "does not match pattern"),
    "negative text": ({"settings": {"GATEWAY_CONNECTIONS": "-8"}}, "'-8' does not match pattern"),
    "label of the chart": (
        {"pod": {"labels": {"app.kubernetes.io/component": "x"}}},
        "invalid propertyName 'app.kubernetes.io/component'",
    ),
    "setting below its bound": ({"settings": {"GATEWAY_CONNECTIONS": 1}}, "minimum: got 1, want 8"),
    "setting of another type": ({"settings": {"GATEWAY_RESOLUTIONS": 3}}, "got number, want null or string or array"),
    "setting outside its values": ({"settings": {"GATEWAY_LOG_LEVEL": "LOUD"}}, "value must be one of"),
    "duration with a unit": ({"settings": {"GATEWAY_RETENTION": "30d"}}, "'30d' does not match pattern"),
    "grace of gateway too short": (
        {"settings": {"GATEWAY_SHUTDOWN_GRACE": 60}, "workers": {"terminationGracePeriodSeconds": 100}},
        "gateway.terminationGracePeriodSeconds must be at least 70: preStopSeconds + GATEWAY_SHUTDOWN_GRACE + 5",
    ),
    "grace of worker too short": (
        {"settings": {"GATEWAY_FAL_TIMEOUT": "60"}},
        "workers.terminationGracePeriodSeconds must be at least 85",
    ),
    "fewest above most": (
        {"workers": {"webhooks": {"autoscaling": {"minReplicas": 11}}}},
        "autoscaling of webhooks: minReplicas must not be above maxReplicas",
    ),
    "no name of an account": (
        {"serviceAccount": {"create": False}},
        "serviceAccount.name must be set where create is false",
    ),
    "no host": ({"ingress": {"api": {"enabled": True}}}, "ingress.api needs a host: set settings.GATEWAY_PUBLIC_URL"),
}


@cache
def renderings() -> dict[str, Rendering]:
    return helm.render({name: values for name, (values, _) in REFUSED.items()})


@pytest.mark.parametrize("name", REFUSED)
def test_values_are_refused_with_a_message(name: str) -> None:
    error = renderings()[name].error
    assert REFUSED[name][1] in error
    assert SECRET not in error
