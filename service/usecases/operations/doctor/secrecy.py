"""Checks of secrets: the secret key, the admin token, and the networks that webhooks may reach."""

from ipaddress import ip_address
from typing import Final

from service.config.settings import Settings
from service.errors import StoreUnavailable, Unavailable
from service.usecases.operations.doctor.finding import Finding, fail, ok
from service.usecases.tenants.tenants import Tenants

_METADATA: Final = (ip_address("169.254.169.254"), ip_address("fd00:ec2::254"))
_PAGE: Final = 500


async def secret_key(tenants: Tenants) -> Finding:
    count, after = 0, None
    try:
        while page := await tenants.page(limit=_PAGE, after=after):
            count, after = count + len(page), page[-1].id
    except StoreUnavailable:
        raise
    except Unavailable:
        remedy = "Add the key that encrypted them to GATEWAY_SECRET_KEY, after the new one."
        return fail("secret key", "it does not decrypt all tenants' secrets", remedy)
    return ok("secret key", f"decrypts the secrets of {count} {'tenant' if count == 1 else 'tenants'}")


def admin_token(settings: Settings) -> Finding:
    if settings.admin_token is None:
        return ok("admin token", "unset: only tokens of operators are accepted")
    return ok("admin token", "set, for emergencies: operators have tokens of their own")


def webhook_networks(settings: Settings) -> Finding:
    name, networks = "webhook networks", settings.webhook_allowed_networks
    remedy = "Name the receivers' own networks in GATEWAY_WEBHOOK_ALLOWED_NETWORKS."
    if any(network.prefixlen == 0 for network in networks):
        return fail(name, "all addresses, including this machine's own", remedy)
    if any(address.version == network.version and address in network for network in networks for address in _METADATA):
        return fail(name, "includes the cloud's metadata service, which returns credentials", remedy)
    return ok(name, ", ".join(map(str, networks)) or "public addresses only")
