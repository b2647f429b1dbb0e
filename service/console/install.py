"""All routes of the console, in the order in which they match."""

from typing import Final

from fastapi import FastAPI

from service.console.login import login
from service.console.money.adjustments import adjustments
from service.console.money.audit import audit
from service.console.money.ledger import ledger
from service.console.money.overview import money
from service.console.money.usage import usage
from service.console.oncall.bulk import bulk
from service.console.oncall.deliveries import deliveries
from service.console.oncall.generations import generations as all_generations
from service.console.oncall.status import status
from service.console.oncall.tenant_issuers import tenant_issuers
from service.console.oncall.tenant_keys import tenant_keys
from service.console.oncall.tenant_limits import tenant_limits
from service.console.oncall.tenants import tenants
from service.console.oncall.trail import trail
from service.console.oncall.unconfirmed import unconfirmed
from service.console.openid import openid
from service.console.tenant.account import account
from service.console.tenant.bulk import bulk as replay_jobs
from service.console.tenant.end_users import end_users
from service.console.tenant.endpoint_changes import endpoint_changes
from service.console.tenant.generations import generations
from service.console.tenant.overview import tenant
from service.console.tenant.webhooks import webhooks
from service.console.unknown import unknown

#: Those of one subject first: ``tenants`` has ``/oncall/tenants/{tenant_id}/{action}``.
_OF_A_TENANT: Final = (tenant_limits, tenant_keys, tenant_issuers, tenants)


def install(app: FastAPI) -> None:
    """Add the routes. A new module of pages adds its ``ConsoleRoutes`` here."""
    for module in (
        *(login, openid, status, all_generations, *_OF_A_TENANT, unconfirmed, deliveries, bulk, trail),
        *(money, usage, ledger, adjustments, audit),
        *(tenant, generations, account, endpoint_changes, webhooks, replay_jobs, end_users, unknown),
    ):
        app.router.routes.extend(module.routes)
