"""The login of operators by OpenID Connect, from the settings."""

import ssl
from typing import TYPE_CHECKING, Final

from service.config.settings import Settings
from service.domain.openid.person import RoleRules
from service.domain.operator import Role
from service.net.openid_fetcher import OpenIdFetcher
from service.runtime.core import Core

if TYPE_CHECKING:
    from service.usecases.operators.openid import OpenIdLogins

_LOGIN: Final = "/console/login"
_CALLBACK: Final = "/console/login/openid/callback"


def openid_logins(core: Core) -> "OpenIdLogins | None":
    """Return the login; None: no issuer is set."""
    settings = core.settings
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    # Processes without such a login do not load Authlib.
    from service.usecases.operators.openid import OpenIdLogins  # noqa: PLC0415
    from service.usecases.operators.openid_provider import OpenIdClient, OpenIdProvider  # noqa: PLC0415

    client = OpenIdClient(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_secret,
        scopes=settings.oidc_scopes,
        redirect_uri=f"{settings.console_origin}{_CALLBACK}",
        login_page=f"{settings.console_origin}{_LOGIN}",
        leeway=settings.jwt_leeway,
    )
    provider = OpenIdProvider(client, OpenIdFetcher(_tls(settings)), clock=core.clock)
    return OpenIdLogins(provider, core.stores.operators, core.trail, rules=_rules(settings), clock=core.clock)


def _rules(settings: Settings) -> RoleRules:
    by_claim = {
        claim: {value: Role(role) for value, role in by_value.items()}
        for claim, by_value in settings.oidc_roles.items()
    }
    default = settings.oidc_default_role
    return RoleRules(by_claim, None if default is None else Role(default))


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.jwks_ca_file is None:
        return None
    tls = ssl.create_default_context()
    tls.load_verify_locations(settings.jwks_ca_file)
    return tls
