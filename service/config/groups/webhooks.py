"""Settings of webhook deliveries: schedule, concurrency, allowed receivers."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from service.config.types import HostSuffix, Seconds, Wait


class WebhookSettings(BaseModel):
    webhook_schedule: Annotated[
        tuple[Wait, ...],
        Field(
            min_length=1,
            description="Waits before each attempt of a delivery, each ±20 %; the first is 0. After the last attempt "
            "the delivery is a dead letter.",
        ),
    ] = tuple(timedelta(seconds=s) for s in (0, 5, 300, 1800, 7200, 18000, 36000, 36000))
    webhook_timeout: Annotated[
        Seconds, Field(gt=timedelta(0), description="Time limit of one attempt, from connect to the last byte.")
    ] = timedelta(seconds=15)
    webhook_concurrency: Annotated[int, Field(ge=1, description="Most concurrent attempts in one worker process.")] = (
        1000
    )
    webhook_receiver_concurrency: Annotated[
        int, Field(ge=1, description="Most concurrent attempts to one receiver, over all workers.")
    ] = 100
    webhook_unproven_concurrency: Annotated[
        int,
        Field(
            ge=1,
            description="Most concurrent attempts to a receiver that is not proven, over all workers. A receiver is "
            "proven while its last attempt succeeded within 5 seconds.",
        ),
    ] = 10
    webhook_tenant_share: Annotated[
        float,
        Field(gt=0, le=1, description="Part of the free attempts of a worker process that one tenant may have."),
    ] = 0.4
    webhook_unproven_share: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Part of the concurrent attempts of a worker process that all receivers that are not proven "
            "may have together.",
        ),
    ] = 0.5
    webhook_disable_after: Annotated[
        Seconds,
        Field(
            gt=timedelta(days=1),
            description="An endpoint whose attempts all fail for this long is disabled; its tenant is warned at 50, "
            "70 and 90 % of it.",
        ),
    ] = timedelta(days=5)
    webhook_allowed_hosts: Annotated[
        tuple[HostSuffix, ...],
        Field(
            description="Hosts, subdomains included, that may resolve to any address and use plain http. Metadata "
            "services stay refused."
        ),
    ] = ()
    webhook_allowed_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Field(description="Non-public networks that webhooks may be sent to, as CIDRs, over plain http too."),
    ] = ()

    @field_validator("webhook_schedule")
    @classmethod
    def _first_attempt_is_immediate(cls, value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if value[0]:
            raise ValueError("must begin with 0: the first attempt is immediate")
        return value
