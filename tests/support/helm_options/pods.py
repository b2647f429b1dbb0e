"""Options of the pods, and what each renders."""

from tests.support import helm
from tests.support.helm import Values
from tests.support.helm_options.reading import Case, at, of_every_pod, pods, same, spec
from tests.support.manifests import CALL_FAL

DIGEST = "sha256:" + "a" * 64
TOLERATIONS = [{"key": "spot", "operator": "Exists"}]
AFFINITY: Values = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
SPREAD = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
VARIABLE = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}
REFERENCE = {
    "name": "OTEL_EXPORTER_OTLP_HEADERS",
    "valueFrom": {"secretKeyRef": {"name": "collector", "key": "headers"}},
}
VOLUME = {"name": "ca", "configMap": {"name": "ca"}}
MOUNT = {"name": "ca", "mountPath": "/etc/ca", "readOnly": True}

CASES: dict[str, Case] = {
    "image by tag": (
        {"image": {"repository": "r.example/g", "tag": "1.2"}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["image"]),
        same("r.example/g:1.2"),
    ),
    "image by digest": (
        {"image": {"repository": "r.example/g", "tag": "1.2", "digest": DIGEST}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["image"]),
        same(f"r.example/g@{DIGEST}"),
    ),
    "pull policy": (
        {"image": {"pullPolicy": "Always"}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["imagePullPolicy"]),
        same("Always"),
    ),
    "pull secrets": (
        {"image": {"pullSecrets": ["a", "b"]}},
        of_every_pod(spec("imagePullSecrets")),
        same([{"name": "a"}, {"name": "b"}]),
    ),
    "existing secret": (
        {"secrets": {"existingSecret": "mine"}},
        of_every_pod(
            lambda pod: {
                entry["valueFrom"]["secretKeyRef"]["name"]
                for entry in pod["spec"]["containers"][0]["env"]
                if "valueFrom" in entry
            }
        ),
        same({"mine"}),
    ),
    "settings as text, numbers, lists and null": (
        {
            "settings": {
                "GATEWAY_MAX_UPLOAD_BYTES": 25_000_000,
                "GATEWAY_WEBHOOK_ALLOWED_NETWORKS": ["10.30.0.0/16"],
                "GATEWAY_PREFLIGHT": False,
                "GATEWAY_RETENTION": "P30D",
                "GATEWAY_MEDIA_URL": None,
            }
        },
        at("ConfigMap", "settings", "data"),
        {
            "GATEWAY_METRICS_HOST": "0.0.0.0",  # noqa: S104
            "GATEWAY_METRICS_PORT": "9100",
            "GATEWAY_MAX_UPLOAD_BYTES": "25000000",
            "GATEWAY_WEBHOOK_ALLOWED_NETWORKS": '["10.30.0.0/16"]',
            "GATEWAY_PREFLIGHT": "false",
            "GATEWAY_RETENTION": "P30D",
        },
    ),
    "pod labels": (
        {"pod": {"labels": {"team": "video"}}},
        of_every_pod(lambda pod: pod["metadata"]["labels"]["team"]),
        same("video"),
    ),
    "pod annotations": (
        {"pod": {"annotations": {"a": "b"}}},
        of_every_pod(lambda pod: pod["metadata"]["annotations"]["a"]),
        same("b"),
    ),
    "node selector": (
        {"pod": {"nodeSelector": {"pool": "a"}}},
        of_every_pod(spec("nodeSelector")),
        same({"pool": "a"}),
    ),
    "tolerations": ({"pod": {"tolerations": TOLERATIONS}}, of_every_pod(spec("tolerations")), same(TOLERATIONS)),
    "affinity": ({"pod": {"affinity": AFFINITY}}, of_every_pod(spec("affinity")), same(AFFINITY)),
    "spread": (
        {"pod": {"topologySpreadConstraints": SPREAD}},
        of_every_pod(spec("topologySpreadConstraints")),
        same(SPREAD),
    ),
    "priority class": (
        {"pod": {"priorityClassName": "high"}},
        of_every_pod(spec("priorityClassName")),
        same("high"),
    ),
    "runtime class": ({"pod": {"runtimeClassName": "kata"}}, of_every_pod(spec("runtimeClassName")), same("kata")),
    "one component replaces lists and merges objects": (
        {
            "pod": {"priorityClassName": "high", "nodeSelector": {"pool": "a"}, "tolerations": TOLERATIONS},
            "beat": {"pod": {"priorityClassName": "low", "nodeSelector": {"disk": "ssd"}, "tolerations": []}},
        },
        lambda rendering: {
            name: (pod["spec"]["priorityClassName"], pod["spec"]["nodeSelector"], pod["spec"].get("tolerations"))
            for name, pod in pods(rendering).items()
            if name in ("beat", "gateway")
        },
        {"beat": ("low", {"pool": "a", "disk": "ssd"}, None), "gateway": ("high", {"pool": "a"}, TOLERATIONS)},
    ),
    "extra variables": (
        {"pod": {"extraEnv": [VARIABLE, REFERENCE]}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["env"][-2:]),
        same([VARIABLE, REFERENCE]),
    ),
    "extra variables from an object": (
        {"pod": {"extraEnvFrom": [{"configMapRef": {"name": "more"}}]}},
        of_every_pod(lambda pod: pod["spec"]["containers"][0]["envFrom"][-1]),
        same({"configMapRef": {"name": "more"}}),
    ),
    "extra volumes": (
        {"pod": {"extraVolumes": [VOLUME], "extraVolumeMounts": [MOUNT]}},
        of_every_pod(lambda pod: (pod["spec"]["volumes"][-1], pod["spec"]["containers"][0]["volumeMounts"][-1])),
        same((VOLUME, MOUNT)),
    ),
    "user chosen by the cluster": (
        {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
        of_every_pod(spec("securityContext")),
        same({"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}),
    ),
    "size of /tmp": (
        {"tmpSizeLimit": "5Gi"},
        of_every_pod(lambda pod: pod["spec"]["volumes"][0]["emptyDir"]),
        same({"sizeLimit": "5Gi"}),
    ),
    "existing account": (
        {"serviceAccount": {"create": False, "name": "mine"}},
        lambda rendering: (rendering.names("ServiceAccount"), of_every_pod(spec("serviceAccountName"))(rendering)),
        (set(), same("mine")),
    ),
    "annotations of an account": (
        {"serviceAccount": {"annotations": {"a": "b"}}},
        at("ServiceAccount", "pods", "metadata", "annotations"),
        {"a": "b"},
    ),
    "workload identity": (
        {
            "workloadIdentity": {
                "enabled": True,
                "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/videos"}},
            }
        },
        lambda rendering: (
            rendering.find("ServiceAccount", "videos")["metadata"]["annotations"],
            {
                name
                for name, pod in pods(rendering).items()
                if pod["spec"]["serviceAccountName"] == f"{helm.RELEASE}-videos"
            },
        ),
        ({"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/videos"}, CALL_FAL),
    ),
    "workload identity with an existing account": (
        {"workloadIdentity": {"enabled": True, "serviceAccount": {"create": False, "name": "cloud"}}},
        at("Deployment", "gateway", "spec", "template", "spec", "serviceAccountName"),
        "cloud",
    ),
}
