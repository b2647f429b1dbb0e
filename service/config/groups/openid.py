"""Settings of the login to the console by OpenID Connect."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from service.config.types import IssuerUrl, Key, PublicUrl

RoleName = Literal["viewer", "operator", "admin"]


def _with_openid(value: str) -> str:
    scopes = value.split()
    if "openid" not in scopes:
        raise ValueError("must include the scope openid")
    return " ".join(scopes)


class OpenIdSettings(BaseModel):
    oidc_issuer: Annotated[
        IssuerUrl | None,
        Field(
            description="Issuer of OpenID Connect at which operators log in to the console, as its discovery document "
            "writes it, with or without a slash at the end. HTTPS, or HTTP on a loopback address. Unset: no such login."
        ),
    ] = None
    oidc_client_id: Annotated[
        str | None, Field(min_length=1, description="Client id of the console at the issuer.")
    ] = None
    oidc_client_secret: Annotated[
        Key | None,
        Field(description="Client secret of the console at the issuer; unset: a public client, with PKCE only."),
    ] = None
    oidc_scopes: Annotated[
        str, Field(description="Scopes that a login requests, separated by spaces."), AfterValidator(_with_openid)
    ] = "openid profile email"
    oidc_roles: Annotated[
        dict[str, dict[str, RoleName]],
        Field(
            description="Roles of operators by claims of the ID token, as JSON: "
            '`{"groups": {"video-admins": "admin", "video-oncall": "operator"}}`. A claim is named as it is or by a '
            "JSON pointer (`/realm_access/roles`). The highest role counts; `email` counts only if it is verified."
        ),
    ] = {}
    oidc_default_role: Annotated[
        RoleName | None, Field(description="Role of a person to whom no rule applies. Unset: the login is refused.")
    ] = None
    console_url: Annotated[
        PublicUrl | None,
        Field(
            description="URL in front of `/console` at which browsers of operators open the gateway, if it is not "
            "`GATEWAY_PUBLIC_URL`. The issuer returns browsers there."
        ),
    ] = None

    @model_validator(mode="after")
    def _login_is_complete(self) -> Self:
        if self.oidc_issuer is None:
            return self
        if self.oidc_client_id is None:
            raise ValueError("oidc_client_id must be set where oidc_issuer is")
        if not any(self.oidc_roles.values()) and self.oidc_default_role is None:
            raise ValueError("oidc_roles or oidc_default_role must be set where oidc_issuer is: every login would fail")
        if self.console_origin is None:
            raise ValueError(
                "public_url or console_url must be set where oidc_issuer is: the issuer returns browsers there"
            )
        return self

    @property
    def console_origin(self) -> str | None:
        """The URL in front of ``/console``; None: not known."""
        return self.console_url or getattr(self, "public_url", None)

    @property
    def oidc_secret(self) -> str | None:
        secret: SecretStr | None = self.oidc_client_secret
        return None if secret is None else secret.get_secret_value()
