"""Options of what surrounds the pods: scaling, times, networks, ways in, monitoring."""

from tests.support.helm_options.reading import Case, at, names, pods
from tests.support.manifests import DEPLOYMENTS, container

PREFIXED = {"settings": {"GATEWAY_PUBLIC_URL": "https://api.example.com:8443/video/"}}
WAYS = {"api": {"enabled": True}, "callbacks": {"enabled": True}}
PEERS = [{"ipBlock": {"cidr": "10.50.0.0/16"}}]

CASES: dict[str, Case] = {
    "gateway without autoscaler": (
        {"gateway": {"autoscaling": {"enabled": False}, "replicas": 3}},
        lambda rendering: (
            rendering.names("HorizontalPodAutoscaler"),
            rendering.find("Deployment", "gateway")["spec"]["replicas"],
        ),
        (set(), 3),
    ),
    "autoscaler": (
        {"gateway": {"autoscaling": {"minReplicas": 4, "maxReplicas": 5, "targetCpuPercent": 70}}},
        lambda rendering: (
            (hpa := rendering.find("HorizontalPodAutoscaler", "gateway")["spec"])["minReplicas"],
            hpa["maxReplicas"],
            hpa["metrics"][0]["resource"]["target"]["averageUtilization"],
        ),
        (4, 5, 70),
    ),
    "workers without KEDA": (
        {"keda": {"enabled": False}, "workers": {"webhooks": {"replicas": 5}}},
        lambda rendering: (
            rendering.names("ScaledObject"),
            {n: rendering.find("Deployment", n)["spec"].get("replicas") for n in DEPLOYMENTS},
        ),
        (set(), {"beat": 1, "gateway": None, "worker-dispatch": 2, "worker-maintenance": 1, "worker-webhooks": 5}),
    ),
    "scaling of a worker": (
        {"workers": {"dispatch": {"autoscaling": {"minReplicas": 3, "maxReplicas": 4, "threshold": 100}}}},
        lambda rendering: (
            (scaled := rendering.find("ScaledObject", "worker-dispatch")["spec"])["minReplicaCount"],
            scaled["maxReplicaCount"],
            scaled["triggers"][0]["metadata"]["threshold"],
        ),
        (3, 4, "100"),
    ),
    "KEDA with authentication": (
        {"keda": {"prometheusAddress": "https://p.example", "triggerAuthentication": "p", "cooldownPeriod": 60}},
        lambda rendering: (
            (scaled := rendering.find("ScaledObject", "worker-webhooks")["spec"])["cooldownPeriod"],
            scaled["triggers"][0]["metadata"]["serverAddress"],
            scaled["triggers"][0]["authenticationRef"],
        ),
        (60, "https://p.example", {"name": "p"}),
    ),
    "disruption budgets": (
        {
            "gateway": {"podDisruptionBudget": {"maxUnavailable": "25%"}},
            "workers": {
                "dispatch": {"podDisruptionBudget": {"enabled": False}},
                "maintenance": {"podDisruptionBudget": {"enabled": True}},
            },
        },
        lambda rendering: {
            name: rendering.find("PodDisruptionBudget", name)["spec"]["maxUnavailable"]
            for name in rendering.names("PodDisruptionBudget")
        },
        {"gateway": "25%", "worker-maintenance": 1, "worker-webhooks": 1},
    ),
    "resources": (
        {"workers": {"dispatch": {"resources": {"limits": {"memory": "1Gi", "cpu": 2}}}}},
        lambda rendering: container(rendering.find("Deployment", "worker-dispatch"))["resources"],
        {"requests": {"cpu": "250m", "memory": "192Mi"}, "limits": {"memory": "1Gi", "cpu": 2}},
    ),
    "requests": (
        {"beat": {"resources": {"requests": {"cpu": "50m"}}}},
        lambda rendering: container(rendering.find("Deployment", "beat"))["resources"]["requests"],
        {"cpu": "50m", "memory": "96Mi"},
    ),
    "seccomp profile": (
        {"podSecurityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "gateway.json"}}},
        lambda rendering: pods(rendering)["beat"]["spec"]["securityContext"]["seccompProfile"],
        {"type": "Localhost", "localhostProfile": "gateway.json"},
    ),
    "times to stop": (
        {
            "settings": {"GATEWAY_SHUTDOWN_GRACE": 60},
            "gateway": {"preStopSeconds": 15, "terminationGracePeriodSeconds": 90},
            "workers": {"terminationGracePeriodSeconds": 100},
        },
        lambda rendering: (
            {name: pod["spec"]["terminationGracePeriodSeconds"] for name, pod in pods(rendering).items()},
            container(rendering.find("Deployment", "gateway"))["lifecycle"]["preStop"]["exec"]["command"],
        ),
        (
            {**dict.fromkeys(DEPLOYMENTS, 100), "gateway": 90, "beat": 10},
            ["sleep", "15"],
        ),
    ),
    "service": (
        {"gateway": {"service": {"type": "LoadBalancer", "port": 8000, "annotations": {"a": "b"}}}},
        lambda rendering: (
            (service := rendering.find("Service", "gateway"))["spec"]["type"],
            service["spec"]["ports"][0]["port"],
            service["metadata"]["annotations"],
        ),
        ("LoadBalancer", 8000, {"a": "b"}),
    ),
    "no network policies": (
        {"networkPolicy": {"enabled": False, "receivers": {"to": PEERS}}},
        names("NetworkPolicy"),
        set(),
    ),
    "callers by address": (
        {"networkPolicy": {"callers": PEERS}},
        at("NetworkPolicy", "gateway", "spec", "ingress", 0, "from"),
        PEERS,
    ),
    "Prometheus elsewhere": (
        {"networkPolicy": {"prometheus": PEERS}},
        at("NetworkPolicy", "metrics", "spec", "ingress", 0, "from"),
        PEERS,
    ),
    "Redis at another port": (
        {"networkPolicy": {"redis": {"to": PEERS, "ports": [6380]}}},
        at("NetworkPolicy", "redis", "spec", "egress", 0),
        {"to": PEERS, "ports": [{"port": 6380, "protocol": "TCP"}]},
    ),
    "name servers": ({"networkPolicy": {"dns": PEERS}}, at("NetworkPolicy", "redis", "spec", "egress", 1, "to"), PEERS),
    "ports of private networks": (
        {"networkPolicy": {name: {"to": PEERS, "ports": [3129]} for name in ("collector", "receivers", "upstream")}},
        lambda rendering: [
            rendering.find("NetworkPolicy", name)["spec"]["egress"] for name in ("collector", "receivers", "upstream")
        ],
        [[{"to": PEERS, "ports": [{"port": 3129, "protocol": "TCP"}]}]] * 3,
    ),
    "ingress at the host and path of the public URL": (
        {**PREFIXED, "ingress": WAYS},
        lambda rendering: {
            name: (
                (rule := rendering.find("Ingress", name)["spec"]["rules"][0])["host"],
                rule["http"]["paths"][0]["path"],
                rule["http"]["paths"][0]["backend"]["service"]["name"],
            )
            for name in rendering.names("Ingress")
        },
        {
            "gateway": ("api.example.com", "/video/v1", "blue-gateway"),
            "callbacks": ("api.example.com", "/video/callbacks/fal", "blue-gateway"),
        },
    ),
    "ingress of another class without TLS": (
        {
            **PREFIXED,
            "ingress": {
                "callbacks": {"enabled": True, "className": "traefik", "tlsSecret": "", "host": "cb.example.com"}
            },
        },
        lambda rendering: (
            rendering.names("Ingress"),
            (ingress := rendering.find("Ingress", "callbacks")["spec"])["ingressClassName"],
            ingress.get("tls"),
            ingress["rules"][0]["host"],
        ),
        ({"callbacks"}, "traefik", None, "cb.example.com"),
    ),
    "annotations of an ingress are added": (
        {**PREFIXED, "ingress": {"api": {"enabled": True, "annotations": {"cert-manager.io/issuer": "i"}}}},
        lambda rendering: len(rendering.find("Ingress", "gateway")["metadata"]["annotations"]),
        6,
    ),
    "routes at the host and path of the public URL": (
        {
            **PREFIXED,
            "gateway": {"service": {"port": 8000}},
            "gatewayApi": {"api": {"enabled": True, "parentRefs": [{"name": "g"}], "annotations": {"a": "b"}}},
        },
        lambda rendering: (
            rendering.names("HTTPRoute"),
            rendering.find("HTTPRoute", "gateway")["metadata"]["annotations"],
            (route := rendering.find("HTTPRoute", "gateway")["spec"])["hostnames"],
            route["rules"][0]["matches"][0]["path"]["value"],
            route["parentRefs"],
            route["rules"][0]["backendRefs"][0]["port"],
        ),
        ({"gateway"}, {"a": "b"}, ["api.example.com"], "/video/v1", [{"name": "g"}], 8000),
    ),
    "monitors": (
        {"monitoring": {"monitors": {"interval": "30s", "labels": {"release": "p"}}}},
        lambda rendering: [
            (
                found["metadata"]["labels"]["release"],
                (found["spec"].get("endpoints") or found["spec"]["podMetricsEndpoints"])[0]["interval"],
            )
            for found in (rendering.find("ServiceMonitor", "gateway"), rendering.find("PodMonitor", "backstage"))
        ],
        [("p", "30s"), ("p", "30s")],
    ),
    "no monitoring": (
        {"monitoring": {name: {"enabled": False} for name in ("monitors", "rules", "dashboards")}},
        lambda rendering: (
            [rendering.names(kind) for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")],
            rendering.names("ConfigMap"),
        ),
        ([set(), set(), set()], {"settings"}),
    ),
    "labels of rules": (
        {"monitoring": {"rules": {"labels": {"release": "p"}}}},
        at("PrometheusRule", "rules", "metadata", "labels", "release"),
        "p",
    ),
    "alerts link to the public URL": (
        {**PREFIXED, "monitoring": {}},
        lambda rendering: {
            rule["annotations"]["runbook_url"].partition("/docs/")[0]
            for rule in rendering.find("PrometheusRule", "rules")["spec"]["groups"][1]["rules"]
        },
        {"https://api.example.com:8443/video"},
    ),
    "dashboards in a folder": (
        {"monitoring": {"dashboards": {"labels": {"d": "1"}, "annotations": {"folder": "Videos"}}}},
        lambda rendering: (
            (found := rendering.find("ConfigMap", "dashboard-overview")["metadata"])["labels"]["d"],
            found["annotations"],
        ),
        ("1", {"folder": "Videos"}),
    ),
    "more objects": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "blue-more"}}]},
        names("ConfigMap"),
        {"more", "settings"},
    ),
    "common labels and annotations": (
        {"commonLabels": {"team": "video"}, "commonAnnotations": {"contact": "ops"}, "monitoring": {}},
        lambda rendering: {
            (d["metadata"]["labels"].get("team"), d["metadata"].get("annotations", {}).get("contact"))
            for d in rendering.documents
        },
        {("video", "ops")},
    ),
    "values of a parent chart": ({"global": {"imageRegistry": "r"}}, names("HorizontalPodAutoscaler"), {"gateway"}),
}
