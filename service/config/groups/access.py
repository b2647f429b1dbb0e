"""Settings of callers' access: public URL, secrets, origins of browsers."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator

from service.config.types import PublicUrl, Seconds, SentToken, random_key


class AccessSettings(BaseModel):
    public_url: Annotated[
        PublicUrl | None,
        Field(
            description="URL at which fal sends callbacks to this gateway and fal's clients call it; unset: no "
            "callbacks, only polls, and `/fal` is disabled. A path in it is in front of every link, and a proxy may "
            "remove it from requests or leave it."
        ),
    ] = None
    secret_key: Annotated[
        SecretStr,
        Field(
            description="Encrypts tenants' secrets in Redis: 32 random bytes (`openssl rand -hex 32`). Several keys, "
            "comma-separated: the first encrypts, all decrypt."
        ),
    ]
    admin_token: Annotated[
        SentToken | None,
        Field(
            description="Bearer token of `/admin/v1` for emergencies, with the role admin. Each use is logged as such; "
            "operators have tokens of their own. Unset: only those are accepted."
        ),
    ] = None
    operator_token: Annotated[
        SentToken | None,
        Field(
            description="Token (`sgo_...`) of the operator who runs a command of the command line. Unset: its acts are "
            "recorded under the name of the local user."
        ),
    ] = None
    trail_retention: Annotated[
        Seconds, Field(ge=timedelta(days=1), description="How long entries of the audit trail are stored.")
    ] = timedelta(days=400)
    tenant_daily_acts: Annotated[
        int,
        Field(
            ge=100,
            le=1_000_000,
            description="Changes of configuration that a tenant can make in a day (UTC): each is an entry of the audit "
            "trail.",
        ),
    ] = 10_000
    tenant_trail_entries: Annotated[
        int,
        Field(
            ge=1_000,
            le=10_000_000,
            description="Entries of the audit trail about a tenant (1 kB each) above which the tenant can make no more "
            "changes of configuration. Operators can; entries leave the trail after `GATEWAY_TRAIL_RETENTION`.",
        ),
    ] = 100_000
    console: Annotated[
        bool,
        Field(
            description="Whether this gateway serves the console at `/console`, for operators and tenants. It works "
            "over HTTPS, and over HTTP at `localhost` and loopback addresses."
        ),
    ] = True
    resend_window: Annotated[
        Seconds,
        Field(
            ge=timedelta(0),
            description="How long the same POST to `/fal`, `/openai` or `/openrouter`, sent again after a lost "
            "response, gets the first response instead of a second job; 0: never.",
        ),
    ] = timedelta(seconds=120)
    reads_per_request: Annotated[
        int,
        Field(
            ge=600,
            le=1_000_000,
            description="Status and result reads of one `/fal` request, per minute and gateway process. fal's Python "
            "client makes 600.",
        ),
    ] = 1_800
    reads_per_tenant: Annotated[
        int,
        Field(
            ge=600,
            le=1_000_000,
            description="Status and result reads of all `/fal` requests of a tenant, per minute and gateway process.",
        ),
    ] = 30_000
    cors_origins: Annotated[
        tuple[str, ...],
        Field(
            description="Origins whose pages may call `/fal` and read event streams, like `https://app.example`; "
            "`*`: all."
        ),
    ] = ()

    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Field(
            description="Networks of the proxies in front of the gateway, as CIDRs. Where one of them sent the "
            "request, the client's address in the log is the last one of `X-Forwarded-For` that is in none of them; "
            "otherwise it is the address of the connection."
        ),
    ] = ()

    @field_validator("trusted_proxies")
    @classmethod
    def _not_every_client_is_a_proxy(
        cls, value: tuple[IPv4Network | IPv6Network, ...]
    ) -> tuple[IPv4Network | IPv6Network, ...]:
        if any(network.prefixlen == 0 for network in value):
            raise ValueError("must not have all addresses: any client could then choose its address in the log")
        return value

    @field_validator("secret_key")
    @classmethod
    def _every_key_is_random(cls, value: SecretStr) -> SecretStr:
        for key in value.get_secret_value().split(","):
            random_key(key.strip())
        return value

    @property
    def path_prefix(self) -> str:
        """The path of the public URL, like ``/video``; "" at the root of a host."""
        return "" if self.public_url is None else urlsplit(self.public_url).path

    def secret_keys(self) -> list[str]:
        return [key.strip() for key in self.secret_key.get_secret_value().split(",") if key.strip()]
