"""Values of what surrounds the processes: networks, ways in, monitoring."""

from typing import Annotated, Any, Final

from pydantic import Field

from reference.chart.parts import Labels, Name, Objects, Peers, Strings, Values

_REDIS: Final[Any] = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "redis"}}}
_NAMES: Final[Any] = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
_PROMETHEUS: Final[Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
#: The reasons are in deploy/kubernetes/components/ingress, which has the same.
_NGINX: Final = {
    "nginx.ingress.kubernetes.io/proxy-body-size": "31m",
    "nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
    "nginx.ingress.kubernetes.io/proxy-buffering": "off",
    "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
    "nginx.ingress.kubernetes.io/proxy-send-timeout": "120",
}
_PRIVATE_LOG: Final = {"nginx.ingress.kubernetes.io/enable-access-log": "false"}
_Host = Annotated[
    str,
    Field(
        pattern=r"^([a-z0-9*]([a-z0-9.-]*[a-z0-9])?)?$",
        description="Host name. Empty: the host of `GATEWAY_PUBLIC_URL`.",
    ),
]


class NetworkPolicies(Values):
    enabled: Annotated[
        bool, Field(description="Create the NetworkPolicies. Without them nothing bounds what pods connect to.")
    ] = True
    callers: Annotated[Objects, Field(description="Peers that reach the API port. Empty: all.")] = []
    prometheus: Annotated[Objects, Field(min_length=1, description="Peers that reach the metrics ports.")] = [
        _PROMETHEUS
    ]
    redis: Annotated[
        Peers, Field(description="Redis and its Sentinels. A Redis outside of the cluster: an `ipBlock`.")
    ] = Peers(to=[_REDIS], ports=[6379, 26379])
    dns: Annotated[Objects, Field(min_length=1, description="Name servers, at port 53.")] = [_NAMES]
    node_local_dns: Annotated[bool, Field(description="Allow NodeLocal DNSCache at 169.254.20.10.")] = False
    collector: Annotated[Peers, Field(description="A collector of traces in the cluster, for every pod.")] = Peers(
        ports=[4318]
    )
    receivers: Annotated[
        Peers,
        Field(
            description="Private receivers of webhooks, for the workers that call them. They also need "
            "`GATEWAY_WEBHOOK_ALLOWED_NETWORKS` or `GATEWAY_WEBHOOK_ALLOWED_HOSTS`."
        ),
    ] = Peers()
    upstream: Annotated[
        Peers, Field(description="A proxy towards fal, or a private store of videos, for the pods that call fal.")
    ] = Peers(ports=[3128, 443])


class ApiIngress(Values):
    enabled: Annotated[bool, Field(description="Create the Ingress. `/admin/v1` is never on it.")] = False
    class_name: Annotated[Name, Field(description="Ingress class of callers inside.")] = "internal"
    host: _Host = ""
    tls_secret: Annotated[Name, Field(description="Secret with the certificate. Empty: no TLS here.")] = "gateway-tls"
    annotations: Annotated[
        Strings, Field(description="The limits that ingress-nginx needs; another controller has its own.")
    ] = _NGINX


class CallbackIngress(ApiIngress):
    enabled: Annotated[bool, Field(description="Create the Ingress, for `/callbacks/fal` alone.")] = False
    class_name: Annotated[Name, Field(description="Ingress class that the internet reaches.")] = "public"
    annotations: Annotated[Strings, Field(description="Their paths have secret tokens and belong in no log.")] = (
        _PRIVATE_LOG
    )


class Ingress(Values):
    """Names are of the parent values: `ingress.api`, `ingress.callbacks`."""

    api: Annotated[ApiIngress, Field(description="For callers.")] = ApiIngress()
    callbacks: Annotated[CallbackIngress, Field(description="For fal, which calls from the internet.")] = (
        CallbackIngress()
    )


class Route(Values):
    enabled: Annotated[bool, Field(description="Create the HTTPRoute.")] = False
    parent_refs: Annotated[Objects, Field(min_length=1, description="Gateways of the cluster.")] = []
    host: _Host = ""
    annotations: Annotated[Strings, Field(description="Annotations of the HTTPRoute.")] = {}


class GatewayApi(Values):
    api: Annotated[Route, Field(description="For callers. `/admin/v1` is never on it.")] = Route(
        parent_refs=[{"name": "internal", "namespace": "gateways"}]
    )
    callbacks: Annotated[Route, Field(description="For fal: POST to `/callbacks/fal` alone.")] = Route(
        parent_refs=[{"name": "public", "namespace": "gateways"}]
    )


class Keda(Values):
    enabled: Annotated[
        bool, Field(description="Create the ScaledObjects. False: `replicas` of each worker is the number of its pods.")
    ] = True
    prometheus_address: Annotated[
        str, Field(pattern="^https?://[^@]+$", description="Where KEDA queries Prometheus.")
    ] = "http://prometheus-operated.monitoring:9090"
    trigger_authentication: Annotated[
        Name, Field(description="TriggerAuthentication with which KEDA queries Prometheus. Empty: none.")
    ] = ""
    cooldown_period: Annotated[int, Field(ge=0, description="Seconds before workers are removed.")] = 300


class Monitors(Values):
    enabled: Annotated[bool, Field(description="Create the ServiceMonitor and the PodMonitor.")] = True
    interval: Annotated[str, Field(pattern="^[0-9]+(s|m)$", description="Time between two reads of the metrics.")] = (
        "15s"
    )
    labels: Annotated[Labels, Field(description="Labels that the Prometheus of the cluster selects.")] = {}


class Rules(Values):
    enabled: Annotated[bool, Field(description="Create the PrometheusRule.")] = True
    labels: Annotated[Labels, Field(description="Labels that the Prometheus of the cluster selects.")] = {}


class Dashboards(Values):
    enabled: Annotated[bool, Field(description="Create a ConfigMap for each dashboard of Grafana.")] = True
    labels: Annotated[Labels, Field(description="Labels that the sidecar of Grafana selects.")] = {
        "grafana_dashboard": "1"
    }
    annotations: Annotated[Strings, Field(description="Annotations, like the folder of the dashboards.")] = {}


class Monitoring(Values):
    monitors: Annotated[Monitors, Field(description="Of the Prometheus Operator.")] = Monitors()
    rules: Annotated[Rules, Field(description="Alerts and recorded series, for one release of a cluster only.")] = (
        Rules()
    )
    dashboards: Annotated[Dashboards, Field(description="For one release of a cluster only.")] = Dashboards()
