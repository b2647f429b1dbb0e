"""Values that more than one component has. A name that is not declared is refused: a misspelt one has no effect."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Object = dict[str, Any]
Objects = list[Object]
Strings = dict[str, str]
Quantities = dict[str, str | int | float]
#: A name of a Kubernetes object, or empty.
Name = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$", max_length=253)]
Share = Annotated[str, Field(pattern="^([1-9][0-9]?|100)%$")]
#: Labels that the chart sets, and by which its objects find each other, are not among them.
Labels = Annotated[
    Strings,
    Field(json_schema_extra={"propertyNames": {"not": {"pattern": "^(app[.]kubernetes[.]io/|helm[.]sh/chart$)"}}}),
]
Port = Annotated[int, Field(ge=1, le=65535)]
#: Settings belong to `settings`, and secrets to a Secret.
_NOT_PLAIN: Final = (
    "^GATEWAY_|[Ss][Ee][Cc][Rr][Ee][Tt]|[Tt][Oo][Kk][Ee][Nn]|[Pp][Aa][Ss][Ss][Ww]|[Pp][Ww][Dd]|"
    "[Cc][Rr][Ee][Dd][Ee][Nn][Tt][Ii][Aa][Ll]|[Kk][Ee][Yy]([_0-9]|$)|HEADERS$"
)


class Values(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class PlainVariable(Values):
    name: Annotated[str, Field(json_schema_extra={"not": {"pattern": _NOT_PLAIN}})]
    value: str


class ReferredVariable(Values):
    name: Annotated[str, Field(min_length=1)]
    value_from: Object


class Resources(Values):
    requests: Annotated[Quantities, Field(description="Requested CPU and memory.")] = {}
    limits: Annotated[Quantities, Field(description="Limits of CPU and memory.")] = {}


class Disruption(Values):
    enabled: Annotated[bool, Field(description="Create the PodDisruptionBudget.")] = True
    max_unavailable: Annotated[
        Annotated[int, Field(ge=1)] | Share,
        Field(description="Pods that may be unavailable: a count or a share (`20%`)."),
    ] = 1


class CpuScaling(Values):
    enabled: Annotated[
        bool, Field(description="Create the HorizontalPodAutoscaler. False: `replicas` is the number of pods.")
    ] = True
    min_replicas: Annotated[int, Field(ge=1, description="Fewest pods.")] = 2
    max_replicas: Annotated[int, Field(ge=1, description="Most pods.")] = 10
    target_cpu_percent: Annotated[
        int, Field(ge=1, le=100, description="CPU use, in percent of the request, above which pods are added.")
    ] = 60


class QueueScaling(Values):
    min_replicas: Annotated[int, Field(ge=1, description="Fewest pods.")] = 2
    max_replicas: Annotated[int, Field(ge=1, description="Most pods.")] = 10
    threshold: Annotated[int, Field(ge=1, description="Value of the metric above which pods are added.")] = 500


class Pod(Values):
    labels: Annotated[Labels, Field(description="Labels of the pods.")] = {}
    annotations: Annotated[Strings, Field(description="Annotations of the pods.")] = {}
    node_selector: Annotated[Strings, Field(description="Labels of the nodes that pods may run on.")] = {}
    tolerations: Annotated[Objects, Field(description="Tolerations of taints of nodes.")] = []
    affinity: Annotated[Object, Field(description="Affinity of the pods.")] = {}
    topology_spread_constraints: Annotated[
        Objects, Field(description="Replaces the spread of gateway and workers over zones and nodes.")
    ] = []
    priority_class_name: Annotated[Name, Field(description="PriorityClass, an object of the cluster.")] = ""
    runtime_class_name: Annotated[Name, Field(description="RuntimeClass, an object of the cluster.")] = ""
    extra_env: Annotated[
        list[PlainVariable | ReferredVariable],
        Field(
            description="More variables, like `OTEL_*`, with `value` or `valueFrom`. A `value` is refused where the "
            "name is that of a secret or of a setting."
        ),
    ] = []
    extra_env_from: Annotated[Objects, Field(description="More ConfigMaps and Secrets whose keys are variables.")] = []
    extra_volumes: Annotated[Objects, Field(description="More volumes, like a CA certificate.")] = []
    extra_volume_mounts: Annotated[Objects, Field(description="Where the container mounts them.")] = []


class PodOverrides(Pod):
    """The values of one component. Its default is empty: nothing of `pod` is replaced."""


class PodSecurity(Values):
    """The container's own context is fixed: no capabilities, no escalation, a read-only root file system."""

    run_as_non_root: Annotated[Literal[True], Field(description="Root is refused.")] = True
    run_as_user: Annotated[int, Field(ge=1, description="User id; null: the cluster chooses it (OpenShift).")] = 10001
    run_as_group: Annotated[int, Field(ge=1, description="Group id, or null.")] = 10001
    fs_group: Annotated[int, Field(ge=1, description="Group id of the volumes, or null.")] = 10001
    seccomp_profile: Annotated[Object, Field(description="Seccomp profile.")] = {"type": "RuntimeDefault"}


class Account(Values):
    create: Annotated[bool, Field(description="Create the service account.")] = True
    name: Annotated[Name, Field(description="Name of an existing account, where `create` is false.")] = ""
    annotations: Annotated[Strings, Field(description="Annotations of the account.")] = {}


class Peers(Values):
    to: Annotated[Objects, Field(description="Peers of a NetworkPolicy, like `ipBlock: {cidr: 10.30.0.0/16}`.")] = []
    ports: Annotated[list[Port], Field(description="TCP ports.", min_length=1)] = [443]
