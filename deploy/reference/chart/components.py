"""Values of the processes: gateway, workers and beat."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from reference.chart.parts import CpuScaling, Disruption, PodOverrides, Port, QueueScaling, Resources, Strings, Values

_Own = Annotated[
    PodOverrides, Field(description="As `pod`: lists replace those of `pod`, objects are merged into them.")
]
_Budget = Annotated[Disruption, Field(description="PodDisruptionBudget.")]


def _resources(cpu: str, memory: str, limit: str) -> Resources:
    return Resources(requests={"cpu": cpu, "memory": memory}, limits={"memory": limit})


class Service(Values):
    type: Annotated[
        Literal["ClusterIP", "NodePort", "LoadBalancer"],
        Field(description="Type. Others than ClusterIP also expose `/admin/v1`."),
    ] = "ClusterIP"
    port: Annotated[Port, Field(description="Port of the Service.")] = 80
    annotations: Annotated[Strings, Field(description="Annotations of the Service.")] = {}


class Gateway(Values):
    replicas: Annotated[int, Field(ge=0, description="Pods, where `autoscaling.enabled` is false.")] = 2
    autoscaling: Annotated[CpuScaling, Field(description="HorizontalPodAutoscaler.")] = CpuScaling()
    pod_disruption_budget: _Budget = Disruption()
    service: Annotated[Service, Field(description="The Service that callers use.")] = Service()
    pre_stop_seconds: Annotated[
        int, Field(ge=1, description="Seconds before SIGTERM, until every proxy has removed the address of the pod.")
    ] = 5
    termination_grace_period_seconds: Annotated[
        int, Field(ge=1, description="Time to stop: at least `preStopSeconds` + `GATEWAY_SHUTDOWN_GRACE` + 5.")
    ] = 40
    resources: Annotated[
        Resources, Field(description="The limit covers two images of 40 million pixels, which are decoded at once.")
    ] = _resources("500m", "256Mi", "2Gi")
    pod: _Own = PodOverrides()


class Worker(Values):
    replicas: Annotated[int, Field(ge=0, description="Pods, where `keda.enabled` is false.")] = 2
    autoscaling: Annotated[QueueScaling, Field(description="ScaledObject of KEDA.")] = QueueScaling()
    pod_disruption_budget: _Budget = Disruption()
    resources: Annotated[Resources, Field(description="Resources of the container.")] = _resources(
        "250m", "192Mi", "512Mi"
    )
    pod: _Own = PodOverrides()


class Workers(Values):
    #: A queue without a worker stands still, so that null is refused.
    model_config = ConfigDict(json_schema_extra={"required": ["dispatch", "webhooks", "maintenance"]})

    termination_grace_period_seconds: Annotated[
        int,
        Field(
            ge=1,
            description="Time to stop: at least `GATEWAY_FAL_TIMEOUT` + `GATEWAY_SHUTDOWN_GRACE` + 5. A submit that is "
            "cut off has an unknown outcome.",
        ),
    ] = 70
    dispatch: Annotated[Worker, Field(description="Submits and polls. Scaled by the jobs at fal.")] = Worker()
    webhooks: Annotated[Worker, Field(description="Webhook deliveries. Scaled by the deliveries that are due.")] = (
        Worker()
    )
    maintenance: Annotated[
        Worker, Field(description="Deadlines, bills, erasure. Scaled by the lag in seconds, not by an amount.")
    ] = Worker(
        replicas=1,
        autoscaling=QueueScaling(min_replicas=1, max_replicas=3, threshold=60),
        pod_disruption_budget=Disruption(enabled=False),
    )


class Beat(Values):
    """One pod, always: workers poll once a second without it."""

    resources: Annotated[Resources, Field(description="Resources of the container.")] = _resources(
        "25m", "96Mi", "192Mi"
    )
    pod: _Own = PodOverrides()
