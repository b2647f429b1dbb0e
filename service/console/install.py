"""All routes of the console, in the order in which they match."""

from fastapi import FastAPI

from service.console.login import login
from service.console.money.overview import money
from service.console.oncall.status import status
from service.console.routes import PublicRoute, no_such_page
from service.console.tenant.overview import tenant


def install(app: FastAPI) -> None:
    """Add the routes. A new module of pages adds its ``ConsoleRoutes`` here."""
    for module in (login, status, money, tenant):
        app.router.routes.extend(module.routes)
    app.router.routes.append(PublicRoute("/{path:path}", no_such_page, method="GET"))
