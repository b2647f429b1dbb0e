"""All values of the chart."""

from typing import Annotated, Literal

from pydantic import Field

from reference.chart.cluster import GatewayApi, Ingress, Keda, Monitoring, NetworkPolicies
from reference.chart.components import Beat, Gateway, Workers
from reference.chart.parts import Account, Labels, Name, Object, Pod, PodSecurity, Strings, Values


class Image(Values):
    repository: Annotated[
        str,
        Field(
            min_length=1,
            pattern="^([^@ ]+/)?[^@: /]+$",
            description="Name of the image, with its registry, without tag.",
        ),
    ] = "seedance-gateway"
    tag: Annotated[
        str, Field(pattern=r"^(\w[\w.-]{0,127})?$", description="Tag. Empty: the `appVersion` of the chart.")
    ] = ""
    digest: Annotated[
        str,
        Field(
            pattern="^(sha256:[a-f0-9]{64})?$",
            description="Digest, which replaces the tag: its content never changes.",
        ),
    ] = ""
    pull_policy: Annotated[
        Literal["", "Always", "IfNotPresent", "Never"], Field(description="Empty: the default of Kubernetes.")
    ] = ""
    pull_secrets: Annotated[list[Name], Field(description="Names of Secrets for the registry.")] = []


class Secrets(Values):
    existing_secret: Annotated[
        Name,
        Field(
            min_length=1,
            description="Secret with `GATEWAY_REDIS_URL`, `GATEWAY_FAL_KEY` and `GATEWAY_SECRET_KEY`, and optional "
            "`GATEWAY_ADMIN_TOKEN`, `GATEWAY_OIDC_CLIENT_SECRET`, `GATEWAY_FAL_ADMIN_KEY`, `GATEWAY_BROKER_URL`, "
            "`GATEWAY_FAL_PROXY_URL` and `GATEWAY_MEDIA_PROXY_URL`. The chart never creates it.",
        ),
    ] = "gateway-secrets"
    existing_media_secret: Annotated[
        Name,
        Field(
            description="Secret with the variables of the store of videos (`AWS_*`, `GOOGLE_*`), for the pods that "
            "read or write videos. Empty: none."
        ),
    ] = ""


class WorkloadIdentity(Values):
    enabled: Annotated[
        bool,
        Field(
            description="Run the pods that read or write videos as an account of the cloud, for `GATEWAY_MEDIA_URL`, "
            "and let them reach the metadata services."
        ),
    ] = False
    service_account: Annotated[
        Account, Field(description="Its annotations name the role, like `eks.amazonaws.com/role-arn`.")
    ] = Account()


class ChartValues(Values):
    fullname_override: Annotated[
        str,
        Field(
            pattern="^([a-z]([a-z0-9-]*[a-z0-9])?)?$",
            max_length=40,
            description="Beginning of all names. Empty: the name of the release.",
        ),
    ] = ""
    common_labels: Annotated[Labels, Field(description="Labels of all objects.")] = {}
    common_annotations: Annotated[Strings, Field(description="Annotations of all objects.")] = {}
    image: Annotated[Image, Field(description="Image of all processes.")] = Image()
    secrets: Annotated[Secrets, Field(description="Names of Secrets, never their content.")] = Secrets()
    settings: Annotated[
        Object, Field(description="Variables `GATEWAY_*` of all processes, without secrets, as text, numbers or lists.")
    ] = {}
    pod: Annotated[Pod, Field(description="What all pods have.")] = Pod()
    pod_security_context: Annotated[
        PodSecurity, Field(description="Security context of all pods. That of the containers is fixed.")
    ] = PodSecurity()
    tmp_size_limit: Annotated[
        str, Field(pattern="^[0-9]+(Mi|Gi)$", description="Size of `/tmp`, on disk: uploads pass through it.")
    ] = "2Gi"
    service_account: Annotated[Account, Field(description="Account of the pods. It has no rights.")] = Account()
    workload_identity: Annotated[WorkloadIdentity, Field(description="Credentials of the cloud.")] = WorkloadIdentity()
    gateway: Annotated[Gateway, Field(description="The HTTP API.")] = Gateway()
    workers: Annotated[Workers, Field(description="One Deployment for each queue.")] = Workers()
    beat: Annotated[Beat, Field(description="One pod, which sends hints.")] = Beat()
    keda: Annotated[Keda, Field(description="Scaling of the workers.")] = Keda()
    network_policy: Annotated[NetworkPolicies, Field(description="NetworkPolicies.")] = NetworkPolicies()
    ingress: Annotated[Ingress, Field(description="Ways in as Ingresses.")] = Ingress()
    gateway_api: Annotated[GatewayApi, Field(description="Ways in as HTTPRoutes of the Gateway API.")] = GatewayApi()
    monitoring: Annotated[Monitoring, Field(description="Objects of the Prometheus Operator and of Grafana.")] = (
        Monitoring()
    )
    extra_objects: Annotated[
        list[Annotated[Object, Field(json_schema_extra={"properties": {"kind": {"not": {"const": "Secret"}}}})]],
        Field(description="More objects, like an ExternalSecret. A Secret is refused."),
    ] = []
    global_: Annotated[Object, Field(alias="global", description="Of a parent chart; not read.")] = {}
