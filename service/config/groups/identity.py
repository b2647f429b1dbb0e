"""Settings of trusted issuers: how their key sets are fetched, and how exact their clocks are."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from service.config.types import HostSuffix, Seconds


class IdentitySettings(BaseModel):
    jwt_leeway: Annotated[
        Seconds,
        Field(
            ge=timedelta(0),
            le=timedelta(seconds=60),
            description="How far the clock of a token's issuer may differ: tokens are accepted so long before `nbf` "
            "and `iat` and after `exp`, 60 seconds at most.",
        ),
    ] = timedelta(seconds=30)
    jwks_allowed_hosts: Annotated[
        tuple[HostSuffix, ...],
        Field(
            description="Hosts, subdomains included, whose key sets may be fetched from any address, and by plain "
            "http. Metadata services stay refused."
        ),
    ] = ()
    jwks_allowed_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Field(description="Non-public networks from which key sets may be fetched, as CIDRs, by plain http too."),
    ] = ()
    jwks_ca_file: Annotated[
        Path | None,
        Field(
            description="PEM file of authorities, beyond the system's, that may sign the certificates of servers of "
            "key sets, like the one of a Kubernetes API server."
        ),
    ] = None
